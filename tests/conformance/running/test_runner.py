"""What a run makes of what its checks find: eight outcomes, and one verdict over them."""

from collections.abc import Callable
from typing import Any

import pytest

from dropblock_conformance import Claims, Deviation, Outcome, Report, Result, certify
from dropblock_conformance.judging.answers import SubjectError
from dropblock_conformance.judging.check import Finding
from dropblock_conformance.judging.inference import Verdict

from ..support import NUMPY, check_of, check_that_finds, finding

CONFORMS, DEVIATES, INCONCLUSIVE = (
    finding(Verdict.CONFORMS, 0.01, "seen to conform"),
    finding(Verdict.DEVIATES, 0.3, "seen to deviate"),
    finding(Verdict.INCONCLUSIVE, 0.1, "seen too little"),
)
BOOM = RuntimeError("boom")
ID = "temporary.check"


def crash(error: Exception = BOOM) -> SubjectError:
    """As `subject.call` raises what the subject raised."""
    wrapped = SubjectError(str(error))
    wrapped.__cause__ = error
    return wrapped


def declared(**bound: Any) -> list[Deviation]:
    return [Deviation(ID, "known for years", reproduce="a command", **bound)]


WITHIN, ELSEWHERE, RAISES, RAISES_OTHER = (
    declared(effect=(0.2, 0.4)),
    declared(effect=(0.5, 0.9)),
    declared(raises=RuntimeError),
    declared(raises="KeyError"),
)


# --- outcomes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("findings", "expect", "outcome"),
    [
        ((CONFORMS,), (), Outcome.CONFORMS),
        ((DEVIATES, DEVIATES), (), Outcome.DEVIATES),
        ((INCONCLUSIVE,), (), Outcome.INCONCLUSIVE),
        ((crash(),), (), Outcome.CRASHED),
        ((DEVIATES, crash()), (), Outcome.CRASHED),
        ((DEVIATES, CONFORMS), (), Outcome.INCONCLUSIVE),
        ((DEVIATES, INCONCLUSIVE), (), Outcome.INCONCLUSIVE),
        ((DEVIATES, DEVIATES), WITHIN, Outcome.DECLARED),
        ((DEVIATES, DEVIATES), ELSEWHERE, Outcome.WRONG_CAUSE),
        ((DEVIATES, finding(Verdict.DEVIATES, 0.41)), WITHIN, Outcome.WRONG_CAUSE),
        ((CONFORMS,), WITHIN, Outcome.SURPRISE),
        ((CONFORMS,), RAISES, Outcome.SURPRISE),
        ((INCONCLUSIVE,), WITHIN, Outcome.INCONCLUSIVE),
        ((DEVIATES, CONFORMS), WITHIN, Outcome.INCONCLUSIVE),
        ((DEVIATES, DEVIATES), RAISES, Outcome.WRONG_CAUSE),
        ((crash(),), RAISES, Outcome.DECLARED),
        ((crash(),), declared(raises="RuntimeError"), Outcome.DECLARED),
        ((crash(),), RAISES_OTHER, Outcome.WRONG_CAUSE),
        ((crash(),), WITHIN, Outcome.WRONG_CAUSE),
        ((DEVIATES, crash()), RAISES, Outcome.DECLARED),
    ],
)
def test_outcomes(only_checks: Callable[..., None], findings: Any, expect: Any, outcome: Outcome) -> None:
    only_checks(check_that_finds(*findings))
    (result,) = certify(NUMPY, profile="tiny", expect=expect).results
    assert result.outcome == outcome
    assert (result.id, result.title, result.rule) == (ID, "A title", "R1 · line 1")
    # Nothing is tried a third time, and nothing that was seen is left out.
    seen = [found for found in findings if isinstance(found, Finding)]
    assert [attempt["summary"] for attempt in result.evidence["attempts"]] == [found.summary for found in seen]
    for said in ("reason", "reproduce"):
        assert result.evidence.get(said) == (getattr(expect[0], said) if expect else None)
    assert result.effect == (seen[0].effect if seen == list(findings) else None)  # a crash has no effect


def test_not_applicable_says_what_is_not_claimed_and_runs_nothing(only_checks: Callable[..., None]) -> None:
    only_checks(check_that_finds(BOOM, needs=lambda subject: "does not claim to fly"))
    (result,) = certify(NUMPY, profile="tiny").results
    assert (result.outcome, result.summary, result.effect) == (Outcome.NOT_APPLICABLE, "does not claim to fly", None)


