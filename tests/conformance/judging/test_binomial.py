"""The binomial law against sums of fractions where trials are few, and against `scipy.stats` where they are many."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from dropblock_conformance.judging.binomial import at_least, at_most, interval, least_with, most_with

FEW = 12
CHANCES = st.floats(0.001, 0.999)
TAILS = st.floats(1e-12, 0.5)


def exactly(counts: range, trials: int, p: float) -> float:
    """The probability of these counts."""
    chance = Fraction(p)
    return float(sum(comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in counts if 0 <= k <= trials))


@given(count=st.integers(-2, FEW + 2), trials=st.integers(0, FEW), p=CHANCES)
def test_tails_are_the_sums_of_their_probabilities(count: int, trials: int, p: float) -> None:
    assert at_most(count, trials, p) == pytest.approx(exactly(range(count + 1), trials, p), rel=1e-12)
    assert at_least(count, trials, p) == pytest.approx(exactly(range(count, trials + 1), trials, p), rel=1e-12)


@example(trials=1, p=0.5, tail=0.5)
@given(trials=st.integers(0, 10**7), p=CHANCES, tail=TAILS)
def test_counts_where_a_tail_becomes_rare_are_the_last_and_the_first(trials: int, p: float, tail: float) -> None:
    most, least = most_with(tail, trials, p), least_with(tail, trials, p)
    assert at_most(most, trials, p) < tail <= at_most(most + 1, trials, p)
    assert at_least(least, trials, p) <= tail < at_least(least - 1, trials, p)


@given(trials=st.integers(1, 10**7), share=st.floats(0, 1), alpha=st.floats(1e-12, 0.1))
def test_an_interval_ends_where_the_count_seen_becomes_rare(trials: int, share: float, alpha: float) -> None:
    successes = round(share * trials)
    low, high = interval(successes, trials, alpha)
    assert (low == 0) == (successes == 0)
    assert (high == 1) == (successes == trials)
    if low > 0:
        assert at_least(successes, trials, low) == pytest.approx(alpha / 2, rel=1e-6)
    if high < 1:
        assert at_most(successes, trials, high) == pytest.approx(alpha / 2, rel=1e-6)


@given(trials=st.integers(1, 10**7), share=st.floats(0, 1), p=CHANCES)
def test_many_trials_as_scipy_has_them(trials: int, share: float, p: float) -> None:
    count = round(share * trials)
    law = stats.binom(trials, p)
    assert at_most(count, trials, p) == pytest.approx(float(law.cdf(count)), rel=1e-9, abs=1e-300)
    assert at_least(count, trials, p) == pytest.approx(float(law.sf(count - 1)), rel=1e-9, abs=1e-300)
