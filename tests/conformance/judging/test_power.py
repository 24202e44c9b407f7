"""Sample sizes: the planner's probabilities are exact, its promise is kept, and it asks for no more than it needs."""

import pytest

from dropblock_conformance.judging.inference import Event, Verdict, judge, one_seed, rate, seed_free
from dropblock_conformance.judging.power import FAMILY_ALPHA, POWER, outcome_probabilities, plan
from dropblock_conformance.judging.profile import PROFILES

from ..support import FixedRng, binomial

EVENTS = [
    seed_free("kept", 0.1, 1),
    seed_free("untouched", 0.03, 25),
    one_seed("one block", 0.05, 6),
    rate("anchor", 1 / 9),
    rate("concordant", 0.5),
]


def test_alpha_and_power_are_those_of_the_contract() -> None:
    assert FAMILY_ALPHA == 1e-6
    assert POWER == 0.999


def test_margins_are_those_of_the_contract() -> None:
    margins = {name: PROFILES[name].margin for name in ("quick", "standard", "thorough")}
    assert margins == {"quick": 0.025, "standard": 0.01, "thorough": 0.0025}


@pytest.mark.parametrize("trials", [9, 40, 150])
@pytest.mark.parametrize(("margin", "alpha"), [(0.2, 0.1), (0.45, 1e-3)])
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_outcome_probabilities_are_the_sum_over_all_counts(
    event: Event, margin: float, alpha: float, trials: int
) -> None:
    verdicts = [judge(event, k, trials, margin, alpha, FixedRng(0.5)).verdict for k in range(trials + 1)]
    for effect in (0.0, margin, -margin, 2 * margin, -2 * margin):
        pmf = binomial(trials, event.probability(effect))
        wanted = [
            sum(mass for mass, seen in zip(pmf, verdicts, strict=True) if seen == outcome)
            for outcome in (Verdict.CONFORMS, Verdict.DEVIATES)
        ]
        assert list(outcome_probabilities(event, trials, margin, alpha, effect)) == pytest.approx(wanted, abs=1e-12)


def promise(event: Event, trials: int, margin: float, alpha: float) -> float:
    """The smallest of the three probabilities that are promised."""
    return min(
        outcome_probabilities(event, trials, margin, alpha, 0.0)[0],
        outcome_probabilities(event, trials, margin, alpha, -2 * margin)[1],
        outcome_probabilities(event, trials, margin, alpha, 2 * margin)[1],
    )


@pytest.mark.parametrize(("margin", "power"), [(0.2, POWER), (0.025, POWER), (0.01, 0.9999)])
# Of a common event too few are harder to see than too many.
@pytest.mark.parametrize("event", [*EVENTS, rate("common", 0.7)], ids=lambda event: event.name)
def test_the_planned_number_keeps_the_promise_and_two_percent_less_does_not(
    event: Event, margin: float, power: float
) -> None:
    trials = plan(event, margin, 2e-8, power)
    assert promise(event, trials, margin, 2e-8) >= power
    # Counts are whole numbers, so power climbs in saw teeth: a luckily small number may do, but not all around it.
    fewer = range(int(0.975 * trials), int(0.98 * trials) + 2, max(1, trials // 2000))
    assert min(promise(event, n, margin, 2e-8) for n in fewer) < power


def test_a_closer_look_and_a_smaller_alpha_need_more() -> None:
    event = EVENTS[1]
    assert plan(event, 0.05, 1e-8) < plan(event, 0.025, 1e-8) < plan(event, 0.01, 1e-8)
    assert plan(event, 0.05, 1e-4) < plan(event, 0.05, 1e-8)
    assert plan(event, 0.05, 1e-8, 0.9) < plan(event, 0.05, 1e-8, 0.999)


def test_an_event_that_cannot_tell_is_refused_and_not_planned_for_ever() -> None:
    # At gamma 0.95 an effect of 10% and one of 20% are both gamma 1: the unit is never kept.
    with pytest.raises(ValueError, match="no number of trials tells an effect of 20% from none"):
        plan(seed_free("a unit kept", 0.95, 1), 0.1, 1e-8)
