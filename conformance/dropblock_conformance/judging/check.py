"""What a check is, and the register of all of them.

A check is looked up by a stable id, says which rule and which line of the paper it tests, and turns a context (a
subject, a profile, a stream of randomness of its own) into a finding.
"""

import difflib
import hashlib
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.subject import Array, Subject, call, gradient


@dataclass(frozen=True)
class Profile:
    """How closely a run looks: the margin on gamma, examples an exact check draws, seconds before a check is hung.

    `programs` is how many kinds of call the examples share where each kind costs a compilation.
    """

    name: str
    margin: float
    examples: int
    programs: int
    drawn_laws: int
    timeout: float


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", 0.025, examples=40, programs=8, drawn_laws=2, timeout=120),
        Profile("standard", 0.01, examples=120, programs=60, drawn_laws=3, timeout=600),
        Profile("thorough", 0.0025, examples=500, programs=500, drawn_laws=4, timeout=7200),
    )
}


@dataclass(frozen=True)
class Finding:
    """What a check found: a verdict, the size of the effect, a sentence, and the data behind it (JSON-able)."""

    verdict: Verdict
    effect: float
    summary: str
    data: dict[str, Any] = field(default_factory=dict)


class Violation(Exception):
    """An exact rule is broken, by `effect`."""

    def __init__(self, summary: str, effect: float = 1.0) -> None:
        super().__init__(summary)
        self.effect = effect


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

    def __post_init__(self) -> None:
        digest = hashlib.sha256(f"{self.seed}/{self.check_id}/{self.attempt}".encode()).digest()
        self.digest = int.from_bytes(digest[:16], "little")
        self.rng = np.random.default_rng(self.digest)

    def new_seed(self) -> int:
        """A seed for the subject; its successor is a seed too."""
        return int(self.rng.integers(2**31 - 1))

    def call(self, x: Array, **arguments: Any) -> Array:
        """The subject's answer, as :func:`subject.call` checks it."""
        return call(self.subject, x, **arguments)

    def gradient(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        """The subject's ``(y, dx)``, as :func:`subject.gradient` checks them."""
        return gradient(self.subject, x, dy, **arguments)


@dataclass(frozen=True)
class Check:
    """One rule, tested one way.

    `needs` names what a subject lacks for the check to apply, or None. `plan` lists the statistical tests a run will
    make, which decides how alpha is shared; it is empty for an exact check.
    """

    id: str
    title: str
    rule: str
    explanation: str
    effect_is: str
    run: Callable[[Context], Finding]
    needs: Callable[[Subject], str | None] = lambda subject: None
    tests: Callable[[Profile], int] = lambda profile: 0
    plan: Callable[[Subject, Profile, float, int], list[dict[str, Any]]] = lambda subject, profile, alpha, seed: []


# The rules that the suite judges, as the matrix heads its columns. R5 is judged with R4; R14 concerns adapters.
RULES = {
    "R1": "Inference, and keep_prob 1, return the input",
    "R2": "Gamma is Eq. (1)'s",
    "R3": "A block larger than the map is clipped",
    "R4": "Blocks lie whole in the map, seeds fall evenly where they fit",
    "R6": "Masks are independent between samples, channels and calls",
    "R7": "A dropped unit is zero, its gradient too",
    "R8": "Kept values are scaled by count / count_ones",
    "R9": "Counts are exact at every size and precision",
    "R10": "Zeros, not NaN, where nothing is kept",
    "R11": "Overlapping blocks follow the exact law",
    "R12": "The schedule is linear in training steps",
    "R13": "One seed, one mask",
}


def rule_of(rule: str) -> str:
    """The first rule that a check's `rule` names: the column of the matrix that it counts in."""
    return rule.partition(" ")[0].rstrip(",")


_REGISTER: dict[str, Check] = {}


def register(check: Check) -> Check:
    if check.id in _REGISTER:
        raise ValueError(f"check id {check.id!r} is taken")
    _REGISTER[check.id] = check
    return check


def all_checks() -> dict[str, Check]:
    """Every check by id, in the order of the report."""
    for family in ("mode", "mask", "scale", "gradient", "schedule", "law", "independence", "drawn_law"):
        importlib.import_module(f"dropblock_conformance.checks.{family}")  # which fills the register, once
    return dict(_REGISTER)


def find(ids: Iterable[str]) -> list[Check]:
    """Checks by exact id.

    Raises:
        ValueError: an unknown id, with the nearest known one.
    """
    known = all_checks()
    found = []
    for wanted in ids:
        if wanted not in known:
            near = difflib.get_close_matches(wanted, known, 1, 0.4)
            hint = f"did you mean {near[0]!r}?" if near else "`dropblock-conformance list` shows all checks"
            raise ValueError(f"no check is called {wanted!r}: {hint}")
        found.append(known[wanted])
    return found


def claim(condition: Callable[[Subject], bool], otherwise: str) -> Callable[[Subject], str | None]:
    """A `needs` of one condition."""
    return lambda subject: None if condition(subject) else otherwise
