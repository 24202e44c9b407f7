# SPDX-License-Identifier: Apache-2.0
"""Every check there is, a file a family, and the rules that they judge."""

import difflib
from collections.abc import Iterable

from dropblock_conformance.checks import (
    coupling,
    distinct,
    drawn_law,
    every_unit,
    gradient,
    independence,
    law,
    mask,
    mode,
    positions,
    scale,
    schedule,
    seeds,
    special_law,
)
from dropblock_conformance.judging.check import Check

# The rules that the suite judges, as the matrix heads its columns. R5 is judged with R4; R14 concerns adapters.
RULES = {
    "R1": "Inference, and keep_prob 1, return the input",
    "R2": "Gamma is Eq. (1)'s",
    "R3": "A block larger than the map is clipped",
    "R4": "Blocks lie whole in the map, seeds fall evenly where they fit",
    "R6": "Masks are independent between samples, channels and calls",
    "R7": "A dropped unit is zero, its gradient too",
    "R8": "Kept values are scaled by count / count_ones",
    "R9": "Counts are exact at every size and precision",
    "R10": "Zeros, not NaN, where nothing is kept",
    "R11": "Overlapping blocks follow the exact law",
    "R12": "The schedule is linear in training steps",
    "R13": "One seed, one mask",
}


def rule_of(rule: str) -> str:
    """The first rule that a check's `rule` names: the column of the matrix that it counts in."""
    return rule.partition(" ")[0].rstrip(",")


# In the order of the report.
ALL = (
    seeds.lasting,  # first: what the very first calls of a process do otherwise shows in it
    mode.inference,
    mode.keep_prob_one,
    mode.dtype,
    mode.layout,
    seeds.same,
    seeds.bits,
    seeds.fresh,
    mask.blocks,
    mask.clipped,
    mask.shared,
    distinct.distinct,
    mask.ignores_values,
    mask.dropped_is_zero,
    every_unit.every_unit,
    every_unit.edges,
    scale.claimed,
    scale.large,
    scale.float16,
    scale.bfloat16,
    scale.nothing_kept,
    gradient.mask,
    gradient.scale,
    every_unit.every_gradient,
    every_unit.gradient_edges,
    gradient.nonfinite,
    gradient.layout,
    gradient.nothing_kept,
    schedule.ends,
    schedule.linear,
    schedule.training_calls,
    schedule.evaluation,
    law.paper,
    law.full_map,
    law.non_square,
    law.wide,
    law.tall,
    law.even_block,
    law.clipped,
    law.dropout,
    law.low_keep_prob,
    law.keep_prob_zero,
    law.corners,
    law.anchors,
    positions.each_unit,
    positions.each_sample,
    positions.each_channel,
    law.one_block,
    law.pairs,
    law.rank1,
    law.rank3,
    law.float16,
    law.bfloat16,
    independence.channels,
    independence.samples,
    independence.calls,
    coupling.all_channels,
    coupling.all_samples,
    coupling.all_calls,
    drawn_law.at_drawn,
    drawn_law.everywhere,
    special_law.special,
)


def all_checks() -> dict[str, Check]:
    """Every check by id, in the order of the report."""
    return {check.id: check for check in ALL}


# Where gamma is far off at the paper's setting, these would say so again, each at several times its usual cost.
REPEATED_BY = law.paper.id
REPEATS = frozenset(
    check.id
    for check in (
        law.non_square,
        law.wide,
        law.tall,
        law.even_block,
        law.clipped,
        law.low_keep_prob,
        law.keep_prob_zero,
        law.corners,
        law.anchors,
        law.one_block,
        law.pairs,
        law.rank1,
        law.rank3,
        law.float16,
        law.bfloat16,
        positions.each_unit,
        drawn_law.at_drawn,
        drawn_law.everywhere,
        special_law.special,
    )
)
FAR_OFF = 0.5  # of gamma


def asked_at(level: str) -> list[Check]:
    """The checks of a run at a level: ``"robust"`` has all."""
    return [check for check in ALL if level in ("robust", check.level)]


def find(ids: Iterable[str]) -> list[Check]:
    """Checks by exact id.

    Raises:
        ValueError: an unknown id, with the nearest known one.
    """
    known = all_checks()
    found = []
    for wanted in ids:
        if wanted not in known:
            near = difflib.get_close_matches(wanted, known, 1, 0.4)
            hint = f"did you mean {near[0]!r}?" if near else "`dropblock-conformance list` shows all checks"
            raise ValueError(f"no check is called {wanted!r}: {hint}")
        found.append(known[wanted])
    return found
