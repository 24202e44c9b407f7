# SPDX-License-Identifier: Apache-2.0
"""The `pytorch-toolbelt` package of PyPI (github.com/BloodAxe/pytorch-toolbelt), version 0.8.0: written by others."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import torch

from dropblock_conformance.subject import DTYPES, Claims, Deviation, Subject
from dropblock_conformance.subjects.bridges.torch import of_modules
from dropblock_conformance.subjects.third_party import deviations, reproduce
from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision

import_torchvision()  # which the package imports
dropblock = import_module("pytorch_toolbelt.modules.dropblock")
LAYERS = {2: dropblock.DropBlock2D, 3: dropblock.DropBlock3D}
RUNNING: list[Any] = []  # layers whose schedule is being watched


def build(rank: int, keep_prob: float, block_size: int) -> Any:
    return RUNNING[-1] if RUNNING else LAYERS[rank](drop_prob=1 - keep_prob, block_size=block_size)


def schedule(keep_prob: float, steps: int) -> Iterator[float]:
    """A step is a forward call; a schedule of none divides by zero, so the shortest stands in for it."""
    layer = dropblock.DropBlockScheduled(dropblock.DropBlock2D(0.0, 1), 0.0, 1 - keep_prob, max(1, steps))
    RUNNING.append(layer)
    try:
        for _ in range(steps + 1):
            layer.train()(torch.ones(1, 1, 1, 1))
            yield 1 - layer.dropblock.drop_prob
    finally:
        RUNNING.remove(layer)


# Its documentation says "as described in the paper". That channels share a mask, that even blocks and 3-d maps are
# meant to work, and half precision (a comment tells of an overflow in float16), its code says.
CLAIMS = Claims(per_channel=False, spatial=(2, 3), dtypes=DTYPES, clips=False)

LAW = deviations.P_OVER_AREA
SHORT = "drop_prob is raised at one step too few, so it never arrives; a schedule of no steps divides by zero"
EXPECT = [
    deviations.OVER_THE_BORDER,
    *deviations.MULTIPLIED,
    deviations.OUT_OF_RANGE[0],
    *deviations.rounding("the scale is rounded to the activations' dtype, so a product is rounded twice"),
    *deviations.nothing_kept("gamma at keep_prob 0 is below 1; where nothing is kept count / 0 times zero is NaN"),
    Deviation("schedule.ends", SHORT, (0.0, 1.0)),
    Deviation("schedule.linear", SHORT, (0.0, 1.0)),
    Deviation("schedule.training_calls", "every forward call in training is a step", (0.0, 1.0)),
    *deviations.of_law(
        LAW,
        "gamma is drop_prob / block_size^2 without Eq. (1)'s second factor, and seeds fall on the whole map",
    ),
]
IMPORT = "from pytorch_toolbelt.modules.dropblock import"
SCHEDULED = (
    f'python -c "import torch; {IMPORT} DropBlock2D, DropBlockScheduled; '
    "d = DropBlockScheduled(DropBlock2D(0.0, 1), 0.0, 0.5, 10); "
    '[d(torch.ones(1, 1, 1, 1)) for _ in range({calls})]; print(d.dropblock.drop_prob)"'
)
REPRODUCE = {
    **reproduce.torch_lines(f"{IMPORT} DropBlock2D", "DropBlock2D({p}, {b})", EXPECT, LAW),
    "schedule.ends": SCHEDULED.format(calls=100),
    "schedule.linear": SCHEDULED.format(calls=100),
    "schedule.training_calls": SCHEDULED.format(calls=3),
}


def candidate() -> tuple[Subject, list[Deviation]]:
    return of_modules("pytorch-toolbelt", build, CLAIMS, schedule), reproduce.shown(EXPECT, REPRODUCE)
