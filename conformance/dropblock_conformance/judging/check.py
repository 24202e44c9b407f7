# SPDX-License-Identifier: Apache-2.0
"""What a check is.

A check has a stable id, says which rule and which line of the paper it tests, and turns a context (a subject, a
profile, a stream of randomness of its own) into a finding. `dropblock_conformance.checks` lists them all.
"""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dropblock_conformance.judging.answers import call, gradient
from dropblock_conformance.judging.configuration import Configuration
from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.judging.profile import Profile
from dropblock_conformance.level import Severity, level_of
from dropblock_conformance.subject import Array, Subject


@dataclass(frozen=True)
class Finding:
    """What a check found: a verdict, the size of the effect, a sentence, and the data behind it (JSON-able).

    `severity` is that of this finding where it is less grave than its check's can be.
    """

    verdict: Verdict
    effect: float
    summary: str
    data: dict[str, Any] = field(default_factory=dict)
    severity: Severity | None = None


class Violation(Exception):
    """An exact rule is broken, by `effect`. `severity` where this is less grave than its check's violations can be."""

    def __init__(self, summary: str, effect: float = 1.0, severity: Severity | None = None) -> None:
        super().__init__(summary)
        self.effect, self.severity = effect, severity


class NotApplicableError(Exception):
    """The check turns out, while it runs, to ask for something that the subject does not offer."""


@dataclass
class Context:
    """What a check works with: the subject, the profile, its share of alpha, and randomness keyed by its own id.

    The stream depends on the run's seed, the check's id and the attempt, so adding a check shifts no other.
    """

    subject: Subject
    profile: Profile
    alpha: float
    seed: int
    check_id: str
    attempt: int = 0
    level: str = "robust"
    severity: Severity = Severity.WRONG  # of the gravest that the check can find

    def __post_init__(self) -> None:
        digest = hashlib.sha256(f"{self.seed}/{self.check_id}/{self.attempt}".encode()).digest()
        self.digest = int.from_bytes(digest[:16], "little")
        self.rng = np.random.default_rng(self.digest)

    def new_seed(self) -> int:
        """A seed for the subject; its successor is a seed too."""
        return int(self.rng.integers(2**31 - 1))

    def call(self, x: Array, **arguments: Any) -> Array:
        """The subject's answer, as :func:`answers.call` checks it."""
        return call(self.subject, x, **arguments)

    def gradient(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        """The subject's ``(y, dx)``, as :func:`answers.gradient` checks them."""
        return gradient(self.subject, x, dy, **arguments)


Needs = Callable[[Subject], str | None]


def anything(subject: Subject) -> None:
    """The `needs` of a check that applies to every subject."""


@dataclass(frozen=True)
class Check:
    """One rule, tested one way: made by :func:`check`, or by :func:`statistical.law`.

    `severity` is that of the gravest finding it can make; it belongs to the level that this counts at. `needs` names
    what a subject lacks for the check to apply, or None. `plan` lists the statistical tests a run will
    make, which decides how alpha is shared; it is empty for an exact check. `at` holds what a law is measured at, by
    spatial rank.
    """

    id: str
    title: str
    rule: str
    explanation: str
    effect_is: str
    run: Callable[[Context], Finding]
    needs: Needs = anything
    tests: Callable[[Profile], int] = lambda profile: 0
    plan: Callable[[Subject, Profile, float, int], list[dict[str, Any]]] = lambda subject, profile, alpha, seed: []
    at: Mapping[int, Configuration] = field(default_factory=dict)
    severity: Severity = Severity.WRONG

    @property
    def level(self) -> str:
        """The level it belongs to, ``"paper"`` or ``"robust"``."""
        return level_of(self.severity)


def check(
    id: str,
    *,
    title: str,
    rule: str,
    effect: str,
    needs: Needs = anything,
    severity: Severity = Severity.WRONG,
    **statistics: Any,
) -> Callable[[Callable[[Context], Finding]], Check]:
    """A decorator that makes a check of a function, with the function's docstring as its explanation.

    Args:
        id: stable, ``family.name``: streams of randomness, declarations and reports go by it.
        title: what it asks, in a line.
        rule: R-numbers, then the line of the paper: ``"R4 · Algorithm 1 line 6, Fig. 2"``.
        effect: what its findings' `effect` measures.
        needs: what a subject lacks for the check to apply, or None.
        severity: of the gravest that it can find; the paper's rules alone are ``WRONG``.
        statistics: `tests`, `plan` and `at` of :class:`Check`.
    """
    return lambda run: Check(id, title, rule, explanation_of(run), effect, run, needs, severity=severity, **statistics)


def explanation_of(function: Callable[..., Any]) -> str:
    """A function's docstring as one paragraph."""
    return " ".join((inspect.getdoc(function) or "").split())


def claim(condition: Callable[[Subject], bool], otherwise: str) -> Callable[[Subject], str | None]:
    """A `needs` of one condition."""
    return lambda subject: None if condition(subject) else otherwise
