# SPDX-License-Identifier: Apache-2.0
"""The matrix: rules across in two groups, implementations down, in each cell how grave the gravest finding is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dropblock_conformance.checks import RULES, all_checks, rule_of
from dropblock_conformance.level import LEVELS, Severity, gravity
from dropblock_conformance.reports.diagnosis import diagnoses
from dropblock_conformance.reports.safe import printable
from dropblock_conformance.reports.templates import template
from dropblock_conformance.result import WORST_FIRST, Outcome, Report, Result
from dropblock_conformance.subject import DTYPES, Claims

# What a cell shows of findings: how grave the gravest is. A wrong DropBlock alone has the cross.
GRADES = {
    Severity.WRONG: ("✗", "wrong"),
    Severity.SERIOUS: ("▲", "serious: fails in a way of use that is claimed"),
    Severity.EDGE: ("○", "edge cases only"),
    Severity.HYGIENE: ("○", "edge cases only"),
    Severity.COSMETIC: ("≈", "to rounding"),
}
SIGNS = {
    Outcome.CRASHED: "!",
    Outcome.SURPRISE: "*",
    Outcome.INCONCLUSIVE: "?",
    Outcome.CONFORMS: "✓",
    Outcome.NOT_APPLICABLE: "–",
}
LEGEND = (
    "✓ conforms; ≈ to rounding: differs in the last digits; ○ edge cases only: rare calls, NaN, reproducibility; "
    "▲ fails in a way of use that is claimed; ✗ wrong: another regulariser; ! crashed; ? inconclusive; * a declared "
    "deviation that is gone; – not claimed, or not run"
)
# Rules that no check of its own asks for beyond the paper, whose checks find lesser things too: last digits, say, or
# what is wrong on maps that are not square.
LESS_THAN_WRONG = {"R1", "R4", "R6", "R8"}
DROPS = "drops: share of the units dropped at 14x14, block 7, keep_prob 0.9, where Eq. (1) drops 9.3%"


@dataclass(frozen=True)
class Cell:
    """One implementation under one rule at one level: the worst of what its checks found, and those checks."""

    level: str
    rule: str
    results: tuple[Result, ...]

    @property
    def worst(self) -> Result | None:
        return min(self.results, key=self._badness, default=None)

    @property
    def outcome(self) -> Outcome:
        return Outcome.NOT_APPLICABLE if self.worst is None else self._outcome(self.worst)

    @property
    def sign(self) -> str:
        return SIGNS.get(self.outcome) or GRADES[self._severity][0]

    @property
    def says(self) -> str:
        """The cell in words."""
        judged = [result for result in self.results if result.outcome != Outcome.NOT_APPLICABLE]
        alike = [result for result in judged if self._outcome(result) == self.outcome]
        if not judged:
            return f"{self.rule}: not claimed, or not run"
        grade = "" if self.outcome in SIGNS else f", {GRADES[self._severity][1]}"
        return f"{self.rule}: {self.outcome.replace('_', ' ')} in {len(alike)} of {len(judged)} checks{grade}"

    @property
    def _severity(self) -> Severity:
        return (self.worst and self.worst.severity) or Severity.WRONG

    def _outcome(self, result: Result) -> Outcome:
        """What a result is at this level: to the paper, what is less than wrong conforms."""
        is_less = result.severity not in (None, Severity.WRONG)
        return Outcome.CONFORMS if self.level == "paper" and is_less else result.outcome

    def _badness(self, result: Result) -> tuple[int, int]:
        """Smaller for what is worse: how grave it is, then what came of it."""
        outcome = self._outcome(result)
        is_decided = outcome not in (Outcome.CONFORMS, Outcome.NOT_APPLICABLE, Outcome.INCONCLUSIVE)
        grave = gravity(result.severity or Severity.WRONG) if is_decided else len(Severity)
        return grave, WORST_FIRST.index(outcome)


def columns() -> list[tuple[str, str]]:
    """Level and rule of each column: the rules that the paper's checks judge, then those that robustness asks for."""
    checks = all_checks().values()
    found = {level: {rule_of(check.rule) for check in checks if check.level == level} for level in LEVELS}
    found["robust"] |= LESS_THAN_WRONG
    return [(level, rule) for level in LEVELS for rule in RULES if rule in found[level]]


def cells(report: Report) -> list[Cell]:
    """The row of a report. What a check of the paper's finds that is less than wrong counts as robustness too."""
    found: dict[tuple[str, str], list[Result]] = {column: [] for column in columns()}
    for result in report.results:
        rule = rule_of(result.rule)
        found[result.level, rule].append(result)
        is_less = result.severity not in (None, Severity.WRONG)
        is_robust = ("robust", rule) in found and (is_less or (rule in LESS_THAN_WRONG and result.severity is None))
        if result.level == "paper" and is_robust:
            found["robust", rule].append(result)
    return [Cell(level, rule, tuple(results)) for (level, rule), results in found.items()]


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


HOME = "[The matrix](../{}.md) has the others."  # what a subject's page is known by


def write_markdown(reports: Sequence[Report], path: Path) -> None:
    """The matrix as a page, and beside it, in a folder of its name, a page for each subject with findings.

    Pages that an earlier matrix left there go.
    """
    name = path.name.removesuffix(".part").removesuffix(".md")
    folder, home = path.with_name(name), HOME.format(name)
    for left in folder.glob("*.md"):
        if home in left.read_text(encoding="utf-8", errors="replace"):
            left.unlink()
    pages = file_names(reports)
    if pages:
        folder.mkdir(exist_ok=True)
    for number, file in pages.items():
        report = reports[number]
        page = template("subject.md", text=_as_text).render(report=report, diagnoses=diagnoses(report), home=home)
        (folder / file).write_text(page, encoding="utf-8")
    path.write_text(as_markdown(reports, name), encoding="utf-8")


def file_names(reports: Sequence[Report]) -> dict[int, str]:
    """The page of each report that has findings, by its number: the subject's name, told apart where two share one."""
    found: dict[int, str] = {}
    for number, report in enumerate(reports):
        if report.findings:
            plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in report.subject) or "subject"
            names = (f"{plain}{suffix}.md" for suffix in ("", *(f"-{n}" for n in range(2, len(reports) + 2))))
            # Some file systems hold A and a for one name.
            found[number] = next(name for name in names if name.lower() not in map(str.lower, found.values()))
    return found


def as_markdown(reports: Sequence[Report], folder: str = "matrix") -> str:
    """The matrix as a page, with the worst finding of each in a sentence."""
    versions = {name: version for report in reports for name, version in report.versions.items()}
    return template("matrix.md", text=_as_text).render(
        reports=reports,
        cells=cells,
        columns=columns(),
        diagnoses=diagnoses,
        pages=file_names(reports),
        folder=folder,
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
