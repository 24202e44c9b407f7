# SPDX-License-Identifier: Apache-2.0
"""Is it on? A table of a model's DropBlock layers."""

from torch import nn

from dropblock_core.summary import LayerSummary, Summary
from dropblock_torch.modules import _DropBlock


def summary(model: nn.Module) -> Summary:
    """A row for each DropBlock layer of `model`: its place, map, block and gamma, what it should and did drop.

    What looks wrong is named below the table: a layer that was never called in training, a block that its map clips, a
    keep_prob that is still 1, two schedulers for one layer, a block of 1. Reading what the last call dropped waits for
    the device.

    Raises:
        TypeError: `model` is no module.

    >>> import torch
    >>> from torch import nn
    >>> from dropblock_torch import DropBlock2d
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(3, 64, 3), DropBlock2d(0.9, 7), nn.MaxPool2d(4), DropBlock2d(0.9, 7))
    >>> _ = model[:2](torch.randn(8, 3, 16, 16))
    >>> print(summary(model))
    place    map  block  keep_prob    gamma  expected  dropped  calls
    1      14x14      7        0.9  0.00625      9.3%    10.0%      1
    3          ?      7        0.9        ?         ?        ?      0
    <BLANKLINE>
    3: never called in training, so it has dropped nothing
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model={model!r} is a {type(model).__name__}: pass the model, a torch.nn.Module")
    named = model.named_modules()
    return Summary(tuple(_of(name, layer) for name, layer in named if isinstance(layer, _DropBlock)))


def _of(name: str, layer: _DropBlock) -> LayerSummary:
    observed, dropped = layer._observed, layer.dropped_fraction
    return LayerSummary(
        place=name or type(layer).__name__,
        keep_prob=layer.keep_prob,
        block_size=layer.block_size,
        feat_size=observed.feat_size,
        calls=None if observed.in_program and not observed.calls else observed.calls,
        dropped=None if dropped is None else dropped.item(),
        schedulers=len(observed.schedulers),
        gamma_scale=layer.gamma_scale,
        calibrated=layer.calibrated,
        is_training=layer.training,
    )
