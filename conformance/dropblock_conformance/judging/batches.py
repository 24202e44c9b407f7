# SPDX-License-Identifier: Apache-2.0
"""Batches as large as a network's, in which every unit is looked at."""

from collections.abc import Callable

from dropblock_conformance.judging.check import Context, Finding, Violation
from dropblock_conformance.judging.exact import Setting, VacuousError, once
from dropblock_conformance.level import Severity, gravity, least_grave

# Samples, channels and side, by spatial rank. Fewer than 65,520 units each, from which a count in float16 is infinite:
# that has a check of its own.
USUAL = {1: (33, 67, 13), 2: (33, 67, 5), 3: (9, 130, 3)}
# More than 2^14 maps; one sample, one channel.
LARGE = [(64, 256, 6, 6), (1, 300, 7, 7), (301, 1, 7, 7)]
UNEQUAL = {2: (17, 9, 8, 15), 3: (5, 9, 4, 5, 3)}


def batches(context: Context) -> list[Setting]:
    """The same kinds of call in every check of a run, as a compiler makes a program of each."""
    claims = context.subject.claims
    usual = {rank: (samples, channels, *(side,) * rank) for rank, (samples, channels, side) in USUAL.items()}
    rank = claims.law_rank
    kinds = [(usual[of_rank], dtype) for dtype, of_rank in claims.dtypes_and_ranks]
    compiles = context.subject.compiles  # a second and more for each
    if rank == 2 and claims.law_dtype != "float16":
        kinds += [(shape, claims.law_dtype) for shape in (LARGE[:1] if compiles else LARGE)]
    if claims.non_square and context.level == "robust" and not compiles:
        kinds += [(UNEQUAL[rank], claims.law_dtype) for rank in claims.spatial if rank in UNEQUAL]
    return [Setting(shape, 3, 0.7, context.new_seed(), dtype) for shape, dtype in kinds]


def in_batches(context: Context, holds: Callable[[Setting], None]) -> Finding:
    """Whether `holds` returns for every batch: the gravest of what is broken, or the first of the gravest."""

    def every() -> str:
        broken: list[Violation] = []
        told = units = 0
        for setting in batches(context):
            try:
                holds(setting)
            except VacuousError:
                continue
            except Violation as violation:
                severity = violation.severity or context.severity
                if not setting.is_of_paper:
                    severity = least_grave(severity, Severity.SERIOUS)
                broken.append(Violation(f"{violation}, at {setting}", violation.effect, severity))
            told += 1
            units += setting.units
        if broken:
            raise min(broken, key=lambda violation: gravity(violation.severity or context.severity))
        if not told:
            raise VacuousError("nothing was dropped, or nothing kept, of any batch")
        return f"held at each of {units:,} units of {told} batches"

    return once(every)
