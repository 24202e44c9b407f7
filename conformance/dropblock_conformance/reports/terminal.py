# SPDX-License-Identifier: Apache-2.0
"""The run on the terminal: the plan before, a bar or a plain log during, tables after."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar
from rich.table import Table
from rich.text import Text

from dropblock_conformance.judging.power import POWER
from dropblock_conformance.judging.profile import PROFILES
from dropblock_conformance.reports.differences import Change
from dropblock_conformance.reports.matrix import LEGEND, cells, columns
from dropblock_conformance.reports.safe import printable
from dropblock_conformance.result import GOOD, Outcome, Report, Result
from dropblock_conformance.running.campaign import Progress
from dropblock_conformance.running.order import Order

STYLES = {
    Outcome.CONFORMS: "green",
    Outcome.DECLARED: "yellow",
    Outcome.NOT_APPLICABLE: "dim",
    Outcome.INCONCLUSIVE: "magenta",
    Outcome.DEVIATES: "bold red",
    Outcome.SURPRISE: "bold red",
    Outcome.WRONG_CAUSE: "bold red",
    Outcome.CRASHED: "bold red",
}


def show_plan(console: Console, report: Report, *, in_full: bool = True) -> None:
    """How closely and how often will be looked: said before the subject is called, and not changed by what it does."""
    tests = sum(row["tests"] for row in report.plan)
    maps = sum(row["maps"] for row in report.plan)
    margin = PROFILES[report.profile].margin
    console.print(
        Text.assemble(
            (printable(report.subject), "bold"),
            f": profile {report.profile}, seed {report.seed}. {tests} tests on {maps:,} maps, each at alpha "
            f"{report.alpha:.1e} (1e-6 over the run); margin {margin:.2%}: a right implementation conforms, and one "
            f"off by {2 * margin:.2%} deviates, with probability {POWER} a check.",
        )
    )
    if not (report.plan and in_full):
        return
    table = Table("check", "at", "tests", "maps")
    for row in report.plan:
        table.add_row(row["check"], row["configuration"], str(row["tests"]), f"{row['maps']:,}")
    console.print(table)


def watch(console: Console, events: Iterable[Progress], *, in_full: bool = True) -> Iterator[Progress]:
    """The events as they come: of results a progress bar on a terminal, and a line each otherwise.

    In brief, plans are a sentence each, and results that are as they should be are passed over.
    """
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    names: dict[Order, str] = {}
    finished = total = 0
    with ProgressBar(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("")
        for event in events:
            match event.what:
                case Report() as opening:
                    names[event.order] = printable(opening.subject)
                    total += len(event.order.check_ids)
                    show_plan(console, opening, in_full=in_full)
                case Result() as result:
                    finished += 1
                    name, number = names[event.order], f"{finished:{len(str(total))}}/{total}"
                    line = f"{number} {name:14} {result.id:24} {result.outcome:14} {result.seconds:7.2f} s"
                    progress.update(task, completed=finished, total=total, description=escape(f"{name} {result.id}"))
                    if not console.is_terminal and (in_full or result.outcome not in (*GOOD, Outcome.DECLARED)):
                        console.print(line, markup=False, highlight=False)
                case error:
                    show_unavailable(console, event.order.name, str(error))
            yield event


def show_report(console: Console, report: Report) -> None:
    """Every check that applies, with its outcome; then, in full, those that do not simply conform."""
    if report.unavailable is not None:
        return show_unavailable(console, report.subject, report.unavailable)
    title = Text(f"{printable(report.subject)}: {report.verdict}", "bold")  # as text: a subject's name is no markup
    table = Table(title=title, title_justify="left")
    for name in ("check", "outcome", "effect", "what it says"):
        table.add_column(name, no_wrap=name == "check")
    for result in report.results:
        if result.outcome == Outcome.NOT_APPLICABLE:
            continue
        table.add_row(result.id, _outcome(result), _effect(result), result.title)
    console.print(table)
    skipped = [result.id for result in report.results if result.outcome == Outcome.NOT_APPLICABLE]
    if skipped:
        console.print(Text(f"not applicable, as not claimed: {', '.join(skipped)}", style="dim"))
    for result in report.results:
        if result.outcome not in (Outcome.CONFORMS, Outcome.NOT_APPLICABLE):
            console.print(_details(result))


def _details(result: Result) -> Text:
    if result.outcome == Outcome.DECLARED:
        return Text.assemble((result.id, "bold"), " ", _outcome(result), printable(f": {result.evidence['reason']}"))
    text = Text.assemble("\n", (result.id, "bold"), " ", _outcome(result), f"  {result.rule}\n")
    lines = [result.summary]
    if len(result.evidence.get("attempts", [])) > 1:
        lines.append(f"again on a fresh stream: {result.evidence['attempts'][1]['summary']}")
    lines += result.evidence.get("traceback", [])
    lines.append(f"repeat: {result.repeat}")
    text.append("\n".join("  " + printable(line) for line in lines))
    return text


def show_unavailable(console: Console, name: str, reason: str) -> None:
    """A subject that cannot be had is said to be, and why."""
    console.print(Text.assemble((printable(name), "bold"), (": unavailable", "bold red"), f": {printable(reason)}"))


def show_verdicts(console: Console, reports: Sequence[Report]) -> None:
    """Who conforms."""
    table = Table(title="Who conforms", title_justify="left", title_style="bold")
    table.add_column("subject")
    table.add_column("verdict")
    shown: Iterable[Outcome] = [o for o in Outcome if any(report.counts[o] for report in reports)]
    for outcome in shown:
        table.add_column(outcome.replace("_", " "), justify="right")
    table.add_column("seconds", justify="right")
    for report in reports:
        style = "green" if report.conforms else "yellow" if report.as_declared else "bold red"
        counts = [str(report.counts[outcome]) for outcome in shown]
        table.add_row(Text(printable(report.subject)), Text(report.verdict, style), *counts, f"{report.seconds:.1f}")
    console.print(table)


def show_matrix(console: Console, reports: Sequence[Report]) -> None:
    """Rules across, those of the paper first, implementations down."""
    table = Table("", title="Rules across, implementations down", title_justify="left", title_style="bold", padding=0)
    for level, rule in columns():
        table.add_column(Text(rule, "bold" if level == "paper" else "italic"), justify="center")
    for report in reports:
        signs = [Text(cell.sign, STYLES[cell.outcome]) for cell in cells(report)]
        table.add_row(Text(printable(report.subject)), *(signs if report.unavailable is None else ["unavailable"]))
    console.print(table)
    console.print(Text(f"first what the paper says, then what this project asks beyond it; {LEGEND}", "dim"))


def show_changes(console: Console, changes: Sequence[Change]) -> None:
    """What two runs differ in, worse first."""
    if not changes:
        console.print("nothing changed")
        return
    table = Table("subject", "what", "before", "after")
    for change in sorted(changes, key=lambda change: (not change.worse, not change.matters)):
        style = "bold red" if change.worse else "" if change.matters else "dim"
        values = ["" if value is None else str(value).replace("_", " ") for value in (change.before, change.after)]
        table.add_row(*(Text(printable(cell), style) for cell in (change.subject, change.what, *values)))
    console.print(table)


def _outcome(result: Result) -> Text:
    return Text(result.outcome.replace("_", " "), STYLES[result.outcome])


def _effect(result: Result) -> str:
    if result.effect is None:
        return ""
    return (
        "0"
        if result.effect == 0
        else f"{result.effect:+.2%}"
        if abs(result.effect) >= 1e-4
        else f"{result.effect:+.1e}"
    )
