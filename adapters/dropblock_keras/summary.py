# SPDX-License-Identifier: Apache-2.0
"""Is it on? A table of a model's DropBlock layers."""

import keras

from dropblock_core.summary import LayerSummary, Summary
from dropblock_keras.layers import DropBlock


def summary(model: keras.Model) -> Summary:
    """A row for each DropBlock layer of `model`: its name, map, block and gamma, what it should and did drop.

    What looks wrong is named below the table: a layer that was never called in training, a block that its map clips, a
    keep_prob that is still 1, two schedules for one layer, a block of 1. `calls` are the layer's draws since it was
    made, those before it was saved too.

    Raises:
        TypeError: `model` is no layer or model.

    >>> import keras
    >>> from dropblock_keras import DropBlock2D
    >>> first, second = DropBlock2D(0.9, 7, seed=0, name="first"), DropBlock2D(0.9, 7, seed=1, name="second")
    >>> model = keras.Sequential([first, keras.layers.MaxPool2D(4), second])
    >>> _ = first(keras.ops.ones((8, 14, 14, 64)), training=True)
    >>> print(summary(model))
    place     map  block  keep_prob    gamma  expected  dropped  calls
    first   14x14      7        0.9  0.00625      9.3%     9.4%      1
    second      ?      7        0.9        ?         ?        ?      0
    <BLANKLINE>
    second: never called in training, so it has dropped nothing
    """
    if not isinstance(model, keras.layers.Layer):
        raise TypeError(f"model={model!r} is a {type(model).__name__}: pass a model, or a layer")
    return Summary(tuple(_of(layer) for layer in model._flatten_layers() if isinstance(layer, DropBlock)))


def _of(layer: DropBlock) -> LayerSummary:
    return LayerSummary(
        place=layer.name,
        keep_prob=layer.keep_prob,
        block_size=layer._options["block_size"],
        feat_size=layer._observed.feat_size,
        calls=layer._words[1],
        dropped=layer.dropped_fraction,
        schedulers=len(layer._observed.schedulers),
        gamma_scale=layer._options["gamma_scale"],
        calibrated=layer.calibrated,
    )
