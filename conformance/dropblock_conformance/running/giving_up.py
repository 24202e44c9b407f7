# SPDX-License-Identifier: Apache-2.0
"""A subject that dies or hangs again and again is given up: its other checks are not run, and said not to be."""

from collections import Counter

from dropblock_conformance.checks import all_checks
from dropblock_conformance.result import Outcome, Result

STRIKES = 3


class Patience:
    """Counts by subject how often it died, or gave no answer in time."""

    def __init__(self) -> None:
        self._strikes: Counter[object] = Counter()

    def note(self, subject: object, result: Result) -> None:
        self._strikes[subject] += "died" in result.evidence or "hung" in result.evidence

    def is_at_its_end(self, subject: object) -> bool:
        return self._strikes[subject] >= STRIKES


def given_up(check_id: str, repeat: str) -> Result:
    """The result of a check that was not run."""
    check = all_checks()[check_id]
    summary = f"not run: given up after the subject died, or gave no answer in time, at {STRIKES} checks"
    return Result(
        id=check_id,
        outcome=Outcome.CRASHED,
        rule=check.rule,
        evidence={"summary": summary, "attempts": [], "given_up": True},
        title=check.title,
        effect=None,
        seconds=0.0,
        repeat=repeat,
        level=check.level,
        severity=check.severity,
    )
