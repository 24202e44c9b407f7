"""The law of the mask (rules R2 to R5 and R11), by events whose probability is known exactly.

Each configuration is chosen so that its event informs about gamma, or about where seeds may fall, at the smallest cost.
"""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from dropblock_conformance.judging.check import Check, claim, register
from dropblock_conformance.judging.inference import Event, one_seed, rate, seed_free
from dropblock_conformance.judging.statistical import Configuration, Dropped, Measure, of_maps, statistical_check
from dropblock_core.law import cover_counts, joint_keep

GAMMA = "R2, R4, R5 · Eq. (1), Algorithm 1 lines 5 and 6"
WHERE = "R4, R5 · Fig. 2(a), Algorithm 1 line 5"
JOINT = "R11 · Algorithm 1 line 6, 'there will be some overlapped in the dropped blocks'"

PAPER = Configuration((14, 14), 7, 0.9)


def per_map(event: Event, condition: Callable[[Dropped], Dropped]) -> Measure:
    """An event that every map has or has not."""

    def count(dropped: Dropped) -> list[tuple[int, int]]:
        holds = condition(dropped)
        return [(int(np.count_nonzero(holds)), holds.size)]

    return Measure((event,), count)


def touched(dropped: Dropped) -> Dropped:
    """Whether anything was dropped of each map, ``[calls, samples, channels]``."""
    flat = dropped.reshape(*dropped.shape[:3], -1)
    return np.asarray(flat.any(axis=-1))


def untouched_map(c: Configuration) -> Measure:
    event = seed_free("a map left untouched", c.gamma, c.anchors)
    return per_map(event, lambda dropped: ~touched(dropped))


def unit_kept(c: Configuration, unit: tuple[int, ...]) -> Measure:
    anchors = int(cover_counts(c.block, c.feat)[unit])
    event = seed_free(f"unit {unit} kept", c.gamma, anchors)
    return per_map(event, lambda dropped: ~of_maps(dropped, *unit))


def units_kept(c: Configuration, name: str, units: Sequence[tuple[int, ...]]) -> Measure:
    # joint_keep at gamma 1/2 is 2^-|union of the anchors|, exactly.
    anchors = round(-np.log2(joint_keep(0.5, c.block_size, c.feat, units)))

    def all_kept(dropped: Dropped) -> Dropped:
        return np.asarray(np.all([~of_maps(dropped, *unit) for unit in units], axis=0))

    return per_map(seed_free(f"{name} all kept", c.gamma, anchors), all_kept)


def only_block(c: Configuration, dropped: Dropped) -> Dropped:
    """Maps whose dropped units are one whole block, by its anchor: ``[maps, anchors]``, at most one True a map.

    The dropped set is one block if and only if there was one seed, for clipped and overlapping blocks alike.
    """
    maps = dropped.reshape(-1, *c.feat)
    units = maps.reshape(len(maps), -1).sum(axis=-1, dtype=np.int32)
    maps = maps[units == prod(c.block)]
    whole = [
        of_maps(maps, *(slice(a, a + b) for a, b in zip(anchor, c.block, strict=True))).all(
            axis=tuple(range(1, maps.ndim))
        )
        for anchor in np.ndindex(*(f - b + 1 for f, b in zip(c.feat, c.block, strict=True)))
    ]
    return np.stack(whole, axis=-1)


def exactly_one_block(c: Configuration) -> Measure:
    event = one_seed("exactly one block dropped", c.gamma, c.anchors)
    return Measure((event,), lambda dropped: [(int(only_block(c, dropped).sum()), prod(dropped.shape[:3]))])


def anchor_of_one_block(c: Configuration) -> Measure:
    anchors = np.ndindex(*(f - b + 1 for f, b in zip(c.feat, c.block, strict=True)))
    events = tuple(rate(f"the block at {anchor}, of the maps with one block", 1 / c.anchors) for anchor in anchors)

    def count(dropped: Dropped) -> list[tuple[int, int]]:
        at = only_block(c, dropped).sum(axis=0)
        return [(int(here), int(at.sum())) for here in at]

    single = c.anchors * c.gamma * (1 - c.gamma) ** (c.anchors - 1)
    return Measure(events, count, trials_per_map=0.98 * single)  # the number of trials is itself left to chance


def law(
    name: str, title: str, rule: str, explanation: str, c: Configuration, *measures: Measure, **options: object
) -> Check:
    return register(statistical_check(f"law.{name}", title, rule, explanation, c, measures, **options))  # type: ignore[arg-type]


even = claim(lambda s: s.claims.even_blocks, "does not claim even blocks")
clips = claim(lambda s: s.claims.clips, "does not claim to clip blocks larger than the map")

