# SPDX-License-Identifier: Apache-2.0
"""The binomial law, exactly: its two tails, the counts where they become rare, and an interval on the probability.

All of it is the incomplete beta function, which `scipy.special` has. `scipy.stats` has the rest as well, but takes most
of a second to load, in each process that judges a subject, and a tenth of a millisecond a call, of which a plan makes
thousands.
"""

from collections.abc import Callable

from scipy import special


def at_most(count: int, trials: int, p: float) -> float:
    """``P(X <= count)`` of a binomial X."""
    if count < 0:
        return 0.0
    return 1.0 if count >= trials else float(special.betaincc(count + 1, trials - count, p))


def at_least(count: int, trials: int, p: float) -> float:
    """``P(X >= count)``."""
    if count <= 0:
        return 1.0
    return 0.0 if count > trials else float(special.betainc(count, trials - count + 1, p))


def most_with(tail: float, trials: int, p: float) -> int:
    """The largest count with ``P(X <= count) < tail``; -1 if there is none."""
    return _first(lambda count: at_most(count, trials, p) >= tail, trials + 1) - 1


def least_with(tail: float, trials: int, p: float) -> int:
    """The smallest count with ``P(X >= count) <= tail``; ``trials + 1`` if there is none."""
    return _first(lambda count: at_least(count, trials, p) <= tail, trials + 1)


def _first(holds: Callable[[int], bool], end: int) -> int:
    """The smallest of the numbers from 0 to `end` where `holds`, which stays so once it does, and does at `end`."""
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def interval(successes: int, trials: int, alpha: float) -> tuple[float, float]:
    """Clopper-Pearson: covers the true probability with at least ``1 - alpha``, for every n and p."""
    failures = trials - successes
    low = special.betaincinv(successes, failures + 1, alpha / 2) if successes > 0 else 0.0
    high = special.betainccinv(successes + 1, failures, alpha / 2) if failures > 0 else 1.0
    return float(low), float(high)
