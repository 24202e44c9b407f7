# SPDX-License-Identifier: Apache-2.0
"""The law of the mask (rules R2 to R5 and R11), by events whose probability is known exactly.

Each configuration is chosen so that its event informs about gamma, or about where seeds may fall, at the smallest cost.
"""

from dropblock_conformance.checks.events import (
    anchor_of_one_block,
    exactly_one_block,
    unit_kept,
    units_kept,
    untouched_map,
)
from dropblock_conformance.judging.check import Check, claim
from dropblock_conformance.judging.configuration import Configuration
from dropblock_conformance.judging.statistical import Measure, law
from dropblock_conformance.level import Severity

GAMMA = "R2, R4, R5 · Eq. (1), Algorithm 1 lines 5 and 6"
WHERE = "R4, R5 · Fig. 2(a), Algorithm 1 line 5"
NON_SQUARE = claim(lambda s: s.claims.non_square, "does not claim to take maps that are not square")
JOINT = "R11 · Algorithm 1 line 6, 'there will be some overlapped in the dropped blocks'"


@law(
    "law.paper",
    title="Gamma at the paper's setting",
    rule=GAMMA,
    at=Configuration((14, 14), 7, 0.9),
)
def paper(c: Configuration) -> list[Measure]:
    """How many maps stay untouched tells gamma times the number of anchors; how often the centre is kept tells
    gamma itself. Both are needed: p / block_size^2 with seeds on the whole map, a common slip, agrees in the first
    and drops 7.4% instead of 9.3%.
    """
    return [untouched_map(c), unit_kept(c, (6, 6))]


@law(
    "law.full_map",
    title="A block as large as the map",
    rule=GAMMA,
    at=Configuration((7, 7), 7, 0.75),
)
def full_map(c: Configuration) -> list[Measure]:
    """One anchor is left, and the block resembles SpatialDropout: a map is dropped whole, with probability 1 -
    keep_prob. Layers that seed the whole map drop far more here.
    """
    return [untouched_map(c)]


@law(
    "law.non_square",
    title="Gamma on a map that is not square",
    rule=GAMMA,
    at=Configuration((5, 9), 3, 0.65),
    needs=NON_SQUARE,
    severity=Severity.SERIOUS,
)
def non_square(c: Configuration) -> list[Measure]:
    """Both sides enter Eq. (1). An implementation that takes one of them for both gets gamma wrong."""
    return [untouched_map(c), unit_kept(c, (2, 4))]


@law(
    "law.wide",
    title="Gamma on rows of more than 64 units",
    rule=GAMMA,
    at=Configuration((3, 70), 3, 0.95),
    needs=NON_SQUARE,
    severity=Severity.SERIOUS,
)
def wide(c: Configuration) -> list[Measure]:
    """Rows that no machine word holds, and the units at their far end."""
    return [untouched_map(c), units_kept(c, "units 36 to 69 of a row", [(0, column) for column in range(36, 70)])]


@law(
    "law.tall",
    title="Gamma on columns of more than 64 units",
    rule=GAMMA,
    at=Configuration((70, 3), 3, 0.95),
    needs=NON_SQUARE,
    severity=Severity.SERIOUS,
)
def tall(c: Configuration) -> list[Measure]:
    """The same the other way up: an implementation that has mistaken one side for the other is seen in both."""
    return [untouched_map(c), units_kept(c, "units 36 to 69 of a column", [(row, 0) for row in range(36, 70)])]


@law(
    "law.even_block",
    title="Gamma with an even block",
    rule=GAMMA,
    at=Configuration((7, 7), 4, 0.6),
    needs=claim(lambda s: s.claims.even_blocks, "does not claim even blocks"),
)
def even_block(c: Configuration) -> list[Measure]:
    """An even block has no centre unit; padding that serves odd blocks shifts, loses or adds a row."""
    return [untouched_map(c), unit_kept(c, (3, 3))]


@law(
    "law.clipped",
    title="Gamma with a block larger than the map",
    rule="R3 · Eq. (1) with block_size above feat_size",
    at=Configuration((5, 9), 7, 0.7),  # odd where it is clipped, for those that take no even block
    needs=claim(
        lambda s: s.claims.clips and s.claims.non_square,
        "does not claim to clip blocks larger than the map, or to take maps that are not square",
    ),
    severity=Severity.SERIOUS,
)
def clipped(c: Configuration) -> list[Measure]:
    """The block is clipped to the map on each axis, in gamma and in the mask alike."""
    return [untouched_map(c)]


