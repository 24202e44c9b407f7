# SPDX-License-Identifier: Apache-2.0
"""What a run says: an outcome for each check, and a report of them all."""

from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from dropblock_conformance.level import LEVELS, Severity, gravity
from dropblock_conformance.subject import Claims, from_json

SCHEMA = "dropblock-conformance/1"


class Outcome(StrEnum):
    """The eight outcomes of a check."""

    CONFORMS = "conforms"
    DEVIATES = "deviates"
    DECLARED = "declared"  # deviates, just as was declared
    SURPRISE = "surprise"  # conforms, though a deviation was declared
    WRONG_CAUSE = "wrong_cause"  # deviates otherwise than declared
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not_applicable"
    CRASHED = "crashed"


NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
GOOD = (Outcome.CONFORMS, Outcome.NOT_APPLICABLE)
# The outcome that stands for several is the first of these that is among them.
WORST_FIRST = (
    Outcome.CRASHED,
    Outcome.DEVIATES,
    Outcome.WRONG_CAUSE,
    Outcome.SURPRISE,
    Outcome.DECLARED,
    Outcome.INCONCLUSIVE,
    Outcome.CONFORMS,
    Outcome.NOT_APPLICABLE,
)


@dataclass(frozen=True)
class Result:
    """The outcome of one check.

    Attributes:
        id: the check's id.
        outcome: one of the eight.
        rule: R-number and line of the paper.
        evidence: what was seen, JSON-able: ``summary``, ``attempts`` (each with verdict, effect, summary and data),
            ``reason`` of a declared deviation, ``traceback`` of a crash.
        title: the check's title.
        effect: size of the effect at the first attempt; what it measures is the check's to say.
        seconds: time taken.
        repeat: the one command, or call, that repeats the check.
        level: the level that the check belongs to, ``"paper"`` or ``"robust"``.
        severity: how grave what was found is; None if the check conforms or does not apply.
        cost: what was asked of the subject: ``calls``, ``bytes`` given to it, and ``kinds`` of call (shape, dtype,
            block_size, direction, mode), each of which a compiler makes a program of.
    """

    id: str
    outcome: Outcome
    rule: str
    evidence: dict[str, Any]
    title: str
    effect: float | None
    seconds: float
    repeat: str
    level: str = "robust"
    severity: Severity | None = None
    cost: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """What ``asdict`` made of one, as JSON brings it back."""
        severity = data.get("severity") and Severity(data["severity"])
        return cls(**{**data, "outcome": Outcome(data["outcome"]), "severity": severity})

    def counts_at(self, level: str) -> bool:
        """Whether it counts at a level: at the paper's only what is another regulariser, or may be one."""
        return level == "robust" or (self.level == "paper" and self.severity in (None, Severity.WRONG))

    @property
    def summary(self) -> str:
        return str(self.evidence.get("summary", ""))


@dataclass(frozen=True)
class Report:
    """All results of one subject's run, or why it was `unavailable`: then there are no claims and no results.

    `sources` has the files of the subject that were loaded, each with its digest, where it ran in its own process.
    """

    subject: str
    claims: Claims | None
    profile: str
    seed: int
    alpha: float
    plan: list[dict[str, Any]]
    results: list[Result]
    seconds: float
    versions: dict[str, str] = field(default_factory=dict)
    unavailable: str | None = None
    level: str = "robust"
    sources: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """A report out of what :meth:`as_json` made of it."""
        own = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        claims = data["claims"] and Claims(**from_json(data["claims"]))
        results = [Result.from_json(result) for result in data["results"]]
        return cls(**{**own, "claims": claims, "results": results})

    def conforms_to(self, level: str) -> bool:
        """Whether it conforms at a level; a declared deviation is still a deviation, and what was not asked is no pass.

        At ``"paper"`` the paper's checks conform, or find less than a wrong DropBlock; at ``"robust"`` every check that
        applies conforms.

        Raises:
            ValueError: there is no such level.
        """
        if level not in LEVELS:
            raise ValueError(f"level={level!r} is unknown: choose one of {', '.join(map(repr, LEVELS))}")
        of_level = [result for result in self.results if level == "robust" or result.level == "paper"]
        outcomes = {result.outcome for result in of_level if result.counts_at(level)}
        is_asked = level == "paper" or self.level == "robust"
        has_passed = any(result.outcome not in (Outcome.NOT_APPLICABLE, Outcome.INCONCLUSIVE) for result in of_level)
        return is_asked and has_passed and outcomes <= set(GOOD)

    @property
    def conforms(self) -> bool:
        """Whether it conforms to all that was asked; at level ``"robust"`` that is both levels."""
        return self.conforms_to(self.level)

    @property
    def as_declared(self) -> bool:
        """Whether every check that applies conforms, or deviates just as declared."""
        outcomes = {result.outcome for result in self.results}
        return bool(outcomes & {Outcome.CONFORMS, Outcome.DECLARED}) and outcomes <= {*GOOD, Outcome.DECLARED}

    @property
    def findings(self) -> list[Result]:
        """What does not simply conform, gravest first."""
        bad = [result for result in self.results if result.outcome not in GOOD]
        return sorted(bad, key=lambda r: (gravity(r.severity or Severity.WRONG), WORST_FIRST.index(r.outcome)))

    @property
    def variant(self) -> str | None:
        """What its claims change of the paper's algorithm, in words."""
        if self.claims is None:
            return None
        changes = {
            "no renormalisation (line 8)": self.claims.renorm == "none",
            "one mask for a whole batch": not self.claims.per_sample,
        }
        return " and ".join(what for what, is_changed in changes.items() if is_changed) or None

    @property
    def died(self) -> bool:
        """Whether the subject's process ended, or had to be ended, while it was asked, or it was given up."""
        return any("died" in result.evidence or "given_up" in result.evidence for result in self.results)

    @property
    def counts(self) -> Counter[Outcome]:
        return Counter(result.outcome for result in self.results)

    @property
    def verdict(self) -> str:
        """The report in a few words."""
        if self.unavailable is not None:
            return "unavailable"
        said = self._verdict()
        return f"{said}; a variant: {self.variant}" if self.variant and self.conforms_to("paper") else said

    def _verdict(self) -> str:
        if self.conforms:
            return "conforms" if self.level == "robust" else "the paper's"
        outcomes = {result.outcome for result in self.results}
        undecided = {Outcome.INCONCLUSIVE, Outcome.DECLARED, *GOOD}
        if Outcome.SURPRISE in outcomes and outcomes <= {Outcome.SURPRISE, *undecided}:
            return "a declared deviation is gone"
        number = len(self.findings)
        what = f"{NUMBERS[number] if number < len(NUMBERS) else number} robustness finding{'s' if number > 1 else ''}"
        if self.conforms_to("paper"):
            return f"the paper's; {what}{', as declared' if self.as_declared else ''}"
        if self.as_declared:
            return "deviates as declared"
        if outcomes <= {Outcome.NOT_APPLICABLE}:
            return "nothing applied"
        return "inconclusive" if outcomes <= undecided else "does not conform"

    def as_json(self) -> dict[str, Any]:
        """The report as the JSON schema describes it (``report.schema.json`` beside this file)."""
        said = {
            "conforms": self.conforms,
            "conforms_to_paper": self.conforms_to("paper"),
            "as_declared": self.as_declared,
            "verdict": self.verdict,
        }
        return asdict(self) | said
