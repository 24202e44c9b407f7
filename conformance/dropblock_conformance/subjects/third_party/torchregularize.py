# SPDX-License-Identifier: Apache-2.0
"""The `torchregularize` package of PyPI, version 0.1.0, with PyTorch: written by others."""

from importlib import import_module
from typing import Any

from dropblock_conformance.subject import Claims, Deviation, Subject
from dropblock_conformance.subjects.bridges.torch import of_modules
from dropblock_conformance.subjects.third_party import deviations, reproduce

DropBlock2D = import_module("torchregularize").DropBlock2D


def build(rank: int, keep_prob: float, block_size: int) -> Any:
    return DropBlock2D(block_size=block_size, drop_prob=1 - keep_prob)


# Its documentation says "randomly zeros out contiguous regions of feature maps" and names no paper. That channels share
# a mask and that nothing is scaled, its code says. An even block fails, as the mask comes out one unit too large.
CLAIMS = Claims(per_channel=False, renorm="none", even_blocks=False, clips=False)

LAW = deviations.P_OVER_AREA
EXPECT = [
    deviations.OVER_THE_BORDER,
    *deviations.MULTIPLIED,
    *deviations.nothing_kept("gamma at keep_prob 0 is below 1, so something is kept"),
    *deviations.of_law(
        LAW, "map sizes cancel: gamma is drop_prob / block_size^2 without Eq. (1)'s second factor, on the whole map"
    ),
]
REPRODUCE = reproduce.torch_lines("from torchregularize import DropBlock2D", "DropBlock2D({b}, {p})", EXPECT, LAW)


def candidate() -> tuple[Subject, list[Deviation]]:
    return of_modules("torchregularize", build, CLAIMS), reproduce.shown(EXPECT, REPRODUCE)