def test_a_deviation_that_does_not_repeat_is_inconclusive_with_both_attempts_in_the_evidence(
    only_checks: Callable[..., None],
) -> None:
    only_checks(check_that_finds(DEVIATES, CONFORMS))
    (result,) = certify(NUMPY, profile="tiny").results
    assert result.summary == "deviated, but not again on a fresh stream: seen to deviate"
    assert [attempt["verdict"] for attempt in result.evidence["attempts"]] == ["deviates", "conforms"]


def test_the_second_attempt_has_a_stream_of_its_own(only_checks: Callable[..., None]) -> None:
    seen: list[int] = []

    def run(context: Any) -> Finding:
        seen.append(context.new_seed())
        return DEVIATES

    only_checks(check_of(run))
    certify(NUMPY, profile="tiny")
    assert len(set(seen)) == len(seen) == 2


@pytest.mark.parametrize(
    ("findings", "expect", "summary"),
    [
        ((DEVIATES, DEVIATES), ELSEWHERE, "an effect in (0.5, 0.9) was declared: seen to deviate"),
        ((CONFORMS,), WITHIN, "a deviation was declared, yet: seen to conform"),
        ((crash(),), WITHIN, "RuntimeError: boom"),
    ],
)
def test_what_was_declared_and_was_not_so_is_told(
    only_checks: Callable[..., None], findings: Any, expect: Any, summary: str
) -> None:
    only_checks(check_that_finds(*findings))
    (result,) = certify(NUMPY, profile="tiny", expect=expect).results
    assert result.summary == summary


def test_an_exception_declared_and_an_effect_seen_names_the_exception(only_checks: Callable[..., None]) -> None:
    only_checks(check_that_finds(DEVIATES, DEVIATES))
    (result,) = certify(NUMPY, profile="tiny", expect=RAISES).results
    assert result.summary.startswith("the exception ")
    assert "RuntimeError" in result.summary
    assert result.summary.endswith(" was declared: seen to deviate")


# --- the report's verdict -------------------------------------------------------------------------------------------


def report_of(*outcomes: Outcome) -> Report:
    results = [Result("a.check", outcome, "R1", {"summary": "s"}, "t", None, 0.0, "again") for outcome in outcomes]
    return Report("mine", Claims(), "quick", 0, 1e-8, [], results, 0.0)


@pytest.mark.parametrize(
    ("outcomes", "conforms", "as_declared", "verdict"),
    [
        ([Outcome.CONFORMS], True, True, "conforms"),
        ([Outcome.CONFORMS, Outcome.NOT_APPLICABLE], True, True, "conforms"),
        ([Outcome.CONFORMS, Outcome.DECLARED], False, True, "deviates as declared"),
        ([Outcome.DECLARED, Outcome.NOT_APPLICABLE], False, True, "deviates as declared"),
        ([Outcome.CONFORMS, Outcome.INCONCLUSIVE], False, False, "inconclusive"),
        ([Outcome.DECLARED, Outcome.INCONCLUSIVE], False, False, "inconclusive"),
        ([Outcome.CONFORMS, Outcome.DEVIATES], False, False, "does not conform"),
        ([Outcome.CONFORMS, Outcome.CRASHED], False, False, "does not conform"),
        ([Outcome.CONFORMS, Outcome.SURPRISE], False, False, "a declared deviation is gone"),
        ([Outcome.CONFORMS, Outcome.WRONG_CAUSE], False, False, "does not conform"),
        ([Outcome.INCONCLUSIVE, Outcome.CRASHED], False, False, "does not conform"),
        # What it does not claim is never a pass by silence.
        ([Outcome.NOT_APPLICABLE], False, False, "nothing applied"),
        ([], False, False, "nothing applied"),
    ],
)
def test_verdicts(outcomes: list[Outcome], conforms: bool, as_declared: bool, verdict: str) -> None:
    report = report_of(*outcomes)
    assert (report.conforms, report.as_declared, report.verdict) == (conforms, as_declared, verdict)
    assert report.counts == {outcome: outcomes.count(outcome) for outcome in set(outcomes)}
