"""The run on the terminal: the plan before, a bar or a plain log during, tables after."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from dropblock_conformance.power import POWER
from dropblock_conformance.reports.clean import printable
from dropblock_conformance.result import Outcome, Report, Result
from dropblock_conformance.runner import Run

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


def show_plan(console: Console, run: Run) -> None:
    """What will be looked at, how closely and how often: said before the run, and not changed by it."""
    tests = sum(row["tests"] for row in run.plan)
    maps = sum(row["maps"] for row in run.plan)
    console.print(
        Text.assemble(
            (printable(run.subject.name), "bold"),
            f": profile {run.profile.name}, seed {run.seed}; {len(run.checks) - len(run.not_applicable)} checks apply, "
            f"{len(run.not_applicable)} do not. {tests} tests on {maps:,} maps, each at alpha {run.alpha:.1e} "
            f"(1e-6 over the run); margin {run.profile.margin:.2%}: a right implementation conforms, and one off by "
            f"{2 * run.profile.margin:.2%} deviates, with probability {POWER} a check.",
        )
    )
    table = Table("check", "at", "tests", "maps")
    for row in run.plan:
        table.add_row(row["check"], row["configuration"], str(row["tests"]), f"{row['maps']:,}")
    console.print(table)


def watch(console: Console, run: Run) -> Iterator[Result]:
    """The results as they come, with a progress bar on a terminal and a line each otherwise."""
    if not console.is_terminal:
        for number, result in enumerate(run.results(), 1):
            line = f"{number:3}/{len(run.checks)} {result.id:24} {result.outcome:14} {result.seconds:7.2f} s"
            console.print(line, markup=False, highlight=False)
            yield result
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(run.checks))
        results = run.results()
        for check in run.checks:
            progress.update(task, description=check.id)
            yield next(results)
            progress.advance(task)


def show_report(console: Console, report: Report) -> None:
    """Every check that applies, with its outcome; then, in full, those that do not simply conform."""
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
