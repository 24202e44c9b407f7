# SPDX-License-Identifier: Apache-2.0
"""The law at settings that nobody chose: Hypothesis draws them from the run's seed, a fixed number of them.

Sides from 1 to 128, blocks and keep_probs of every size, so that nobody can be right at the suite's own settings alone.
No shrinking and no retries, and alpha is shared among all of them beforehand: a bare p < 0.01 under `@given` would
false-alarm in 63% of the runs over 100 examples, and shrinking would then chase noise.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from dropblock_conformance.checks.events import border, units_apart
from dropblock_conformance.checks.law import GAMMA
from dropblock_conformance.judging.check import Check, Context, Finding, check
from dropblock_conformance.judging.configuration import Configuration
from dropblock_conformance.judging.drawing import drawn
from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.judging.profile import Profile
from dropblock_conformance.judging.statistical import Measure, measure_law, plan_row, sampling
from dropblock_conformance.level import Severity
from dropblock_conformance.subject import Claims, Subject

Drawn = tuple[Configuration, str]  # and the dtype

# Of each a setting is drawn with the same chance: rarely anything, the usual, half, almost everything.
KEEP_PROBS = [(0.95, 0.99), (0.8, 0.95), (0.4, 0.8), (0.02, 0.4)]
LARGEST_SIDES = {1: [9, 32, 128], 2: [9, 32, 128], 3: [6, 12, 20]}
# A rare seed takes many maps, in proportion to the units of a block over 1 - keep_prob: no more than this.
DEAREST = 100.0
BORDER_MARGINS = 4.0  # times the profile's: fewer units lie there
TESTS = 3  # a setting
# So that twice the widest margin is still a probability, and another one: at gamma 1 nothing more can be lost.
LARGEST_GAMMA = 0.5


@st.composite
def setting(draw: st.DrawFn, claims: Claims, of_paper: bool) -> Drawn:
    """A size of map, a block and a keep_prob; square and of the usual rank and dtype if it is the paper's."""
    rank = claims.law_rank if of_paper else draw(st.sampled_from(claims.spatial))
    keep_prob = round(draw(st.floats(*draw(st.sampled_from(KEEP_PROBS)))), 3)
    blocks = [b for b in range(1, 17) if b**rank <= DEAREST * (1 - keep_prob) and (claims.even_blocks or b % 2)] or [1]
    block_size = draw(st.sampled_from(blocks))
    largest = max(block_size, draw(st.sampled_from(LARGEST_SIDES[rank])))
    sides = st.integers(block_size, largest)
    is_square = of_paper or not claims.non_square
    feat = (draw(sides),) * rank if is_square else tuple(draw(sides) for _ in range(rank))
    dtype = claims.law_dtype if of_paper else draw(st.sampled_from(claims.dtypes))
    c = Configuration(feat, block_size, keep_prob)
    if c.gamma > LARGEST_GAMMA:  # Eq. (1) is linear in 1 - keep_prob
        keep_prob = 1 - (1 - keep_prob) * LARGEST_GAMMA / c.gamma
        c = Configuration(feat, block_size, round(keep_prob + 5e-4, 3))
    return c, dtype


def settings(claims: Claims, of_paper: bool, seed: int, number: int) -> list[Drawn]:
    return drawn(setting(claims, of_paper), seed, number)


def measures(c: Configuration) -> list[Measure]:
    return [units_apart(c), border(c, 0, BORDER_MARGINS), border(c, len(c.feat) - 1, BORDER_MARGINS)]


def _at_drawn(id: str, title: str, explanation: str, of_paper: bool, severity: Severity) -> Check:
    def plan(subject: Subject, profile: Profile, alpha: float, seed: int) -> list[dict[str, Any]]:
        return [
            plan_row(c, TESTS, sampling(c, measures(c), subject.claims, profile.margin, alpha))
            for c, _ in settings(subject.claims, of_paper, seed, profile.drawn_laws)
        ]

    def run(context: Context) -> Finding:
        # The same settings at both attempts: only the subject's randomness is fresh.
        at = settings(context.subject.claims, of_paper, context.seed, context.profile.drawn_laws)
        findings = [measure_law(context, c, measures(c), dtype=dtype) for c, dtype in at]
        order = (Verdict.CONFORMS, Verdict.INCONCLUSIVE, Verdict.DEVIATES)
        worst = max(findings, key=lambda finding: (order.index(finding.verdict), abs(finding.effect)))
        return Finding(worst.verdict, worst.effect, worst.summary, {"settings": [f.data for f in findings]})

    run.__doc__ = explanation
    decorate: Callable[[Callable[[Context], Finding]], Check] = check(
        id,
        title=title,
        rule=GAMMA,
        effect="relative error of gamma at the worst of the settings; 0 is the paper's",
        tests=lambda profile: TESTS * profile.drawn_laws,
        plan=plan,
        severity=severity,
    )
    return decorate(run)


at_drawn = _at_drawn(
    "law.drawn",
    "Gamma at settings drawn at random",
    """Square maps, block sizes and keep_probs that nobody chose, drawn by Hypothesis from the run's seed. Units so far
    apart that no block holds two of them are counted, inside the map and along its ends.""",
    of_paper=True,
    severity=Severity.WRONG,
)
everywhere = _at_drawn(
    "law.everywhere",
    "Gamma at maps of any shape, rank and dtype, drawn at random",
    """The same with sides that differ, in every spatial rank and dtype that is claimed.""",
    of_paper=False,
    severity=Severity.SERIOUS,
)
