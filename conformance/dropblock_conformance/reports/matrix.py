"""The matrix: rules across, implementations down, an outcome in each cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dropblock_conformance.checks import RULES, rule_of
from dropblock_conformance.reports.safe import printable
from dropblock_conformance.reports.templates import template
from dropblock_conformance.result import WORST_FIRST, Outcome, Report, Result
from dropblock_conformance.subject import DTYPES, Claims

SIGNS = {
    Outcome.CRASHED: "!",
    Outcome.DEVIATES: "✗",
    Outcome.WRONG_CAUSE: "✗",
    Outcome.SURPRISE: "*",
    Outcome.DECLARED: "✗",
    Outcome.INCONCLUSIVE: "?",
    Outcome.CONFORMS: "✓",
    Outcome.NOT_APPLICABLE: "–",
}
LEGEND = (
    "✓ conforms; ✗ deviates, twice, on independent streams; ! crashed; ? inconclusive; * a declared deviation that is "
    "gone; – not claimed, so not judged"
)
DROPS = "drops: share of the units dropped at 14x14, block 7, keep_prob 0.9, where Eq. (1) drops 9.3%"


@dataclass(frozen=True)
class Cell:
    """One implementation under one rule: the worst of what its checks found, and those checks."""

    rule: str
    results: tuple[Result, ...]

    @property
    def worst(self) -> Result | None:
        return min(self.results, key=lambda result: WORST_FIRST.index(result.outcome), default=None)

    @property
    def outcome(self) -> Outcome:
        return Outcome.NOT_APPLICABLE if self.worst is None else self.worst.outcome

    @property
    def sign(self) -> str:
        return SIGNS[self.outcome]

    @property
    def says(self) -> str:
        """The cell in words."""
        judged = [result for result in self.results if result.outcome != Outcome.NOT_APPLICABLE]
        alike = [result for result in judged if result.outcome == self.outcome]
        if not judged:
            return f"{self.rule}: not claimed"
        return f"{self.rule}: {self.outcome.replace('_', ' ')} in {len(alike)} of {len(judged)} checks"


def cells(report: Report) -> list[Cell]:
    """The row of a report, a cell for each rule."""
    return [Cell(rule, tuple(r for r in report.results if rule_of(r.rule) == rule)) for rule in RULES]


def limits(claims: Claims | None) -> str:
    """What an implementation does not offer: limitations, where a cell would show what is wrong."""
    if claims is None:
        return ""
    missing = [dtype for dtype in DTYPES if dtype not in claims.dtypes]
    notes = (
        ("one mask for all channels", not claims.per_channel),
        ("one mask for all samples", not claims.per_sample),
        ("odd blocks only", not claims.even_blocks),
        ("blocks within the map only", not claims.clips),
        ("no seed", not claims.seedable),
        (f"rank {', '.join(map(str, claims.spatial))} only", set(claims.spatial) != {1, 2, 3}),
        (f"no {', '.join(missing)}", bool(missing)),
        (f"line 8 counts by {claims.renorm}", claims.renorm != "tensor"),
    )
    return "; ".join(note for note, holds in notes if holds)


def dropped(report: Report) -> str:
    """The share of units dropped at ``law.paper``'s setting, as observed; empty where that was not measured."""
    measured = (a["data"] for r in report.results if r.id == "law.paper" for a in r.evidence.get("attempts", []))
    share = next((float(np.mean(data["drop_map"]["observed"])) for data in measured if "drop_map" in data), None)
    return "" if share is None else f"{share:.0%}" if share >= 0.01 else f"{share:.1%}"


def write_markdown(reports: Sequence[Report], path: Path) -> None:
    path.write_text(as_markdown(reports), encoding="utf-8")


def as_markdown(reports: Sequence[Report]) -> str:
    """The matrix as a page, with what does not simply conform beneath."""
    versions = {name: version for report in reports for name, version in report.versions.items()}
    return template("matrix.md", text=_as_text).render(
        reports=reports,
        cells=cells,
        dropped=dropped,
        limits=limits,
        rules=RULES,
        legend=LEGEND,
        drops=DROPS,
        versions=versions,
    )


def _as_text(said: str) -> str:
    """What a subject says, on one line of a table, where none of it is Markdown."""
    escaped = "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in printable(said))
    return " ".join(escaped.split())
