# SPDX-License-Identifier: Apache-2.0
"""A report in a few lines: what is wrong, what that does to users, and the command that shows it, worst first."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dropblock_conformance.level import Severity
from dropblock_conformance.reports.diagnosis import Diagnosis, diagnoses
from dropblock_conformance.reports.safe import printable
from dropblock_conformance.result import Outcome, Report

STYLES = {
    Severity.WRONG: "bold red",
    Severity.SERIOUS: "red",
    Severity.EDGE: "yellow",
    Severity.HYGIENE: "yellow",
    Severity.COSMETIC: "dim",
}


def show_brief(console: Console, report: Report) -> None:
    """The verdict, then a diagnosis for each cause, and what could not be decided."""
    counts = report.counts
    judged = sum(counts.values()) - counts[Outcome.NOT_APPLICABLE]
    said = f": {report.verdict} ({counts[Outcome.CONFORMS]} of {judged} checks, {report.seconds:.1f} s)"
    console.print(Text.assemble((printable(report.subject), "bold"), said))
    table = Table.grid(padding=(0, 2))
    for diagnosis in diagnoses(report):
        table.add_row("", Text(diagnosis.severity, STYLES[diagnosis.severity]), _diagnosis(diagnosis))
    for result in report.results:
        if result.outcome == Outcome.INCONCLUSIVE:
            told = f"{result.id}: {result.summary}\nrepeat: {result.repeat}"
            table.add_row("", Text("inconclusive", "magenta"), Text(printable(told)))
    if table.row_count:
        console.print(table)


def _diagnosis(diagnosis: Diagnosis) -> Text:
    first = diagnosis.findings[0]
    ids = ", ".join(diagnosis.checks)
    lines = [f"{diagnosis.cause}: {diagnosis.consequence}"]
    if diagnosis.is_declared:
        lines.append(f"declared: {first.evidence['reason']} ({ids})")
    else:
        lines += [f"{ids}: {first.summary}", *first.evidence.get("traceback", [])[-3:], f"repeat: {first.repeat}"]
    return Text(printable("\n".join(lines)))
