"""The law at settings that nobody chose: Hypothesis draws them from the run's seed, a fixed number of them.

No shrinking and no retries, and alpha is shared among all of them beforehand: a bare p < 0.01 under `@given` would
false-alarm in 63% of the runs over 100 examples, and shrinking would then chase noise.
"""

from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dropblock_conformance.checks.events import unit_kept, untouched_map
from dropblock_conformance.checks.law import GAMMA
from dropblock_conformance.judging.check import Context, Finding, check, claim
from dropblock_conformance.judging.configuration import Configuration
from dropblock_conformance.judging.drawing import drawn
from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.judging.profile import Profile
from dropblock_conformance.judging.statistical import Measure, measure_law, plan_row, sampling
from dropblock_conformance.subject import Subject


@st.composite
def informative(draw: st.DrawFn, even_blocks: bool) -> Configuration:
    """A setting at which an untouched map tells much about gamma: ``S * gamma`` between 0.5 and 2, where it can be."""
    feat = draw(st.tuples(st.integers(3, 9), st.integers(3, 9)))
    block_size = draw(st.sampled_from([b for b in range(2, min(feat) + 1) if even_blocks or b % 2]))
    # S * gamma = (1 - keep_prob) * prod(feat) / block_size^2: aim at it, then stay within probabilities.
    aim = draw(st.floats(0.5, 2.0)) * block_size**2 / prod(feat)
    return Configuration(feat, block_size, round(float(np.clip(1.0 - aim, 0.1, 0.95)), 3))


def drawn_configurations(seed: int, number: int, even_blocks: bool) -> list[Configuration]:
    return drawn(informative(even_blocks), seed, number)


def measures(c: Configuration) -> list[Measure]:
    return [untouched_map(c), unit_kept(c, (c.feat[0] // 2, c.feat[1] // 2))]


def _plan(subject: Subject, profile: Profile, alpha: float, seed: int) -> list[dict[str, Any]]:
    return [
        plan_row(c, 2, sampling(c, measures(c), subject.claims, profile.margin, alpha))
        for c in drawn_configurations(seed, profile.drawn_laws, subject.claims.even_blocks)
    ]


@check(
    "law.drawn",
    title="Gamma at settings drawn at random",
    rule=GAMMA,
    effect="relative error of gamma at the worst of the settings; 0 is the paper's",
    needs=claim(lambda s: 2 in s.claims.spatial, "does not claim spatial rank 2"),
    tests=lambda profile: 2 * profile.drawn_laws,
    plan=_plan,
)
def at_drawn(context: Context) -> Finding:
    """Map sizes, block sizes and keep_probs that nobody chose, drawn by Hypothesis from the run's seed."""
    # The same settings at both attempts: only the subject's randomness is fresh.
    configurations = drawn_configurations(context.seed, context.profile.drawn_laws, context.subject.claims.even_blocks)
    findings = [measure_law(context, c, measures(c)) for c in configurations]
    order = (Verdict.CONFORMS, Verdict.INCONCLUSIVE, Verdict.DEVIATES)
    worst = max(findings, key=lambda finding: (order.index(finding.verdict), abs(finding.effect)))
    return Finding(worst.verdict, worst.effect, worst.summary, {"settings": [finding.data for finding in findings]})
