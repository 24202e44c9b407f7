"""Every check there is, a file a family, and the rules that they judge."""

import difflib
from collections.abc import Iterable

from dropblock_conformance.checks import drawn_law, gradient, independence, law, mask, mode, scale, schedule
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
    mode.inference,
    mode.keep_prob_one,
    mode.dtype,
    mode.layout,
    mode.same_seed,
    mode.fresh,
    mask.blocks,
    mask.clipped,
    mask.shared,
    mask.ignores_values,
    mask.dropped_is_zero,
    scale.claimed,
    scale.large,
    scale.float16,
    scale.bfloat16,
    scale.nothing_kept,
    gradient.mask,
    gradient.scale,
    gradient.nonfinite,
    gradient.nothing_kept,
    schedule.ends,
    schedule.linear,
    schedule.training_calls,
    schedule.evaluation,
    law.paper,
    law.full_map,
    law.non_square,
    law.wide,
    law.even_block,
    law.clipped,
    law.dropout,
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
    independence.channels,
    independence.samples,
    independence.calls,
    drawn_law.at_drawn,
)


def all_checks() -> dict[str, Check]:
    """Every check by id, in the order of the report."""
    return {check.id: check for check in ALL}


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
