"""``dropblock-conformance run``."""

import shlex
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

import click
from rich.console import Console

from dropblock_conformance.judging.profile import PROFILES
from dropblock_conformance.level import LEVELS
from dropblock_conformance.reports import html, json_junit, matrix, terminal
from dropblock_conformance.result import Report
from dropblock_conformance.running import campaign
from dropblock_conformance.running.campaign import Progress, remembered, run_locally
from dropblock_conformance.running.journal import Journal
from dropblock_conformance.running.order import Order
from dropblock_conformance.subjects import GROUPS

FILE = click.Path(dir_okay=False, path_type=Path)
Writer = Callable[[Sequence[Report], Path], None]
GONE, UNWRITTEN = 3, 4  # exit statuses: a subject cannot be had or died, a file could not be written


@click.command()
@click.argument("subjects", nargs=-1, metavar="SUBJECT...")
@click.option("--worker", "workers", multiple=True, metavar="COMMAND", help="Certify what COMMAND answers for.")
@click.option("--profile", type=click.Choice(list(PROFILES)), default="standard", show_default=True)
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default="robust",
    show_default=True,
    help="Ask what the paper says, or also what this project asks beyond it.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Keys every stream; the same seed repeats a run.")
@click.option("--check", "checks", multiple=True, metavar="ID", help="Only this check; may be given again.")
@click.option("--timeout", type=float, help="Seconds before a check counts as hung; by default the profile's.")
@click.option("--among", type=click.IntRange(1), help="Share alpha as in a run of so many subjects.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes at a time.")
@click.option("--dask", "address", metavar="ADDRESS", help="Run on the Dask cluster of this scheduler instead.")
@click.option("--journal", "journal_file", type=FILE, help="Keep finished checks here, and go on from those kept.")
@click.option("--html", "html_file", type=FILE, help="Write a report for people, in one file.")
@click.option("--markdown", "markdown_file", type=FILE, help="Write the matrix as Markdown.")
@click.option("--json", "json_file", type=FILE, help="Write a report for machines.")
@click.option("--junit", "junit_file", type=FILE, help="Write JUnit XML.")
@click.pass_context
def run(
    context: click.Context,
    subjects: tuple[str, ...],
    workers: tuple[str, ...],
    profile: str,
    level: str,
    seed: int,
    checks: tuple[str, ...],
    timeout: float | None,
    among: int | None,
    jobs: int,
    address: str | None,
    journal_file: Path | None,
    html_file: Path | None,
    markdown_file: Path | None,
    json_file: Path | None,
    junit_file: Path | None,
) -> None:
    """Certify each SUBJECT: a built-in name (see `list`), `ours` or `third-party` for all of them, or module:attribute.

    \b
    Exits with
      0 if every subject conforms, or deviates just as declared;
      1 if one does not;
      2 if the command is wrong;
      3 if a subject cannot be had, or died with its process;
      4 if a file could not be written.
    Where several hold, it is the largest.
    """
    console = Console()
    outputs = (
        (html_file, html.write_html),
        (markdown_file, matrix.write_markdown),
        (json_file, json_junit.write_json),
        (junit_file, json_junit.write_junit),
    )
    for file in (*(file for file, _ in outputs), journal_file):
        if file is not None and not file.parent.is_dir():
            raise click.UsageError(f"{file} cannot be written: there is no folder {file.parent}")
    members = (name for subject in subjects for name in GROUPS.get(subject, (subject,)))
    names = dict.fromkeys((*members, *(f"--worker {shlex.quote(command)}" for command in workers)))
    if not names:
        raise click.UsageError("Missing argument 'SUBJECT...', or a --worker COMMAND that answers for one")
    if address and context.get_parameter_source("jobs") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(
            "--jobs is for this machine, and a cluster's workers say how many they run: leave it out with --dask"
        )
    orders = [Order(name, profile, seed, checks or None, among or len(names), timeout, level) for name in names]
    try:
        for order in orders:
            order.validate()
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    journal = Journal(journal_file)
    try:
        with closing(_execute(orders, journal, jobs, address)) as events:
            reports = campaign.reports(orders, terminal.watch(console, remembered(orders, journal, events)))
    except KeyboardInterrupt:
        told = (
            f"the same command goes on from {journal_file}" if journal_file else "--journal FILE would keep its results"
        )
        console.print(f"interrupted: {told}", markup=False, highlight=False)
        context.exit(130)
    except ConnectionError as error:
        raise click.UsageError(f"--dask: {error}") from error
    for report in reports:
        terminal.show_report(console, report)
    terminal.show_verdicts(console, reports)
    if len(reports) > 1:
        terminal.show_matrix(console, reports)
    written = [_write(console, reports, file, write) for file, write in outputs if file is not None]
    context.exit(max(0 if all(written) else UNWRITTEN, *map(_status, reports)))


def _status(report: Report) -> int:
    if report.unavailable is not None or report.died:
        return GONE
    return 0 if report.as_declared else 1


def _write(console: Console, reports: Sequence[Report], file: Path, write: Writer) -> bool:
    """Write a file, whole or not at all; whether that went well."""
    part = file.with_name(f"{file.name}.part")
    try:
        write(reports, part)
        part.replace(file)
    except Exception as error:  # the other files are to be written whatever happens to this one
        part.unlink(missing_ok=True)
        console.print(f"{file} could not be written: {type(error).__name__}: {error}", markup=False, highlight=False)
        return False
    console.print(f"wrote {file}", markup=False, highlight=False)
    return True


def _execute(orders: Sequence[Order], journal: Journal, jobs: int, address: str | None) -> Generator[Progress]:
    if address is None:
        return run_locally(orders, journal, jobs)
    try:
        from dropblock_conformance.running.cluster import run_on_cluster
    except ImportError as error:
        raise click.UsageError(f"--dask needs the package distributed ({error}): pip install distributed") from error
    return run_on_cluster(orders, journal, address)
