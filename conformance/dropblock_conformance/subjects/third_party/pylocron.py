# SPDX-License-Identifier: Apache-2.0
"""The `pylocron` package of PyPI (github.com/frgfm/Holocron), version 0.3.0, with PyTorch: written by others."""

from importlib import import_module
from typing import Any

from dropblock_conformance.checks import events
from dropblock_conformance.subject import DTYPES, Claims, Deviation, Subject
from dropblock_conformance.subjects.bridges.torch import of_modules
from dropblock_conformance.subjects.third_party import deviations, reproduce
from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision

import_torchvision()  # which holocron imports
DropBlock2d = import_module("holocron.nn").DropBlock2d


def build(rank: int, keep_prob: float, block_size: int) -> Any:
    return DropBlock2d(p=1 - keep_prob, block_size=block_size)


# Its documentation says "implements the DropBlock module from" the paper, p being the "probability of dropping
# activation value". That channels share a mask, and that the mask is of the input's dtype, its code says. An even block
# fails, as the mask comes out one unit too large.
CLAIMS = Claims(per_channel=False, dtypes=DTYPES, even_blocks=False, clips=False)

LAW: deviations.Law = {
    "law.paper": ("unit (6, 6) kept", (-1.0, -0.985)),
    "law.full_map": (events.UNTOUCHED, (-0.985, -0.970)),
}
EXPECT = [
    deviations.OVER_THE_BORDER,
    *deviations.MULTIPLIED,
    *deviations.rounding(
        "count and scale are rounded to the activations' dtype", without=["scale.float16", "gradient.scale"]
    ),
    *deviations.nothing_kept("gamma at keep_prob 0 is below 1, so something is kept"),
    *deviations.of_law(
        LAW, "drop_prob is divided by block_size^2 twice, in the layer and in its function: 0.16% dropped of 14x14"
    ),
    *deviations.of_law(deviations.LOST_IN_FLOAT16, deviations.OVERFLOW),
]
REPRODUCE = reproduce.torch_lines(
    "from holocron.nn import DropBlock2d", "DropBlock2d({p}, {b})", EXPECT, LAW | deviations.LOST_IN_FLOAT16
)


def candidate() -> tuple[Subject, list[Deviation]]:
    return of_modules("pylocron", build, CLAIMS), reproduce.shown(EXPECT, REPRODUCE)
