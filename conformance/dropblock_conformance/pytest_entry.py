# SPDX-License-Identifier: Apache-2.0
"""Certification as pytest tests, one a check."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from dropblock_conformance.judging.check import Check
from dropblock_conformance.result import GOOD, Outcome
from dropblock_conformance.running.run import Run
from dropblock_conformance.subject import Deviation, Subject

if TYPE_CHECKING:
    import pytest


def parametrize(
    subject: Subject,
    *,
    profile: str = "quick",
    seed: int = 0,
    expect: Sequence[Deviation] = (),
    checks: Sequence[str] | None = None,
) -> "pytest.MarkDecorator":
    """A decorator that gives a test function one `check` after the other, to be called without arguments.

    A check that does not conform, nor deviates as declared, fails the test with its evidence; one that does not apply
    is skipped with the reason. Alpha is shared among all checks, as in :func:`certify`, whose arguments these are.

    .. code-block:: python

        @parametrize(Subject("mine", call), profile="quick")
        def test_dropblock(check):
            check()

    Raises:
        ValueError, TypeError: as :func:`certify`, when the decorator is made.
    """
    import pytest

    run = Run(subject, profile=profile, seed=seed, expect=expect, checks=checks)
    parameters = []
    for check in run.checks:
        reason = run.not_applicable.get(check.id)
        marks = [pytest.mark.skip(reason=reason)] if reason is not None else []
        parameters.append(pytest.param(partial(require, run, check), id=check.id, marks=marks))
    return pytest.mark.parametrize("check", parameters)


def require(run: Run, check: Check) -> None:
    """Run one check, and raise AssertionError with its evidence unless it conforms or deviates as declared."""
    import pytest

    result = run.result(check)
    if result.outcome == Outcome.NOT_APPLICABLE:
        pytest.skip(result.summary)
    if result.outcome not in (*GOOD, Outcome.DECLARED):
        lines = [f"{result.id} {result.outcome}: {result.summary}", f"rule: {result.rule}"]
        lines += [*result.evidence.get("traceback", []), f"repeat: {result.repeat}"]
        raise AssertionError("\n".join(lines))
