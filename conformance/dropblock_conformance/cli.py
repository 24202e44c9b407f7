"""The command line: ``dropblock-conformance run``, ``list`` and ``explain``."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from dropblock_conformance.check import PROFILES, all_checks, find
from dropblock_conformance.reports import html, machine, terminal
from dropblock_conformance.runner import Run
from dropblock_conformance.subjects import BUILT_IN, load

FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dropblock-core")
def main() -> None:
    """Certify a DropBlock: is it the paper's?"""


@main.command()
@click.argument("subjects", nargs=-1, required=True, metavar="SUBJECT...")
@click.option("--profile", type=click.Choice(list(PROFILES)), default="standard", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Keys every stream; the same seed repeats a run.")
@click.option("--check", "checks", multiple=True, metavar="ID", help="Only this check; may be given again.")
@click.option("--timeout", type=float, help="Seconds before a check counts as hung; by default the profile's.")
@click.option("--among", type=click.IntRange(1), help="Share alpha as in a run of so many subjects.")
@click.option("--html", "html_file", type=FILE, help="Write a report for people, in one file.")
@click.option("--json", "json_file", type=FILE, help="Write a report for machines.")
@click.option("--junit", "junit_file", type=FILE, help="Write JUnit XML.")
@click.pass_context
def run(
    context: click.Context,
    subjects: tuple[str, ...],
    profile: str,
    seed: int,
    checks: tuple[str, ...],
    timeout: float | None,
    among: int | None,
    html_file: Path | None,
    json_file: Path | None,
    junit_file: Path | None,
) -> None:
    """Certify each SUBJECT: a built-in name (see `list`) or module:attribute.

    Exits with 0 if every subject conforms, or deviates just as declared; 1 if one does not; 2 if the command is wrong.
    """
    console = Console()
    outputs = ((html_file, html.write_html), (json_file, machine.write_json), (junit_file, machine.write_junit))
    for file, _ in outputs:
        if file is not None and not file.parent.is_dir():
            raise click.UsageError(f"{file} cannot be written: there is no folder {file.parent}")
    try:
        runs = []
        for name in subjects:
            candidate = load(name)
            runs.append(
                Run(
                    candidate.subject,
                    profile=profile,
                    seed=seed,
                    expect=candidate.expect,
                    checks=checks or None,
                    subjects_in_run=among or len(subjects),
                    repeat=candidate.repeat,
                    timeout=timeout,
                )
            )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    for planned in runs:
        terminal.show_plan(console, planned)
    reports = []
    for planned in runs:
        reports.append(planned.report(terminal.watch(console, planned)))
        terminal.show_report(console, reports[-1])
    terminal.show_verdicts(console, reports)
    for file, write in outputs:
        if file is not None:
            write(reports, file)
            console.print(f"wrote {file}", markup=False, highlight=False)
    context.exit(0 if all(report.as_declared for report in reports) else 1)


@main.command("list")
def list_() -> None:
    """List the built-in subjects and all checks."""
    console = Console()
    table = Table("subject", "what it is", title="Built-in subjects", title_justify="left")
    for name, (_, description) in BUILT_IN.items():
        table.add_row(name, description)
    console.print(table)
    table = Table("check", "rule", "what it asks", title="Checks", title_justify="left")
    for check in all_checks().values():
        table.add_row(check.id, check.rule, check.title)
    console.print(table)


@main.command()
@click.argument("check_id", metavar="CHECK")
def explain(check_id: str) -> None:
    """Explain CHECK: its rule, its line of the paper, what it catches, what its effect measures."""
    try:
        (check,) = find([check_id])
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    console = Console(highlight=False)
    console.print(f"{check.id}: {check.title}\n", style="bold", markup=False)
    console.print(f"Rule:   {check.rule}\nEffect: {check.effect_is}\n\n{check.explanation}", markup=False)
    for profile in PROFILES.values():
        if tests := check.tests(profile):
            console.print(f"{profile.name}: {tests} tests, margin {profile.margin:.2%}", markup=False)
