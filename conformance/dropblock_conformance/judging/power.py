# SPDX-License-Identifier: Apache-2.0
"""How many maps to look at, decided before the run.

The smallest number of trials with which :func:`inference.judge` says `conforms` of a right implementation, and
`deviates` of one whose effect is twice the margin in either direction, each with the promised probability. Nothing is
approximated: the counts that lead to each outcome are found from the binomial law, and their probabilities summed.
"""

from functools import lru_cache

from scipy.special import ndtri

from dropblock_conformance.judging.binomial import at_least, at_most, least_with, most_with
from dropblock_conformance.judging.inference import Event

POWER = 0.999
FAMILY_ALPHA = 1e-6
MOST_TRIALS = 2**50  # more than anybody can wait for


def outcome_probabilities(event: Event, trials: int, margin: float, alpha: float, effect: float) -> tuple[float, float]:
    """The probabilities of `conforms` and of `deviates` when the true effect is `effect`."""
    p_low, p_high = sorted((event.probability(-margin), event.probability(margin)))
    p = event.probability(effect)
    # A Clopper-Pearson bound clears a value just when the binomial tail beyond the count is at most alpha / 2 there:
    # lower bound >= v  <=>  P(X >= k | v) <= alpha / 2, and the upper bound alike.
    least_above_low, most_below_high = least_with(alpha / 2, trials, p_low), most_with(alpha / 2, trials, p_high)
    least_above_high, most_below_low = least_with(alpha / 2, trials, p_high), most_with(alpha / 2, trials, p_low)
    conforms = at_most(most_below_high, trials, p) - at_most(least_above_low - 1, trials, p)
    deviates = at_most(most_below_low, trials, p) + at_least(least_above_high, trials, p)
    return max(0.0, conforms), deviates


@lru_cache(maxsize=1024)  # a run asks twice, before it starts and at each check, and all its subjects ask alike
def plan(event: Event, margin: float, alpha: float, power: float = POWER) -> int:
    """The number of trials, to within 1%, that `power` needs on every side."""

    def is_enough(trials: int) -> bool:
        if outcome_probabilities(event, trials, margin, alpha, 0.0)[0] < power:
            return False
        return all(
            outcome_probabilities(event, trials, margin, alpha, effect)[1] >= power
            for effect in (-2 * margin, 2 * margin)
        )

    # A normal approximation to start from, then doubling and halving by the exact law.
    p, step = event.probability(0.0), abs(event.probability(margin) - event.probability(-margin)) / 2
    spread = -float(ndtri(alpha / 2) + ndtri((1 - power) / 2))
    trials = max(16, int(p * (1 - p) * (spread / step) ** 2))
    enough, short = trials, trials
    while not is_enough(enough):
        enough *= 2
        if enough > MOST_TRIALS:
            raise ValueError(f"{event.name}: no number of trials tells an effect of {2 * margin:.0%} from none")
    while short > 8 and is_enough(short):
        short //= 2
    while enough - short > 0.01 * enough:
        middle = (enough + short) // 2
        if is_enough(middle):
            enough = middle
        else:
            short = middle
    return enough
