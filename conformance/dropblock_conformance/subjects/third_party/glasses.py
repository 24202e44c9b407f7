# SPDX-License-Identifier: Apache-2.0
"""The `glasses` package of PyPI (github.com/FrancescoSaverioZuppichini/glasses), version 0.0.6: written by others."""

from importlib import import_module
from typing import Any

from dropblock_conformance.subject import DTYPES, Claims, Deviation, Subject
from dropblock_conformance.subjects.bridges.torch import of_modules
from dropblock_conformance.subjects.third_party import deviations, reproduce

DropBlock = import_module("glasses.nn.regularization").DropBlock


def build(rank: int, keep_prob: float, block_size: int) -> Any:
    return DropBlock(block_size=block_size, p=1 - keep_prob)


# Its documentation says "implementation of" the paper and "gamma, eq (1) in the paper". That masks are per channel and
# of the input's dtype, its code says. An even block fails, as the mask comes out one unit too large.
CLAIMS = Claims(dtypes=DTYPES, even_blocks=False, clips=False)

LAW = deviations.WHOLE_MAP
EXPECT = [
    Deviation(
        "mode.keep_prob_one", "it has no way out at p 0: the scale 1 / n * n is not always 1", deviations.ANY_SHARE
    ),
    deviations.OVER_THE_BORDER,
    *deviations.MULTIPLIED,
    *deviations.rounding(
        "count and scale are rounded to the activations' dtype", without=["scale.float16", "gradient.scale"]
    ),
    *deviations.nothing_kept("0 / 0 where nothing is kept is NaN"),
    *deviations.of_law(LAW, "seeds fall on the whole map, at Eq. (1)'s gamma of a square of the map's width"),
    *deviations.of_law(deviations.LOST_IN_FLOAT16, deviations.OVERFLOW),
]
REPRODUCE = reproduce.torch_lines(
    "from glasses.nn.regularization import DropBlock", "DropBlock({b}, {p})", EXPECT, LAW | deviations.LOST_IN_FLOAT16
)


def candidate() -> tuple[Subject, list[Deviation]]:
    return of_modules("glasses", build, CLAIMS), reproduce.shown(EXPECT, REPRODUCE)
