"""The judge is fair: calibration on a small scale, at fixed seeds. `make calibrate` does it on a larger one."""

import numpy as np
import pytest

from dropblock_conformance.checks import all_checks, independence, law
from dropblock_conformance.checks.events import unit_kept, untouched_map
from dropblock_conformance.judging.inference import Event
from dropblock_conformance.judging.power import FAMILY_ALPHA, POWER, outcome_probabilities, plan
from dropblock_conformance.judging.profile import PROFILES
from dropblock_conformance.subjects import load
from dropblock_core import block_mask, expected_keep, gamma, sample_seeds
from tests.calibrate import LEVELS, excess, judged_reference, p_values, smallest_ks

# The seeds are fixed, so these outcomes are too; the level says how surprising one would have been beforehand.
SEEDS = range(20)
ALPHA = 1e-4


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    return p_values(map(judged_reference, SEEDS))


def test_randomised_p_values_of_the_reference_are_uniform(reference: dict[str, np.ndarray]) -> None:
    assert len(reference) > 40
    assert smallest_ks(reference) > ALPHA


@pytest.mark.parametrize("level", LEVELS)
def test_exact_p_values_of_the_reference_are_not_too_small(reference: dict[str, np.ndarray], level: float) -> None:
    assert excess(reference, level) > ALPHA


def test_these_figures_would_show_a_fault(reference: dict[str, np.ndarray]) -> None:
    """P-values a little too small on the whole: what a wrong law, or pixels taken for maps, would bring."""
    pooled = {"all": np.concatenate(list(reference.values())) ** 1.8}
    assert smallest_ks(pooled) < ALPHA
    assert excess(pooled, 0.1) < ALPHA


def alpha_of(profile: str) -> float:
    """What each test has of the family's alpha when the reference is certified."""
    subject = load("numpy").subject
    applied = [check for check in all_checks().values() if check.needs(subject) is None]
    return FAMILY_ALPHA / sum(check.tests(PROFILES[profile]) for check in applied)


EVENTS: list[Event] = [
    event
    for measure in (
        untouched_map(law.paper.at[2]),
        unit_kept(law.paper.at[2], (6, 6)),
        independence.calls_apart(independence.PAIRS[2], 0),
    )
    for event in measure.events
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_a_right_implementation_is_accused_at_most_at_the_promised_rate(event: Event, profile: str) -> None:
    """By the binomial law itself, at no effect and at the edge of the margin, where it is hardest not to accuse."""
    margin, alpha = PROFILES[profile].margin, alpha_of(profile)
    trials = plan(event, margin, alpha)
    assert outcome_probabilities(event, trials, margin, alpha, 0.0)[0] >= POWER
    for effect in (-margin, 0.0, margin):
        assert outcome_probabilities(event, trials, margin, alpha, effect)[1] <= alpha


def test_pixels_are_not_independent() -> None:
    """What docs/statistics.md says of an iid z-test on units: about 70% false alarms at alpha 0.01."""
    g, runs = gamma(0.9, 7, 28), 400
    expected = expected_keep(g, 7, 28)
    means = np.array([block_mask(sample_seeds(s, 32, 1, 28, 7, g), 7, 28).mean(axis=(1, 2, 3)) for s in range(runs)])
    z = (means.mean(axis=1) - expected) / np.sqrt(expected * (1 - expected) / (32 * 28 * 28))
    assert 0.6 < np.mean(np.abs(z) > 2.576) < 0.8
    # The map as the unit: a t-test on 32 map means, 2.744 being its two-sided 1% point.
    t = (means.mean(axis=1) - expected) / (means.std(axis=1, ddof=1) / np.sqrt(32))
    assert np.mean(np.abs(t) > 2.744) < 0.05
