"""A run from outside: what is refused before it starts, how alpha is shared, and that it can be repeated."""

import re
from typing import Any

import pytest

from dropblock_conformance import Claims, Deviation, Outcome, Subject, certify
from dropblock_conformance.checks import all_checks
from dropblock_conformance.judging.check import Finding
from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.judging.power import FAMILY_ALPHA
from dropblock_conformance.judging.profile import PROFILES
from dropblock_conformance.running.run import Run
from dropblock_conformance.running.timeout import run_within
from dropblock_conformance.running.versions import versions
from tests.mutants import MUTANTS

from ..support import NUMPY, check_of, finding, honest, raising

NEVER = raising(AssertionError("was called, though the arguments are wrong"))


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subject", "arguments", "error", "text"),
    [
        (NEVER.call, {}, TypeError, "subject is a function: wrap the implementation as Subject(name, call)"),
        (NEVER, {"profile": "fast"}, ValueError, "profile='fast' is unknown: choose one of 'quick', 'standard'"),
        (NEVER, {"seed": 0.5}, TypeError, "seed=0.5 is not an integer"),
        (NEVER, {"seed": None}, TypeError, "seed=None is not an integer"),
        (NEVER, {"checks": ["law.papper"]}, ValueError, "no check is called 'law.papper': did you mean 'law.paper'?"),
        (
            NEVER,
            {"expect": [Deviation("mask.block", "r", effect=(0, 1))]},
            ValueError,
            "no check is called 'mask.block': did you mean 'mask.blocks'?",
        ),
        # The first of the two would be forgotten without a word.
        (
            NEVER,
            {"expect": [Deviation("mask.blocks", "r", effect=(0, 1)), Deviation("mask.blocks", "q", effect=(1, 2))]},
            ValueError,
            "mask.blocks",
        ),
    ],
)
def test_wrong_arguments_are_refused_before_the_subject_is_called(
    subject: Any, arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=re.escape(text)):
        certify(subject, **{"profile": "quick", **arguments})


def test_making_a_run_plans_it_and_calls_nothing() -> None:
    run = Run(NEVER, profile="quick")
    planned = {row["check"] for row in run.plan}
    assert planned == {c.id for c in all_checks().values() if c.tests(run.profile) and c.needs(NEVER) is None}
    assert all(row["maps"] > 100 and row["tests"] >= 1 and row["configuration"] for row in run.plan)


# --- alpha ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["quick", "standard", "thorough"])
@pytest.mark.parametrize("claims", [Claims(), Claims(spatial=(1, 2, 3), per_channel=False)], ids=["defaults", "shared"])
def test_alpha_is_shared_by_all_tests_of_the_run(claims: Claims, profile: str) -> None:
    run = Run(honest(claims), profile=profile, checks=[])
    applying = [check for check in all_checks().values() if check.needs(run.subject) is None]
    tests = sum(check.tests(PROFILES[profile]) for check in applying)
    assert tests > 20
    assert run.alpha * tests == pytest.approx(FAMILY_ALPHA)


def test_alpha_is_the_same_when_a_check_is_repeated_alone() -> None:
    # A repetition with another alpha would plan other sample sizes, and see something else.
    whole, alone = Run(NUMPY, profile="quick"), Run(NUMPY, profile="quick", checks=["law.full_map"])
    assert alone.alpha == whole.alpha
    assert alone.plan == [row for row in whole.plan if row["check"] == "law.full_map"]


def test_alpha_is_shared_by_the_subjects_of_a_run() -> None:
    alone, among = (Run(NUMPY, profile="quick", checks=[], subjects_in_run=n) for n in (1, 4))
    assert among.alpha == pytest.approx(alone.alpha / 4)


@pytest.mark.parametrize("id", ["law.pairs", "law.drawn"])  # each map is a trial of theirs
def test_the_plan_is_what_is_sampled(id: str) -> None:
    run = Run(honest(), profile="tiny", checks=[id])
    (result,) = run.results()
    (attempt,) = result.evidence["attempts"]
    parts = attempt["data"].get("settings", [attempt["data"]])
    assert [part["tests"][0]["trials"] for part in parts] == [row["maps"] for row in run.plan]