law(
    "paper",
    "Gamma at the paper's setting",
    GAMMA,
    "How many maps stay untouched tells gamma times the number of anchors; how often the centre is kept tells gamma "
    "itself. Both are needed: p / block_size^2 with seeds on the whole map, a common slip, agrees in the first and "
    "drops 7.4% instead of 9.3%.",
    PAPER,
    untouched_map(PAPER),
    unit_kept(PAPER, (6, 6)),
)
c = Configuration((7, 7), 7, 0.75)
law(
    "full_map",
    "A block as large as the map",
    GAMMA,
    "One anchor is left, and the block resembles SpatialDropout: a map is dropped whole, with probability "
    "1 - keep_prob. Layers that seed the whole map drop far more here.",
    c,
    untouched_map(c),
)
c = Configuration((5, 9), 3, 0.65)
law(
    "non_square",
    "Gamma on a map that is not square",
    GAMMA,
    "Both sides enter Eq. (1). An implementation that takes one of them for both gets gamma wrong.",
    c,
    untouched_map(c),
    unit_kept(c, (2, 4)),
)
c = Configuration((3, 70), 3, 0.95)
law(
    "wide",
    "Gamma on rows of more than 64 units",
    GAMMA,
    "Rows that no machine word holds, and the units at their far end.",
    c,
    untouched_map(c),
    units_kept(c, "units 36 to 69 of a row", [(0, column) for column in range(36, 70)]),
)
c = Configuration((6, 7), 4, 0.6)
law(
    "even_block",
    "Gamma with an even block",
    GAMMA,
    "An even block has no centre unit; padding that serves odd blocks shifts, loses or adds a row.",
    c,
    untouched_map(c),
    unit_kept(c, (3, 3)),
    needs=even,
)
c = Configuration((5, 9), 7, 0.7)  # odd where it is clipped, for those that take no even block
law(
    "clipped",
    "Gamma with a block larger than the map",
    "R3 · Eq. (1) with block_size above feat_size",
    "The block is clipped to the map on each axis, in gamma and in the mask alike.",
    c,
    untouched_map(c),
    needs=clips,
)
c = Configuration((3, 3), 1, 0.8)
law(
    "dropout",
    "Block 1 is dropout",
    "R2 · section 3, 'DropBlock resembles dropout when block_size = 1'",
    "Units are dropped one by one with probability 1 - keep_prob.",
    c,
    untouched_map(c),
    unit_kept(c, (1, 1)),
)
c = Configuration((6, 6), 3, 0.2)
law(
    "low_keep_prob",
    "Much dropped: blocks overlap",
    JOINT,
    "At low keep_prob blocks overlap much, and rules that forbid or correct for overlap show.",
    c,
    unit_kept(c, (2, 2)),
    unit_kept(c, (0, 5)),
)
c = Configuration((5, 6), 3, 0.0)
law(
    "keep_prob_zero",
    "keep_prob 0 does not drop everything",
    "R2, R11 · Eq. (1) with keep_prob = 0",
    "Eq. (1) at 0 is not 1: seeds leave gaps, because blocks overlap.",
    c,
    unit_kept(c, (0, 0)),
    unit_kept(c, (1, 2)),
)
c = Configuration((5, 6), 3, 0.3)
law(
    "corners",
    "Every corner is dropped as often as it should",
    WHERE,
    "One anchor covers a corner, so it is dropped with probability gamma. Seeds outside the valid region, or a border "
    "that is never seeded, show here first.",
    c,
    *(unit_kept(c, (i, j)) for i in (0, 4) for j in (0, 5)),
)
c = Configuration((5, 5), 3, 0.64)
law(
    "anchors",
    "Seeds fall evenly on the valid region",
    WHERE,
    "Where one block was dropped, its anchor is uniform over the valid region. A row never sampled shows here.",
    c,
    anchor_of_one_block(c),
)
c = Configuration((5, 5), 3, 0.875)
law(
    "one_block",
    "One block as often as it should",
    JOINT,
    "Exactly one seed in a map has probability S g (1 - g)^(S - 1). A fixed number of blocks a map, or seeds that "
    "repel one another, keep the mean and miss this.",
    c,
    exactly_one_block(c),
)
c = Configuration((6, 6), 3, 0.5)
law(
    "pairs",
    "Two units of a map, together",
    JOINT,
    "Two units are both kept with probability (1 - gamma)^|union of their anchors|: near ones go together, far ones "
    "independently.",
    c,
    units_kept(c, "units (2, 2), (3, 3)", [(2, 2), (3, 3)]),
    units_kept(c, "units (2, 1), (2, 4)", [(2, 1), (2, 4)]),
)
for feat, keep_prob, unit in (((12,), 0.7, (6,)), ((4, 4, 4), 0.5, (0, 1, 1))):
    c = Configuration(feat, 3, keep_prob)
    law(
        f"rank{len(feat)}",
        f"Gamma on maps of {len(feat)} spatial {'axis' if len(feat) == 1 else 'axes'}",
        GAMMA,
        "Eq. (1) with a product over the axes in place of the square.",
        c,
        untouched_map(c),
        unit_kept(c, unit),
    )
for dtype in ("float16", "bfloat16"):
    # gamma is 0.9 / 2^8: multiples of 2^-8, and of any power of 2 down to 2^-11, are 12% above it.
    c = Configuration((16, 16), 3, 0.976)
    law(
        dtype,
        f"A small gamma in {dtype}",
        "R9, R13 · Algorithm 1 line 5",
        "Uniform numbers or thresholds in half precision are too coarse for a small gamma: some layers never drop.",
        c,
        untouched_map(c),
        dtype=dtype,
        needs=claim(lambda s, dtype=dtype: dtype in s.claims.dtypes, f"does not claim {dtype}"),  # type: ignore[misc]
    )
