# SPDX-License-Identifier: Apache-2.0
"""How several third-party layers deviate alike."""

from collections.abc import Iterable

from dropblock_conformance.checks.events import UNTOUCHED
from dropblock_conformance.subject import Deviation

Effect = tuple[float, float]

ANY_SHARE = (0.0, 1.0)
LOST = "lost"  # units that are zero, dropped or not

MULTIPLIED = [
    Deviation("values.dropped_zero", "the mask is multiplied, so NaN and infinity go through", ANY_SHARE),
    Deviation("gradient.nonfinite", "the mask is multiplied, so infinity from above becomes NaN", ANY_SHARE),
]
OVER_THE_BORDER = Deviation("mask.blocks", "seeds fall on the whole map, so blocks hang over its border", ANY_SHARE)


ROUNDED_TWICE = {
    "scale.claimed": (2e-7, 0.02),
    "gradient.scale": (2e-7, 0.02),
    "scale.float16": (2e-4, 0.002),
    "scale.bfloat16": (0.002, 0.02),
    "values.every_unit": (2e-4, 0.02),
    "gradient.every_unit": (2e-4, 0.02),
}


def rounding(reason: str, without: Iterable[str] = ()) -> list[Deviation]:
    """Where values in half precision are rounded more than once."""
    return [Deviation(check, reason, bound) for check, bound in ROUNDED_TWICE.items() if check not in without]


def nothing_kept(reason: str) -> list[Deviation]:
    return [Deviation(check, reason, ANY_SHARE) for check in ("values.nothing_kept", "gradient.nothing_kept")]


OUT_OF_RANGE = [
    Deviation(
        check,
        "it multiplies by the count before it divides: numbers of 1e36 overflow, tiny ones lose digits",
        ANY_SHARE,
    )
    for check in ("values.edges", "gradient.edges")
]

# Laws by check: the event that shows them best, and the effect as measured, with room for chance at every profile.
Law = dict[str, tuple[str, Effect]]

# Eq. (1)'s gamma, but seeds on the whole map.
WHOLE_MAP: Law = {"law.paper": (UNTOUCHED, (1.98, 2.11)), "law.full_map": (UNTOUCHED, (2.90, 3.01))}
# drop_prob / block_size^2, and seeds on the whole map.
P_OVER_AREA: Law = {"law.paper": ("unit (6, 6) kept", (-0.70, -0.65)), "law.full_map": (UNTOUCHED, (-0.14, -0.09))}

# A count in float16 that is infinite: every unit is zero.
LOST_IN_FLOAT16: Law = {"scale.float16": (LOST, (0.99, 1.0))}
OVERFLOW = "kept units are counted in float16, where 65,520 and more are infinite, and all is lost"


def of_law(law: Law, reason: str) -> list[Deviation]:
    """A deviation for each of its checks."""
    return [Deviation(check, reason, effect) for check, (_, effect) in law.items()]
