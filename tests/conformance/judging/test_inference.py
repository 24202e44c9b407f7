"""From a count to an outcome: intervals that cover, p-values that are honest, events that can be inverted."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dropblock_conformance.judging.inference import (
    Event,
    Judgement,
    Verdict,
    combine,
    interval,
    judge,
    one_seed,
    rate,
    seed_free,
)

from ..support import FixedRng, binomial

ROUNDING = 1e-12


def judged(event: Event, successes: int, trials: int, margin: float = 0.1, alpha: float = 0.01, u: float = 0.5):
    return judge(event, successes, trials, margin, alpha, FixedRng(u))


# --- Clopper-Pearson --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.5, 0.05, 1e-3, 1e-8])
@pytest.mark.parametrize("trials", [1, 2, 7, 30, 61])
def test_the_interval_covers_the_truth_as_often_as_it_promises(trials: int, alpha: float) -> None:
    intervals = [interval(k, trials, alpha) for k in range(trials + 1)]
    for p in [1e-6, *np.linspace(0.01, 0.99, 50), 1 - 1e-6]:
        pmf = binomial(trials, p)
        assert sum(mass for mass, (low, _) in zip(pmf, intervals, strict=True) if low > p) <= alpha / 2 + ROUNDING
        assert sum(mass for mass, (_, high) in zip(pmf, intervals, strict=True) if high < p) <= alpha / 2 + ROUNDING


def test_the_interval_is_no_wider_than_it_must_be() -> None:
    # At its own ends the tail beyond the count has probability alpha / 2 exactly: that defines Clopper-Pearson.
    low, high = interval(7, 20, 0.01)
    assert sum(binomial(20, low)[7:]) == pytest.approx(0.005)
    assert sum(binomial(20, high)[:8]) == pytest.approx(0.005)


def test_the_interval_ends_at_0_and_1_for_the_extreme_counts() -> None:
    assert interval(0, 9, 0.01)[0] == 0.0
    assert interval(9, 9, 0.01)[1] == 1.0


# --- three outcomes ---------------------------------------------------------------------------------------------

GROWING, FALLING = rate("grows with the effect", 0.5), seed_free("falls with the effect", 0.1, 5)


@pytest.mark.parametrize("event", [GROWING, FALLING])
def test_conforms_up_to_the_margin_where_the_interval_ends_and_no_closer(event: Event) -> None:
    trials = 1000
    successes = round(trials * event.probability(0.0))
    seen = judged(event, successes, trials)
    assert seen.low < 0 < seen.high
    ends = max(-seen.low, seen.high)
    assert judged(event, successes, trials, margin=ends).verdict == Verdict.CONFORMS
    assert judged(event, successes, trials, margin=np.nextafter(ends, 0)).verdict == Verdict.INCONCLUSIVE


@pytest.mark.parametrize("event", [GROWING, FALLING])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_deviates_only_where_the_whole_interval_is_beyond_the_margin(event: Event, share: float) -> None:
    seen = judged(event, round(1000 * share), 1000, margin=0.0)
    assert seen.low > 0 or seen.high < 0
    nearest = seen.low if seen.low > 0 else -seen.high
    assert judged(event, seen.successes, 1000, margin=nearest).verdict == Verdict.INCONCLUSIVE
    assert judged(event, seen.successes, 1000, margin=np.nextafter(nearest, 0)).verdict == Verdict.DEVIATES


def test_too_few_trials_are_inconclusive_whatever_they_show() -> None:
    assert {judged(GROWING, k, 5, margin=0.02).verdict for k in range(6)} == {Verdict.INCONCLUSIVE}


@pytest.mark.parametrize("event", [GROWING, FALLING, one_seed("one", 0.04, 9)])
def test_no_trials_at_all_are_inconclusive(event: Event) -> None:
    test = judged(event, 0, 0)
    assert (test.verdict, test.p_value, test.effect) == (Verdict.INCONCLUSIVE, 1.0, 0.0)
    assert test.low == pytest.approx(-1.0)
    assert test.high > 0.1


def test_a_test_reports_what_went_in() -> None:
    test = judged(FALLING, 300, 500, margin=0.07, alpha=1e-4)
    assert (test.event, test.successes, test.trials, test.margin, test.alpha) == (FALLING.name, 300, 500, 0.07, 1e-4)
    assert test.expected == FALLING.probability(0.0) == pytest.approx(0.9**5)
    assert test.effect == pytest.approx(FALLING.effect(0.6))
    assert test.low < test.effect < test.high


# --- events -----------------------------------------------------------------------------------------------------


@st.composite
def events(draw: st.DrawFn) -> tuple[Event, float, bool]:
    """An event, the largest effect at which it is strictly monotone, and whether it grows."""
    kind = draw(st.sampled_from(["seed_free", "one_seed", "rate"]))
    if kind == "rate":
        p0 = draw(st.floats(0.01, 0.9))
        return rate(kind, p0), 1 / p0 - 1, True
    anchors = draw(st.integers(1 if kind == "seed_free" else 2, 64))
    if kind == "one_seed":
        gamma = draw(st.floats(0.01, 0.7)) / anchors
        return one_seed(kind, gamma, anchors), 1 / anchors / gamma - 1, True
    gamma = draw(st.floats(1e-3, 0.5))
    return seed_free(kind, gamma, anchors), 1 / gamma - 1, False


@given(events(), st.floats(0, 0.97))
def test_effect_inverts_probability(case: tuple[Event, float, bool], part: float) -> None:
    event, largest, _ = case
    effect = -1 + part * (1 + largest)
    assume(event.probability(effect) > 1e-100)  # below, floats hold no effect any more
    assert event.effect(event.probability(effect)) == pytest.approx(effect, abs=1e-6)


@given(events(), st.floats(0, 0.97), st.floats(0, 0.97))
def test_probability_is_strictly_monotone(case: tuple[Event, float, bool], part: float, other: float) -> None:
    event, largest, grows = case
    assume(abs(part - other) > 1e-3)
    less, more = (event.probability(-1 + p * (1 + largest)) for p in sorted((part, other)))
    assume(max(less, more) > 1e-100)
    assert less < more if grows else less > more


@pytest.mark.parametrize("p", [0.42, 0.9, 1.0])
def test_more_single_seeds_than_any_gamma_gives_are_the_gamma_that_gives_most(p: float) -> None:
    event = one_seed("one", 0.05, 8)
    assert event.probability(1.5) == pytest.approx((7 / 8) ** 7)  # g = 1/8 gives most, 0.39
    assert event.effect(p) == pytest.approx(1.5)
    assert event.probability(4.0) == event.probability(1.5)


def test_gamma_stops_at_1() -> None:
    assert seed_free("free", 0.6, 3).probability(1.0) == 0.0


# --- p-values ---------------------------------------------------------------------------------------------------

LAWS = [rate("rate", 0.5), rate("rare", 0.03), seed_free("free", 0.1, 3), one_seed("one", 0.1, 4)]


@pytest.mark.parametrize("trials", [1, 4, 25])
@pytest.mark.parametrize("event", LAWS, ids=lambda event: event.name)
def test_the_p_value_is_twice_the_smaller_tail_and_rejects_no_more_often_than_it_says(event: Event, trials: int):
    pmf = binomial(trials, event.probability(0.0))
    p = [judged(event, k, trials).p_value for k in range(trials + 1)]
    assert p == pytest.approx([min(1, 2 * min(sum(pmf[: k + 1]), sum(pmf[k:]))) for k in range(trials + 1)])
    for level in p:  # P(p <= a) jumps at these levels only
        assert sum(mass for mass, value in zip(pmf, p, strict=True) if value <= level) <= level + ROUNDING


@pytest.mark.parametrize("trials", [1, 4, 25])
@pytest.mark.parametrize("event", LAWS, ids=lambda event: event.name)
def test_the_randomised_p_value_is_uniform(event: Event, trials: int) -> None:
    # Each count's values fill a stretch as long as its probability, and the stretches tile [0, 1].
    pmf = binomial(trials, event.probability(0.0))
    starts = [judged(event, k, trials, u=0.0).randomised_p for k in range(trials + 1)]
    ends = [judged(event, k, trials, u=1.0).randomised_p for k in range(trials + 1)]
    assert [end - start for start, end in zip(starts, ends, strict=True)] == pytest.approx(pmf, abs=ROUNDING)
    assert starts == pytest.approx([0.0, *ends[:-1]], abs=ROUNDING)
    assert ends[-1] == pytest.approx(1.0)


# --- several tests of one check ---------------------------------------------------------------------------------


YES, OPEN, NO = Verdict.CONFORMS, Verdict.INCONCLUSIVE, Verdict.DEVIATES


def several(*pairs: tuple[Verdict, float]) -> list[Judgement]:
    return [Judgement("e", 1, 2, 0.5, effect, -1, 1, 0.1, 0.01, verdict, 0.5, 0.5) for verdict, effect in pairs]


@pytest.mark.parametrize(
    ("tests", "verdict", "effect"),
    [
        (several((YES, 0.01), (YES, -0.02)), YES, -0.02),
        (several((YES, 0.01), (OPEN, 0.04), (YES, 0.02)), OPEN, 0.04),
        (several((OPEN, 0.5), (NO, -0.2), (YES, 0.01)), NO, -0.2),
        (several((NO, 0.1), (NO, -0.3)), NO, -0.3),
        # The one shown is one of those that decided, even if a precise one is a little farther off.
        (several((YES, 0.02), (OPEN, 0.01)), OPEN, 0.01),
    ],
)
def test_all_tests_must_conform_and_the_worst_of_the_decisive_ones_is_shown(
    tests: list[Judgement], verdict: Verdict, effect: float
) -> None:
    found, worst = combine(tests)
    assert (found, worst.effect) == (verdict, effect)
