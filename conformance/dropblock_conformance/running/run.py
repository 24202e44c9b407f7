# SPDX-License-Identifier: Apache-2.0
"""A run: plan, share alpha, try every check, repeat what deviates, settle the outcome."""

import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from dropblock_conformance.checks import FAR_OFF, REPEATED_BY, REPEATS, all_checks, asked_at, find
from dropblock_conformance.judging.answers import MOST_SAID, SubjectError, described
from dropblock_conformance.judging.check import Check, Context, Finding, NotApplicableError
from dropblock_conformance.judging.cost import metered
from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.judging.power import FAMILY_ALPHA
from dropblock_conformance.judging.profile import PROFILES
from dropblock_conformance.level import LEVELS, Severity, least_grave, level_of
from dropblock_conformance.result import GOOD, Outcome, Report, Result
from dropblock_conformance.running.giving_up import Patience, given_up
from dropblock_conformance.running.timeout import TimeoutExceededError, checked, run_within
from dropblock_conformance.running.versions import versions
from dropblock_conformance.subject import Deviation, Subject
from dropblock_core.validate import integer


class Run:
    """One subject under one profile: everything is decided here before the subject is called for the first time.

    Args:
        subject, profile, seed, expect: as in :func:`certify`.
        checks: only these, by id.
        subjects_in_run: how many subjects share the run's family-wise alpha.
        repeat: how to name the subject in the command that repeats a check; None for one that has no importable name.
        timeout: seconds a check may take, its repetition included, in place of the profile's.
        level: ``"paper"`` leaves out what the paper does not say.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        profile: str = "standard",
        seed: int = 0,
        expect: Sequence[Deviation] = (),
        checks: Sequence[str] | None = None,
        subjects_in_run: int = 1,
        repeat: str | None = None,
        timeout: float | None = None,
        level: str = "robust",
    ) -> None:
        if not isinstance(subject, Subject):
            raise TypeError(f"subject is a {type(subject).__name__}: wrap the implementation as Subject(name, call)")
        if profile not in PROFILES:
            raise ValueError(f"profile={profile!r} is unknown: choose one of {', '.join(map(repr, PROFILES))}")
        if level not in LEVELS:
            raise ValueError(f"level={level!r} is unknown: choose one of {', '.join(map(repr, LEVELS))}")
        self.level = level
        self.subject, self._meter = metered(subject)
        self.profile, self.seed = PROFILES[profile], integer("seed", seed, "it keys all streams")
        self.timeout = self.profile.timeout if timeout is None else checked(timeout)
        self.expect: dict[str, Deviation] = {}
        for check, deviation in zip(find(d.check for d in expect), expect, strict=True):
            if check.id in self.expect:
                raise ValueError(f"expect declares {check.id!r} twice: give one Deviation a check, with one bound")
            self.expect[check.id] = deviation
        self.is_by_id = checks is not None
        self.checks = asked_at(level) if checks is None else find(checks)
        self._law_is_off: float | None = None  # until it is measured
        self.not_applicable = {c.id: reason for c in self.checks if (reason := c.needs(subject)) is not None}
        self.name_to_repeat, self.subjects_in_run = repeat, subjects_in_run
        # Alpha is shared by all statistical tests of the subject's full run, so a check repeated alone judges alike.
        tests = sum(check.tests(self.profile) for check in all_checks().values() if check.needs(subject) is None)
        self.alpha = FAMILY_ALPHA / max(1, tests) / subjects_in_run
        self.plan = [
            {"check": check.id, **row}
            for check in self.checks
            if check.id not in self.not_applicable
            for row in check.plan(subject, self.profile, self.alpha, self.seed)
        ]

    def results(self) -> Iterator[Result]:
        """Run the checks, one result at a time. One that hangs three times is asked no more."""
        patience = Patience()
        for check in self.checks:
            if patience.is_at_its_end(self.subject):
                yield given_up(check.id, self.repeat_command(check.id))
                continue
            result = self.result(check)
            patience.note(self.subject, result)
            yield result

    def report(self, results: Iterable[Result]) -> Report:
        """What the results say together."""
        start = time.perf_counter()
        collected = list(results)
        return replace(self.opening(), results=collected, seconds=time.perf_counter() - start)

    def opening(self) -> Report:
        """What is known before the subject is called: a report without results."""
        return Report(
            subject=self.subject.name,
            claims=self.subject.claims,
            profile=self.profile.name,
            seed=self.seed,
            alpha=self.alpha,
            plan=self.plan,
            results=[],
            seconds=0.0,
            versions=versions(),
            level=self.level,
        )

    def result(self, check: Check) -> Result:
        """Try a check, repeat it on a fresh stream if it deviates, and settle what that means."""
        lacks = self.not_applicable.get(check.id) or self._repeated(check)
        if lacks is not None:
            return self._result(check, Outcome.NOT_APPLICABLE, {"summary": lacks}, None, 0.0)
        start = time.perf_counter()
        self._meter.read()  # what was asked before is another check's
        attempts: list[Finding] = []
        try:
            attempts.append(self._try(check, 0, self.timeout))
            if check.id == REPEATED_BY:
                self._law_is_off = attempts[0].effect if attempts[0].verdict == Verdict.DEVIATES else 0.0
            if attempts[0].verdict == Verdict.DEVIATES:
                left = self.timeout - (time.perf_counter() - start)
                attempts.append(self._try(check, 1, max(1.0, left)))
        except NotApplicableError as reason:
            return self._result(check, Outcome.NOT_APPLICABLE, {"summary": str(reason)}, None, 0.0)
        except Exception as error:
            return self._crash(check, error, attempts, time.perf_counter() - start)
        outcome, summary = self._settle(check, attempts)
        evidence = {"summary": summary, "attempts": [_as_data(finding) for finding in attempts]}
        if check.id in self.expect:
            evidence |= _declared(self.expect[check.id])
        # Of a deviation that comes in two severities, the lesser one is sure.
        severity = least_grave(*(finding.severity or check.severity for finding in attempts))
        return self._result(check, outcome, evidence, attempts[0].effect, time.perf_counter() - start, severity)

    def _repeated(self, check: Check) -> str | None:
        """Why a check would only say again what another one says, where it was not asked for by its id."""
        if self.is_by_id or check.id not in REPEATS:
            return None
        (paper,) = find([REPEATED_BY])
        if self._law_is_off is None and paper.id not in self.not_applicable:
            self.result(paper)
        off = self._law_is_off or 0.0
        if abs(off) <= FAR_OFF:
            return None
        return f"not run: {paper.id} is off by {off:+.0%}, which would show here again; --check {check.id} runs it"

    def _try(self, check: Check, attempt: int, timeout: float) -> Finding:
        context = Context(
            self.subject, self.profile, self.alpha, self.seed, check.id, attempt, self.level, check.severity
        )
        finding = run_within(timeout, lambda: check.run(context))
        is_less = finding.severity is not None and level_of(finding.severity) != "paper"
        if self.level == "paper" and finding.verdict == Verdict.DEVIATES and is_less:
            return replace(
                finding, verdict=Verdict.CONFORMS, summary=f"as the paper has it, not to the bit: {finding.summary}"
            )
        return finding

    def _settle(self, check: Check, attempts: list[Finding]) -> tuple[Outcome, str]:
        found, deviation = attempts[0].summary, self.expect.get(check.id)
        match attempts[0].verdict, deviation:
            case Verdict.INCONCLUSIVE, _:
                return Outcome.INCONCLUSIVE, found
            case Verdict.CONFORMS, None:
                return Outcome.CONFORMS, found
            case Verdict.CONFORMS, _ if self.level == "paper":  # which asks for less than was declared
                return Outcome.CONFORMS, found
            case Verdict.CONFORMS, _:
                return Outcome.SURPRISE, f"a deviation was declared, yet: {found}"
        if attempts[1].verdict != Verdict.DEVIATES:
            return Outcome.INCONCLUSIVE, f"deviated, but not again on a fresh stream: {found}"
        if deviation is None:
            return Outcome.DEVIATES, found
        if all(deviation.covers(finding.effect) for finding in attempts):
            return Outcome.DECLARED, found
        declared = f"an effect in {deviation.effect}" if deviation.effect else f"the exception {deviation.raises}"
        return Outcome.WRONG_CAUSE, f"{declared} was declared: {found}"

    def _crash(self, check: Check, error: Exception, attempts: list[Finding], seconds: float) -> Result:
        cause = error.__cause__ or error if isinstance(error, SubjectError) else error
        lines = _traceback(cause)
        evidence: dict[str, Any] = {
            "summary": described(cause),
            "traceback": lines,
            "attempts": [_as_data(finding) for finding in attempts],
        }
        if isinstance(cause, TimeoutExceededError):
            evidence["hung"] = True
        outcome = Outcome.CRASHED
        if (deviation := self.expect.get(check.id)) is not None:
            evidence |= _declared(deviation)
            outcome = Outcome.DECLARED if deviation.covers_exception(cause) else Outcome.WRONG_CAUSE
        return self._result(check, outcome, evidence, None, seconds)

    def _result(
        self,
        check: Check,
        outcome: Outcome,
        evidence: dict[str, Any],
        effect: float | None,
        seconds: float,
        severity: Severity | None = None,
    ) -> Result:
        return Result(
            id=check.id,
            outcome=outcome,
            rule=check.rule,
            evidence=evidence,
            title=check.title,
            effect=effect,
            seconds=seconds,
            repeat=self.repeat_command(check.id),
            level=check.level,
            severity=None if outcome in GOOD else severity or check.severity,
            cost=self._meter.read(),
        )

    def repeat_command(self, check_id: str) -> str:
        """The one command, or Python call, that repeats a check."""
        if self.name_to_repeat is not None:
            return command_to_repeat(
                self.name_to_repeat, self.profile.name, self.seed, self.subjects_in_run, check_id, self.level
            )
        level = "" if self.level == "robust" else f", level={self.level!r}"
        options = f"profile={self.profile.name!r}, seed={self.seed}{level}, checks=[{check_id!r}]"
        return f"certify(subject, {options})  # {self.subject.name}"


def command_to_repeat(
    name: str, profile: str, seed: int, subjects_in_run: int, check_id: str, level: str = "robust"
) -> str:
    """The command that repeats a check of a subject that has an importable name."""
    # Sample sizes follow from alpha, so a subject that was one among several is judged as such again.
    among = f" --among {subjects_in_run}" if subjects_in_run > 1 else ""
    at_level = f" --level {level}" if level != "robust" else ""
    return f"dropblock-conformance run {name} --profile {profile} --seed {seed}{at_level}{among} --check {check_id}"


def certify(
    subject: Subject,
    *,
    profile: str = "standard",
    seed: int = 0,
    expect: Sequence[Deviation] = (),
    checks: Sequence[str] | None = None,
    timeout: float | None = None,
    level: str = "robust",
) -> Report:
    """Certify a DropBlock: run every check that its claims allow, and say what was found, with evidence.

    Args:
        subject: the implementation, behind functions of NumPy arrays.
        profile: ``"quick"``, ``"standard"`` or ``"thorough"``: 2.5%, 1% or 0.25% as the margin on gamma.
        seed: keys every stream of the run; the same seed repeats it.
        expect: deviations known beforehand.
        checks: ids of the only checks to run; by default all.
        timeout: seconds a check may take before the subject counts as hung; by default the profile's.
        level: ``"paper"`` asks what the paper says and no more, with a numerical tolerance; ``"robust"`` asks for both.

    Returns:
        A report; ``report.conforms`` is the short answer, and ``report.conforms_to("paper")`` that of the paper alone.
        A subject that raises or hangs is reported as crashed.

    Raises:
        ValueError, TypeError: the arguments are wrong, an unknown check id among them; nothing was called.
    """
    run = Run(subject, profile=profile, seed=seed, expect=expect, checks=checks, timeout=timeout, level=level)
    return run.report(run.results())


def _traceback(error: BaseException) -> list[str]:
    """The end of its traceback, for the report's reader."""
    try:
        lines = "".join(traceback.format_exception(error)).splitlines()
    except Exception:  # a message that raises when it is asked for
        lines = ["".join(traceback.format_tb(error.__traceback__)), described(error)]
    return [line[:MOST_SAID] for line in lines[-8:]]


def _declared(deviation: Deviation) -> dict[str, str]:
    found = {"reason": deviation.reason, "reproduce": deviation.reproduce}
    return {name: said for name, said in found.items() if said is not None}


def _as_data(finding: Finding) -> dict[str, Any]:
    return {
        "verdict": finding.verdict,
        "effect": finding.effect,
        "summary": finding.summary,
        "data": finding.data,
    }
