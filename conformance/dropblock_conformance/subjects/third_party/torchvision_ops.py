# SPDX-License-Identifier: Apache-2.0
"""torchvision's `DropBlock2d` and `DropBlock3d` (github.com/pytorch/vision), version 0.28.0: written by others."""

from typing import Any

from dropblock_conformance.checks import events
from dropblock_conformance.subject import DTYPES, Claims, Deviation, Subject
from dropblock_conformance.subjects.bridges.torch import of_modules
from dropblock_conformance.subjects.third_party import deviations, reproduce
from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision

ops = import_torchvision().ops
LAYERS = {2: ops.DropBlock2d, 3: ops.DropBlock3d}


def build(rank: int, keep_prob: float, block_size: int) -> Any:
    return LAYERS[rank](p=1 - keep_prob, block_size=block_size)


# Its documentation says "implements DropBlock2d from" the paper, for tensors [N, C, H, W], and nothing of dtypes: the
# mask is made in the input's. Even blocks it refuses with a ValueError, those clipped to an even side too. A larger
# block its code clips, of which the documentation says nothing.
CLAIMS = Claims(spatial=(2, 3), dtypes=DTYPES, even_blocks=False)

SQUARE = "a block larger than the map is clipped to a square of the map's shorter side"
LAW: deviations.Law = {"law.clipped": (events.UNTOUCHED, (0.30, 0.40))}
ROUNDS = "count and scale are rounded to the activations' dtype, and eps, 1e-6, is added to the count"
EXPECT = [
    Deviation("mask.clipped", SQUARE, deviations.ANY_SHARE),
    *deviations.MULTIPLIED,
    *deviations.rounding(ROUNDS, without=["scale.float16"]),
    *deviations.nothing_kept("in float16 the scale, count / eps, is infinite, and times zero NaN"),
    *deviations.of_law(LAW, SQUARE),
    *deviations.of_law(deviations.LOST_IN_FLOAT16, deviations.OVERFLOW),
]
REPRODUCE = reproduce.torch_lines(
    "from torchvision.ops import DropBlock2d",
    "DropBlock2d({p}, {b})",
    EXPECT,
    LAW | deviations.LOST_IN_FLOAT16,
    "float16",
)


def candidate() -> tuple[Subject, list[Deviation]]:
    return of_modules("torchvision", build, CLAIMS), reproduce.shown(EXPECT, REPRODUCE)
