# SPDX-License-Identifier: Apache-2.0
"""The `keras-drop-block` package of PyPI (github.com/CyberZHG/keras-drop-block), version 0.7.0, on Keras 2."""

import os
from importlib import import_module
from typing import Any

from dropblock_conformance.checks import events
from dropblock_conformance.subject import Claims, Deviation, Subject
from dropblock_conformance.subjects.third_party import deviations, reproduce

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # before TensorFlow looks for Keras: 2 is the package tf-keras today
keras = import_module("tensorflow").keras
if not keras.layers.Layer.__module__.startswith("tf_keras."):
    raise RuntimeError(
        "TensorFlow has loaded Keras 3: it needs Keras 2, so a process of its own with tf-keras installed"
    )
package = import_module("keras_drop_block")
LAYERS = {3: package.DropBlock1D, 4: package.DropBlock2D}


def layer(x: Any, keep_prob: float, block_size: int, training: bool, seed: int) -> Any:
    keras.utils.set_random_seed(seed)
    return LAYERS[x.ndim](block_size, keep_prob)(x, training=training)


# Its documentation names the paper; masks are per channel by default, for maps of one and two axes. It says nothing of
# even blocks, of blocks larger than the map (gamma turns negative) or of half precision (the mask is float32).
CLAIMS = Claims(spatial=(1, 2), clips=False)

EVEN: deviations.Law = {
    "law.even_block": (events.UNTOUCHED, (-0.46, -0.39)),
    "law.drawn": ("law.even_block", (-1.0, -0.05)),
    "law.everywhere": ("law.even_block", (-1.0, -0.05)),
}
EXPECT = [
    *deviations.MULTIPLIED,
    *deviations.nothing_kept("0 / 0 where nothing is kept is NaN"),
    *deviations.of_law(
        EVEN, "the valid region ends b // 2 before both borders: for an even block a row and a column less"
    ),
]
PRELUDE = (
    "import os; os.environ['TF_USE_LEGACY_KERAS'] = '1'; import numpy as np, tensorflow as tf; "
    "from keras_drop_block import DropBlock2D as D; f = lambda x, p, b: "
    "(tf.keras.utils.set_random_seed(0), D(b, 1 - p)(x, training=True))[1]"
)
ANSWER = "np.array(f(np.ones(({n}, {feat}, 1), 'f4'), {p}, {b}))[..., 0]"
GRADIENT = (
    "t = tf.GradientTape(); t.__enter__(); t.watch(x); y = f(x, {p}, {b}); t.__exit__(0, 0, 0); "
    "g = t.gradient(y, x, {dy}); print((g != 0).numpy()[{where}].mean())"
)
REPRODUCE = {
    "values.dropped_zero": reproduce.command(
        PRELUDE,
        "x = np.ones((100, 9, 9, 1), 'f4')",
        "y, n = (np.array(f(v, 0.3, 3)) for v in (x, x * np.nan))",
        "print((n[y == 0] != 0).mean())",
    ),
    "values.nothing_kept": reproduce.command(
        PRELUDE, "print((f(np.ones((20, 5, 5, 1), 'f4'), 1.0, 5) != 0).numpy().mean())"
    ),
    "gradient.nonfinite": reproduce.command(
        PRELUDE, "x = tf.ones((100, 9, 9, 1))", GRADIENT.format(p=0.3, b=3, dy="y + np.inf", where="(y == 0).numpy()")
    ),
    "gradient.nothing_kept": reproduce.command(
        PRELUDE, "x = tf.ones((20, 5, 5, 1))", GRADIENT.format(p=1.0, b=5, dy="y", where="...")
    ),
    **reproduce.law_lines(PRELUDE, ANSWER, EVEN),
}


def candidate() -> tuple[Subject, list[Deviation]]:
    from dropblock_conformance.subjects.bridges.tf import subject

    return subject("keras-drop-block", layer, CLAIMS), reproduce.shown(EXPECT, REPRODUCE)
