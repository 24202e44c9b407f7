# SPDX-License-Identifier: Apache-2.0
"""The law at the sizes where implementations branch (rule R2): each kind of map and batch, drawn from the run's seed.

What a layer does otherwise in such a place it does by a tenth or more, so the margin is wider than elsewhere.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dropblock_conformance.checks.events import units_apart
from dropblock_conformance.checks.law import GAMMA
from dropblock_conformance.judging.check import Context, Finding, check
from dropblock_conformance.judging.configuration import Configuration
from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.judging.profile import Profile
from dropblock_conformance.judging.statistical import Measure, measure_law, plan_row, sampling
from dropblock_conformance.level import Severity
from dropblock_conformance.subject import Claims, Subject

MARGINS, RARE_MARGINS = 3.0, 6.0  # times the profile's
MOST = 14  # kinds


@dataclass(frozen=True)
class Kind:
    """A configuration, and the samples and channels of a call; by default as many as give the planned maps."""

    c: Configuration
    batch: tuple[int, int] | None = None
    coarser: float = MARGINS

    @property
    def measures(self) -> list[Measure]:
        return [units_apart(self.c, self.coarser)]


def kinds(claims: Claims, seed: int) -> list[Kind]:
    """What the claims allow of them all."""
    rng = np.random.default_rng(seed)

    def side(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    n, long, row, column = side(6, 20), side(70, 128), side(8, 40), side(8, 40)
    large, larger, usual = side(70, 100), side(116, 128), side(8, 16)
    found = [Kind(Configuration((long,), 3, 0.8))] if 1 in claims.spatial else []
    if 2 not in claims.spatial:
        return found
    found += [
        Kind(Configuration((large, large), 5, 0.8)),
        Kind(Configuration((larger, larger), 3, 0.9)),
        Kind(Configuration((26, 26), 2 * side(4, 5) + 1, 0.7)),
        Kind(Configuration((24, 24), 5, round(rng.uniform(0.99, 0.995), 4)), None, RARE_MARGINS),
    ]
    if claims.even_blocks:
        found.append(Kind(Configuration((usual, usual), 2, 0.8)))
    if claims.non_square:
        # Blocks that fit: what becomes of others has a check of its own.
        narrow = [((1, row), 1), ((column, 1), 1), ((3, row), 3), ((column, 3), 3)]
        found += [Kind(Configuration(feat, block, 0.7)) for feat, block in (*narrow, ((n, n + 1), 3))]
    if claims.per_sample and claims.per_channel:
        found += [Kind(Configuration((9, 9), 3, 0.7), batch) for batch in ((1, 512), (512, 1), (3, 171))]
    return found


def _plan(subject: Subject, profile: Profile, alpha: float, seed: int) -> list[dict[str, Any]]:
    return [
        plan_row(k.c, 1, sampling(k.c, k.measures, subject.claims, profile.margin, alpha, batch=k.batch))
        for k in kinds(subject.claims, seed)
    ]


@check(
    "law.special",
    title="Gamma at long, narrow, large and small maps and batches",
    rule=GAMMA,
    effect="relative error of gamma at the worst of the kinds; 0 is the paper's",
    tests=lambda profile: MOST,
    plan=_plan,
    severity=Severity.SERIOUS,
)
def special(context: Context) -> Finding:
    """Eq. (1) holds for long sequences, for large maps, for maps of one or three rows or columns and for those whose
    sides differ by 1, for blocks of 2 and of 9 or 11, for a keep_prob above 0.99, for one sample, for one channel, and
    for three samples of an odd number of channels. Sides are drawn from the run's seed.
    """
    found = kinds(context.subject.claims, context.seed)
    findings = [measure_law(context, kind.c, kind.measures, batch=kind.batch) for kind in found]
    order = (Verdict.CONFORMS, Verdict.INCONCLUSIVE, Verdict.DEVIATES)
    worst = max(findings, key=lambda finding: (order.index(finding.verdict), abs(finding.effect)))
    return Finding(worst.verdict, worst.effect, worst.summary, {"settings": [f.data for f in findings]})
