"""How several third-party layers deviate alike."""

from collections.abc import Iterable

from dropblock_conformance.checks.events import ONE_BLOCK, UNTOUCHED
from dropblock_conformance.subject import Deviation

Effect = tuple[float, float]

ANY_SHARE = (0.0, 1.0)
CENTRE = "the block at (1, 1), of the maps with one block"
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
}


def rounding(reason: str, checks: Iterable[str] = tuple(ROUNDED_TWICE)) -> list[Deviation]:
    """Where values in half precision are rounded more than once."""
    return [Deviation(check, reason, ROUNDED_TWICE[check]) for check in checks]


def nothing_kept(reason: str) -> list[Deviation]:
    return [Deviation(check, reason, ANY_SHARE) for check in ("values.nothing_kept", "gradient.nothing_kept")]


# Laws by check: the event that shows them best, and the effect as measured, with room for chance at every profile.
Law = dict[str, tuple[str, Effect]]

# Eq. (1)'s gamma, but seeds on the whole map.
WHOLE_MAP: Law = {
    "law.paper": (UNTOUCHED, (1.98, 2.11)),
    "law.full_map": (UNTOUCHED, (2.90, 3.01)),
    "law.non_square": (UNTOUCHED, (0.97, 1.12)),
    "law.wide": (UNTOUCHED, (1.95, 2.12)),
    "law.low_keep_prob": ("unit (0, 5) kept", (1.90, 2.00)),
    "law.keep_prob_zero": ("unit (0, 0) kept", (1.57, 1.67)),
    "law.corners": ("unit (0, 5) kept", (1.92, 2.04)),
    "law.anchors": (CENTRE, (-0.26, -0.14)),  # a block at the border may come from several seeds
    "law.one_block": (ONE_BLOCK, (-0.55, -0.48)),
    "law.pairs": ("units (2, 1), (2, 4) all kept", (0.40, 0.50)),
    "law.drawn": ("law.paper", (0.05, 100.0)),
}
WHOLE_MAP_EVEN: Law = {"law.even_block": (UNTOUCHED, (2.05, 2.22))}
WHOLE_MAP_CLIPPED: Law = {"law.clipped": (UNTOUCHED, (5.60, 6.00))}
WHOLE_MAP_HALF: Law = {"law.float16": (UNTOUCHED, (0.26, 0.36)), "law.bfloat16": (UNTOUCHED, (0.26, 0.36))}

# A count in float16 that is infinite: every unit is zero.
LOST_IN_FLOAT16: Law = {"scale.float16": (LOST, (0.99, 1.0))}
OVERFLOW = "kept units are counted in float16, which ends at 65,504: the count is infinite, and all is lost"

# drop_prob / block_size^2, and seeds on the whole map.
P_OVER_AREA: Law = {
    "law.paper": ("unit (6, 6) kept", (-0.70, -0.65)),
    "law.full_map": (UNTOUCHED, (-0.14, -0.09)),
    "law.non_square": ("unit (2, 4) kept", (-0.56, -0.51)),
    "law.wide": ("units 36 to 69 of a row all kept", (-0.36, -0.31)),
    # 56% too rarely in the middle and 55% too often in a corner: chance decides which is the larger.
    "law.low_keep_prob": ("unit (2, 2) kept", (-0.58, 0.58)),
    "law.keep_prob_zero": ("unit (1, 2) kept", (-0.44, -0.39)),
    "law.corners": ("unit (0, 5) kept", (0.40, 0.45)),
    "law.anchors": (CENTRE, (-0.11, -0.04)),  # a block at the border may come from several seeds
    "law.one_block": (ONE_BLOCK, (-0.74, -0.69)),
    "law.pairs": ("units (2, 2), (3, 3) all kept", (-0.58, -0.53)),
    "law.drawn": ("law.paper", (-0.95, -0.02)),
}
P_OVER_AREA_EVEN: Law = {"law.even_block": ("unit (3, 3) kept", (-0.65, -0.60))}
P_OVER_AREA_RANK3: Law = {"law.rank3": ("unit (0, 1, 1) kept", (-0.48, -0.43))}


def of_law(law: Law, reason: str) -> list[Deviation]:
    """A deviation for each of its checks."""
    return [Deviation(check, reason, effect) for check, (_, effect) in law.items()]
