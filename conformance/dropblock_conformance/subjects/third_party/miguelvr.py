# SPDX-License-Identifier: Apache-2.0
"""The `dropblock` package of PyPI (github.com/miguelvr/dropblock), version 0.3.0, with PyTorch: written by others."""

from collections.abc import Iterator
from typing import Any

from dropblock import DropBlock2D, DropBlock3D, LinearScheduler

from dropblock_conformance.subject import Claims, Deviation, Subject
from dropblock_conformance.subjects.bridges.torch import of_modules
from dropblock_conformance.subjects.third_party import deviations, reproduce

LAYERS = {2: DropBlock2D, 3: DropBlock3D}


def build(rank: int, keep_prob: float, block_size: int) -> Any:
    return LAYERS[rank](drop_prob=1 - keep_prob, block_size=block_size)


def schedule(keep_prob: float, steps: int) -> Iterator[float]:
    """As its README has it: `step` before each forward call; steps + 1 values reach from the start to the end."""
    scheduled = LinearScheduler(DropBlock2D(0.0, 1), start_value=0.0, stop_value=1 - keep_prob, nr_steps=steps + 1)
    for _ in range(steps + 1):
        scheduled.step()
        yield 1 - float(scheduled.dropblock.drop_prob)


# Its documentation says "as described in the paper"; that channels share a mask, and that 3-d maps and even blocks are
# meant to work, its code says. Nothing says what a block larger than the map should do, or half precision.
CLAIMS = Claims(per_channel=False, spatial=(2, 3), clips=False)

LAW = deviations.P_OVER_AREA
EXPECT = [
    deviations.OVER_THE_BORDER,
    *deviations.MULTIPLIED,
    *deviations.OUT_OF_RANGE,
    *deviations.nothing_kept("gamma at keep_prob 0 is below 1, so something is kept; where nothing is, 0 / 0 is NaN"),
    Deviation("schedule.ends", "a schedule of one value holds the start, not the end", (0.0, 1.0)),
    *deviations.of_law(
        LAW,
        "gamma is drop_prob / block_size^2 without Eq. (1)'s second factor, and seeds fall on the whole map",
    ),
]
REPRODUCE = {
    **reproduce.torch_lines("from dropblock import DropBlock2D", "DropBlock2D({p}, {b})", EXPECT, LAW),
    "schedule.ends": 'python -c "from dropblock import DropBlock2D, LinearScheduler; '
    'd = LinearScheduler(DropBlock2D(0, 1), 0, 0.5, 1); d.step(); print(d.dropblock.drop_prob)"',
}


def candidate() -> tuple[Subject, list[Deviation]]:
    return of_modules("miguelvr", build, CLAIMS, schedule), reproduce.shown(EXPECT, REPRODUCE)