# --- repetition -----------------------------------------------------------------------------------------------------

SOME = ["law.full_map", "law.drawn", "mask.blocks", "scale.claimed", "seed.fresh", "independence.calls"]


def evidence(subject: Subject, checks: list[str], seed: int) -> list[tuple[str, Outcome, Any]]:
    return [(r.id, r.outcome, r.evidence) for r in certify(subject, profile="tiny", seed=seed, checks=checks).results]


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param(NUMPY, id="right", marks=pytest.mark.exhaustive),
        pytest.param(MUTANTS["ScaleByKeepProb"].build().subject("wrong"), id="wrong"),
    ],
)
def test_the_same_seed_repeats_all_the_evidence_in_any_order(subject: Subject) -> None:
    once = evidence(subject, SOME, 3)
    assert once == evidence(subject, SOME, 3)
    assert sorted(once, key=str) == sorted(evidence(subject, SOME[::-1], 3), key=str)


def test_another_seed_sees_something_else() -> None:
    assert evidence(NUMPY, ["law.full_map"], 3) != evidence(NUMPY, ["law.full_map"], 4)


def test_the_repeat_text_is_a_call_or_a_command() -> None:
    run = Run(NUMPY, profile="quick", seed=7)
    assert run.repeat_command("law.paper") == (
        "certify(subject, profile='quick', seed=7, checks=['law.paper'])  # numpy"
    )
    run = Run(NUMPY, profile="quick", seed=7, repeat="my.module:subject")
    command = "dropblock-conformance run my.module:subject --profile quick --seed 7"
    assert run.repeat_command("law.paper") == f"{command} --check law.paper"
    run = Run(NUMPY, profile="quick", seed=7, repeat="my.module:subject", subjects_in_run=3)
    assert run.repeat_command("law.paper") == f"{command} --among 3 --check law.paper"


def test_the_repeat_call_finds_the_same() -> None:
    wrong = MUTANTS["GammaFivePercentLess"].build().subject("wrong")
    results = certify(wrong, profile="tiny", seed=11, checks=SOME).results
    for result in results:
        again = eval(result.repeat, {"certify": certify, "subject": wrong}).results
        assert [(r.id, r.outcome, r.evidence) for r in again] == [(result.id, result.outcome, result.evidence)]


# --- what a report says ----------------------------------------------------------------------------------------------


def test_a_report_names_subject_claims_profile_seed_and_versions() -> None:
    report = certify(NUMPY, profile="quick", seed=5, checks=["seed.same", "law.float16"])
    assert (report.subject, report.claims, report.profile, report.seed) == ("numpy", NUMPY.claims, "quick", 5)
    assert [row["check"] for row in report.plan] == ["law.float16"]
    assert [result.id for result in report.results] == ["seed.same", "law.float16"]
    assert report.seconds >= sum(result.seconds for result in report.results) > 0
    assert report.versions == versions()
    assert "numpy" in report.versions


# --- the clock ------------------------------------------------------------------------------------------------------


def test_work_within_the_time_gives_its_finding_or_its_exception() -> None:
    found = finding(Verdict.CONFORMS)
    assert run_within(60, lambda: found) is found
    with pytest.raises(ZeroDivisionError):
        run_within(60, lambda: finding(Verdict.CONFORMS, 1 / 0))


def test_both_attempts_share_the_profiles_time_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def record(seconds: float, work: Any) -> Finding:
        given.append(seconds)
        return work()

    monkeypatch.setattr("dropblock_conformance.running.run.run_within", record)
    for timeout in (None, 2.5):
        run = Run(NUMPY, profile="quick", timeout=timeout)
        run.result(check_of(lambda context: finding(Verdict.DEVIATES)))
    assert given == [pytest.approx(seconds, abs=1.0) for seconds in [PROFILES["quick"].timeout] * 2 + [2.5] * 2]
    assert given[1] < given[0]