@law(
    "law.dropout",
    title="Block 1 is dropout",
    rule="R2 · section 3, 'DropBlock resembles dropout when block_size = 1'",
    at=Configuration((3, 3), 1, 0.8),
)
def dropout(c: Configuration) -> list[Measure]:
    """Units are dropped one by one with probability 1 - keep_prob."""
    return [untouched_map(c), unit_kept(c, (1, 1))]


@law(
    "law.low_keep_prob",
    title="Much dropped: blocks overlap",
    rule=JOINT,
    at=Configuration((6, 6), 3, 0.2),
)
def low_keep_prob(c: Configuration) -> list[Measure]:
    """At low keep_prob blocks overlap much, and rules that forbid or correct for overlap show."""
    return [unit_kept(c, (2, 2)), unit_kept(c, (0, 5))]


@law(
    "law.keep_prob_zero",
    title="keep_prob 0 does not drop everything",
    rule="R2, R11 · Eq. (1) with keep_prob = 0",
    at=Configuration((6, 6), 3, 0.0),
    needs=claim(lambda s: s.claims.keep_prob_zero, "does not claim to take keep_prob 0"),
    severity=Severity.EDGE,
)
def keep_prob_zero(c: Configuration) -> list[Measure]:
    """Eq. (1) at 0 is not 1: seeds leave gaps, because blocks overlap."""
    return [unit_kept(c, (0, 0)), unit_kept(c, (1, 2))]


@law(
    "law.corners",
    title="Every corner is dropped as often as it should",
    rule=WHERE,
    at=Configuration((6, 6), 3, 0.3),
)
def corners(c: Configuration) -> list[Measure]:
    """One anchor covers a corner, so it is dropped with probability gamma. Seeds outside the valid region, or a
    border that is never seeded, show here first.
    """
    return [unit_kept(c, (i, j)) for i in (0, 5) for j in (0, 5)]


@law(
    "law.anchors",
    title="Seeds fall evenly on the valid region",
    rule=WHERE,
    at=Configuration((5, 5), 3, 0.64),
)
def anchors(c: Configuration) -> list[Measure]:
    """Where one block was dropped, its anchor is uniform over the valid region. A row never sampled shows here."""
    return [anchor_of_one_block(c)]


@law(
    "law.one_block",
    title="One block as often as it should",
    rule=JOINT,
    at=Configuration((5, 5), 3, 0.875),
)
def one_block(c: Configuration) -> list[Measure]:
    """Exactly one seed in a map has probability S g (1 - g)^(S - 1). A fixed number of blocks a map, or seeds that
    repel one another, keep the mean and miss this.
    """
    return [exactly_one_block(c)]


@law(
    "law.pairs",
    title="Two units of a map, together",
    rule=JOINT,
    at=Configuration((6, 6), 3, 0.5),
)
def pairs(c: Configuration) -> list[Measure]:
    """Two units are both kept with probability (1 - gamma)^|union of their anchors|: near ones go together, far
    ones independently.
    """
    return [
        units_kept(c, "units (2, 2), (3, 3)", [(2, 2), (3, 3)]),
        units_kept(c, "units (2, 1), (2, 4)", [(2, 1), (2, 4)]),
    ]


def _at_rank(feat: tuple[int, ...], keep_prob: float, unit: tuple[int, ...]) -> Check:
    rank = len(feat)

    @law(
        f"law.rank{rank}",
        title=f"Gamma on maps of {rank} spatial {'axis' if rank == 1 else 'axes'}",
        rule=GAMMA,
        at=Configuration(feat, 3, keep_prob),
        severity=Severity.SERIOUS,
    )
    def at_rank(c: Configuration) -> list[Measure]:
        """Eq. (1) with a product over the axes in place of the square."""
        return [untouched_map(c), unit_kept(c, unit)]

    return at_rank


rank1, rank3 = _at_rank((12,), 0.7, (6,)), _at_rank((4, 4, 4), 0.5, (0, 1, 1))


def _in_half(dtype: str) -> Check:
    @law(
        f"law.{dtype}",
        title=f"A small gamma in {dtype}",
        rule="R9, R13 · Algorithm 1 line 5",
        # gamma is 0.9 / 2^8: multiples of 2^-8, and of any power of 2 down to 2^-11, are 12% above it.
        at=Configuration((16, 16), 3, 0.976),
        dtype=dtype,
        needs=claim(lambda s: dtype in s.claims.dtypes, f"does not claim {dtype}"),
    )
    def in_half(c: Configuration) -> list[Measure]:
        """Uniform numbers or thresholds in half precision are too coarse for a small gamma: some layers never drop."""
        return [untouched_map(c)]

    return in_half


float16, bfloat16 = _in_half("float16"), _in_half("bfloat16")
