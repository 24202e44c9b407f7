"""What a run says: an outcome for each check, and a report of them all."""

from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

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
    """

    id: str
    outcome: Outcome
    rule: str
    evidence: dict[str, Any]
    title: str
    effect: float | None
    seconds: float
    repeat: str

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """What ``asdict`` made of one, as JSON brings it back."""
        return cls(**{**data, "outcome": Outcome(data["outcome"])})

    @property
    def summary(self) -> str:
        return str(self.evidence.get("summary", ""))


@dataclass(frozen=True)
class Report:
    """All results of one subject's run, or why it was `unavailable`: then there are no claims and no results."""

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

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """A report out of what :meth:`as_json` made of it."""
        own = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        claims = data["claims"] and Claims(**from_json(data["claims"]))
        results = [Result.from_json(result) for result in data["results"]]
        return cls(**{**own, "claims": claims, "results": results})

    @property
    def conforms(self) -> bool:
        """Whether every check that applies conforms; a declared deviation is still a deviation."""
        outcomes = {result.outcome for result in self.results}
        return Outcome.CONFORMS in outcomes and outcomes <= set(GOOD)

    @property
    def as_declared(self) -> bool:
        """Whether every check that applies conforms, or deviates just as declared."""
        outcomes = {result.outcome for result in self.results}
        return bool(outcomes & {Outcome.CONFORMS, Outcome.DECLARED}) and outcomes <= {*GOOD, Outcome.DECLARED}

    @property
    def died(self) -> bool:
        """Whether the subject's process ended, or had to be ended, while it was asked."""
        return any("died" in result.evidence for result in self.results)

    @property
    def counts(self) -> Counter[Outcome]:
        return Counter(result.outcome for result in self.results)

    @property
    def verdict(self) -> str:
        """The report in three words or so."""
        if self.unavailable is not None:
            return "unavailable"
        if self.conforms:
            return "conforms"
        if self.as_declared:
            return "deviates as declared"
        if set(self.counts) <= {Outcome.NOT_APPLICABLE}:
            return "nothing applied"
        undecided = {Outcome.INCONCLUSIVE, Outcome.DECLARED, *GOOD}
        return "inconclusive" if set(self.counts) <= undecided else "does not conform"

    def as_json(self) -> dict[str, Any]:
        """The report as the JSON schema describes it (``report.schema.json`` beside this file)."""
        return {**asdict(self), "conforms": self.conforms, "as_declared": self.as_declared, "verdict": self.verdict}
