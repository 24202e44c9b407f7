"""Findings with one cause are one diagnosis, with what it does to users, worst first; and a report in a few lines."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from dropblock_conformance import Claims, Outcome, Report, Subject, certify
from dropblock_conformance.checks import all_checks
from dropblock_conformance.level import Severity, gravity
from dropblock_conformance.reports.brief import show_brief
from dropblock_conformance.reports.diagnosis import CONSEQUENCES, diagnoses, known_faults
from tests.mutants import MUTANTS

from ..support import NUMPY, TINY, raising


def certified(name: str, *checks: str, claims: Claims | None = None) -> Report:
    mutant = MUTANTS[name].build()
    subject = mutant.subject(name)
    return certify(replace(subject, claims=claims or subject.claims), profile="small", checks=checks or None)


LOOKS = {
    "EqOneOnWholeMap": "Eq. (1)'s gamma, but seeds on the whole map",
    "GammaWithoutRegion": "gamma is p / block_size^2 without Eq. (1)'s second factor",
}


@pytest.mark.parametrize("mutant", LOOKS)
def test_a_wrong_law_is_one_diagnosis_with_the_known_fault_that_it_looks_like(mutant: str) -> None:
    report = certified(mutant, "law.paper", "law.full_map", "law.corners", "mode.inference")
    (found,) = diagnoses(report)
    assert found.severity == Severity.WRONG
    assert found.cause == f"this looks like: {LOOKS[mutant]}"
    assert found.checks[0] == "law.paper"
    assert set(found.checks) == {r.id for r in report.findings}
    assert "of the units where Eq. (1) drops 9.3% (14x14, block 7, keep_prob 0.9)" in found.consequence


def test_another_gamma_is_told_by_its_size() -> None:
    report = certify(MUTANTS["GammaFivePercentLess"].build().subject("less"), profile="quick", checks=["law.paper"])
    (found,) = diagnoses(report)
    assert found.cause == "gamma is 5% too small"
    assert found.consequence.startswith("it drops 8.9% of the units where Eq. (1) drops 9.3%")


def test_known_faults_can_be_told_apart() -> None:
    # By thirty standard errors of what `quick` counts, 500,000 maps.
    shares = list(known_faults().values())
    for n, one in enumerate(shares):
        for other in shares[:n]:
            assert max(abs(a - b) for a, b in zip(one, other, strict=True)) > 0.0025


def test_a_side_taken_for_another_is_told_from_a_wrong_law() -> None:
    found = diagnoses(certified("GammaOfTheLongerSide", "law.paper", "law.non_square", "law.tall", "law.wide"))
    assert [diagnosis.cause for diagnosis in found] == [
        "right on square maps; where the sides differ one is taken for the other, or for both"
    ]
    assert found[0].severity == Severity.SERIOUS


def test_rounding_is_one_diagnosis_below_the_noise() -> None:
    checks = ("scale.claimed", "values.every_unit", "gradient.scale", "scale.float16")
    (found,) = diagnoses(certified("ScaleInHalf", *checks))
    assert found.severity == Severity.COSMETIC
    assert len(found.checks) > 2
    assert "in their last digits, by at most" in found.consequence


@pytest.mark.parametrize("mutant", ["MultipliesByMask", "NothingKeptIsNan", "ScheduleEarly", "ScaleByKeepProb"])
def test_every_finding_is_in_one_diagnosis_and_the_worst_come_first(mutant: str) -> None:
    exact = [id for id, check in all_checks().items() if not check.tests(TINY) and id != "scale.large"]
    report = certified(mutant, *exact)
    found = diagnoses(report)
    ids = [id for diagnosis in found for id in diagnosis.checks]
    assert sorted(ids) == sorted(r.id for r in report.findings if r.outcome != Outcome.INCONCLUSIVE)
    assert ids
    severities = [gravity(diagnosis.severity) for diagnosis in found]
    assert severities == sorted(severities)
    assert all(diagnosis.consequence for diagnosis in found)


def test_every_check_has_a_consequence() -> None:
    for id in all_checks():
        assert any(id.startswith(prefix) for prefix in CONSEQUENCES), id


def shown(report: Report) -> str:
    file = StringIO()
    show_brief(Console(file=file, width=200), report)
    return file.getvalue()


def test_what_conforms_is_a_line() -> None:
    said = shown(certify(NUMPY, profile="tiny", checks=["seed.same", "mask.shared", "mode.inference"]))
    assert said.startswith("numpy: conforms (2 of 2 checks, ")
    assert said.count("\n") == 1


def test_what_is_wrong_is_told_with_its_evidence_and_the_command() -> None:
    said = shown(certified("EqOneOnWholeMap", "law.full_map"))
    assert "wrong" in said
    assert "law.full_map: 7x7, block 7, keep_prob 0.75: a map left untouched" in said
    assert "repeat: certify(subject, profile='small', seed=0, checks=['law.full_map'])" in said


def test_a_crash_is_told_and_nothing_a_subject_says_is_obeyed() -> None:
    subject = Subject("[red]x\x1b[0m", raising(RuntimeError("a\x1bb [bold]")).call)
    said = shown(certify(subject, profile="tiny", checks=["seed.same"]))
    assert "[red]x\\x1b[0m: does not conform" in said
    assert "it fails: RuntimeError: a\\x1bb [bold]" in said
    assert "\x1b" not in said


def test_what_is_not_decided_is_no_diagnosis_and_is_said() -> None:
    report = certify(Subject("idle", lambda x, **_: x), profile="tiny", checks=["mask.blocks"])
    assert diagnoses(report) == []
    assert "inconclusive" in shown(report)
    assert "nothing was dropped" in shown(report)
