"""The suite is only worth its name if it kills every mutant, each by the check meant, and lets the honest one live.

Seeds are fixed, so these outcomes are deterministic; by the planned power each would hold at nearly every other seed.
"""

import pytest

from dropblock_conformance import Outcome, certify
from dropblock_conformance.checks import all_checks
from dropblock_conformance.judging.profile import PROFILES
from tests.mutants import MUTANTS, Mutant

from ..support import honest

# Most faults are so large that a small profile sees them. These are smaller, or rarer among the settings drawn.
LOOK = {
    "GammaFivePercentLess": "quick",
    "MiddleTooRare": "closer",
    "SixtyFourColumns": "closer",
    "ScalePerSample": "closer",
    "CoarseFloat16": "closer",
    "SeedLosesItsLastBit": "closer",
    "OneAnchorNeverDrawn": "quick",
    "LastSampleSpared": "quick",
    "GammaOfTheLongerSide": "quick",
}


def require_killed(mutant: Mutant, profile: str) -> None:
    (result,) = certify(mutant.build().subject(mutant.name), profile=profile, checks=[mutant.killer]).results
    assert result.outcome == Outcome.DEVIATES, result.evidence["summary"]
    assert [attempt["verdict"] for attempt in result.evidence["attempts"]] == ["deviates"] * 2


# One for each check: that it can fail. One that takes a user's standard profile takes ten seconds here too.
FIRST = {m.killer: name for name, m in reversed(MUTANTS.items()) if m.profile == "quick"}


@pytest.mark.parametrize("mutant", FIRST.values())
def test_a_mutant_is_killed_by_the_check_meant_for_it(mutant: str) -> None:
    require_killed(MUTANTS[mutant], LOOK.get(mutant, "small"))


@pytest.mark.exhaustive
@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_a_mutant_is_killed_as_a_user_would_see_it(mutant: Mutant) -> None:
    require_killed(mutant, mutant.profile)


def require_conforming(profile: str) -> None:
    report = certify(honest(), profile=profile)
    assert {
        r.id: r.summary for r in report.results if r.outcome not in (Outcome.CONFORMS, Outcome.NOT_APPLICABLE)
    } == {}
    assert report.conforms


def test_the_mutants_common_ancestor_conforms_in_full() -> None:
    require_conforming("tiny")


@pytest.mark.exhaustive
def test_the_mutants_common_ancestor_conforms_in_full_as_a_user_would_see_it() -> None:
    require_conforming("quick")


def test_every_check_can_fail() -> None:
    assert set(FIRST) == set(all_checks())


def test_there_are_enough_mutants_each_with_one_named_fault() -> None:
    assert len(MUTANTS) >= 150
    assert len({mutant.fault for mutant in MUTANTS.values()}) == len(MUTANTS)
    assert all(mutant.fault and mutant.profile in PROFILES for mutant in MUTANTS.values())
