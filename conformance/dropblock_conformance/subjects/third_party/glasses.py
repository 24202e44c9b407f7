"""The `glasses` package of PyPI (github.com/FrancescoSaverioZuppichini/glasses), version 0.0.6: written by others."""

from importlib import import_module
from typing import Any

from dropblock_conformance.checks import events
from dropblock_conformance.subject import DTYPES, Claims, Deviation, Subject
from dropblock_conformance.subjects.bridges.torch import of_modules
from dropblock_conformance.subjects.third_party import deviations, reproduce

DropBlock = import_module("glasses.nn.regularization").DropBlock


def build(rank: int, keep_prob: float, block_size: int) -> Any:
    return DropBlock(block_size=block_size, p=1 - keep_prob)


# Its documentation says "implementation of" the paper and "gamma, eq (1) in the paper". That masks are per channel and
# of the input's dtype, its code says. An even block fails, as the mask comes out one unit too large.
CLAIMS = Claims(dtypes=DTYPES, even_blocks=False, clips=False)

# On square maps as all that seed the whole map; on others gamma is that of a square of the width.
LAW: deviations.Law = {
    **deviations.WHOLE_MAP,
    "law.non_square": (events.UNTOUCHED, (0.55, 0.63)),
    "law.wide": ("units 36 to 69 of a row all kept", (-0.33, -0.26)),
    "law.keep_prob_zero": ("unit (0, 0) kept", (1.41, 1.51)),
    "law.corners": ("unit (0, 5) kept", (1.70, 1.83)),
    **deviations.WHOLE_MAP_HALF,
    "law.drawn": ("law.paper", (-1.0, 100.0)),
}
EXPECT = [
    Deviation(
        "mode.keep_prob_one", "it has no way out at p 0: the scale 1 / n * n is not always 1", deviations.ANY_SHARE
    ),
    deviations.OVER_THE_BORDER,
    *deviations.MULTIPLIED,
    *deviations.rounding(
        "count and scale are rounded to the activations' dtype", ("scale.claimed", "gradient.scale", "scale.bfloat16")
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
