# SPDX-License-Identifier: Apache-2.0
"""``dropblock-conformance run``."""

import shlex
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

import click
from rich.console import Console

from dropblock_conformance.commands.files import FILE, GONE, UNWRITTEN, require_folder, write
from dropblock_conformance.judging.profile import PROFILES
from dropblock_conformance.level import LEVELS
from dropblock_conformance.reports import html, json_junit, matrix, terminal
from dropblock_conformance.reports.brief import show_brief
from dropblock_conformance.reports.certificate import write_certificate
from dropblock_conformance.result import Report, Result
from dropblock_conformance.running import campaign
from dropblock_conformance.running.campaign import Progress, remembered, run_locally
from dropblock_conformance.running.expect import read_expected, with_expected
from dropblock_conformance.running.journal import Journal
from dropblock_conformance.running.order import Order
from dropblock_conformance.running.timeout import checked
from dropblock_conformance.subjects import GROUPS

Writer = Callable[[Sequence[Report], Path], None]


def _seconds(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    try:
        return None if value is None else checked(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


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
@click.option(
    "--timeout",
    type=float,
    callback=_seconds,
    help="Seconds before a check counts as hung; by default the profile's.",
)
@click.option("--among", type=click.IntRange(1), help="Share alpha as in a run of so many subjects.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes at a time.")
@click.option("--dask", "address", metavar="ADDRESS", help="Run on the Dask cluster of this scheduler instead.")
@click.option("--verbose", is_flag=True, help="Show every check, its plan, and all of what was seen.")
@click.option("--journal", "journal_file", type=FILE, help="Keep finished checks here, and go on from those kept.")
@click.option("--expect", "expect_file", type=FILE, help="Deviations that are known, in TOML; see the documentation.")
@click.option("--certificate", "certificate_file", type=FILE, help="Write a certificate of the one subject.")
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
    verbose: bool,
    journal_file: Path | None,
    expect_file: Path | None,
    certificate_file: Path | None,
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
    for file in (*(file for file, _ in outputs), journal_file, certificate_file):
        require_folder(file)
    members = (name for subject in subjects for name in GROUPS.get(subject, (subject,)))
    names = dict.fromkeys((*members, *(f"--worker {shlex.quote(command)}" for command in workers)))
    if not names:
        raise click.UsageError("Missing argument 'SUBJECT...', or a --worker COMMAND that answers for one")
    if address and context.get_parameter_source("jobs") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(
            "--jobs is for this machine, and a cluster's workers say how many they run: leave it out with --dask"
        )
    if certificate_file is not None and len(names) != 1:
        raise click.UsageError(f"--certificate is of one subject, and {len(names)} are named: run them one by one")
    options = (profile, seed, checks or None, among or len(names), timeout, level)
    orders = _validated([Order(name, *options) for name in names], expect_file)
    try:
        journal = Journal(journal_file)
    except ValueError as error:
        raise click.UsageError(f"--journal: {error}") from error
    say_what_is_recalled(console, journal, orders)
    try:
        with closing(_execute(orders, journal, jobs, address)) as events:
            watched = terminal.watch(console, remembered(orders, journal, events), in_full=verbose)
            reports = campaign.reports(orders, watched)
    except KeyboardInterrupt:
        told = (
            f"the same command goes on from {journal_file}" if journal_file else "--journal FILE would keep its results"
        )
        console.print(f"interrupted: {told}", markup=False, highlight=False)
        context.exit(130)
    except ConnectionError as error:
        raise click.UsageError(f"--dask: {error}") from error
    for report in reports:
        if report.unavailable is None and not verbose:
            show_brief(console, report)
        else:
            terminal.show_report(console, report)
    terminal.show_verdicts(console, reports)
    if len(reports) > 1:
        terminal.show_matrix(console, reports)
    written = [
        write(console, file, lambda path, write_to=write_to: write_to(reports, path))  # type: ignore[misc]
        for file, write_to in outputs
        if file is not None
    ]
    if certificate_file is not None:
        written.append(_certify(console, reports[0], orders[0].name, certificate_file))
    context.exit(max(0 if all(written) else UNWRITTEN, *map(_status, reports)))


def _validated(orders: Sequence[Order], expect_file: Path | None) -> Sequence[Order]:
    """The orders, with what is known of their subjects; what can be refused is refused before anything runs."""
    try:
        if expect_file is not None:
            orders = with_expected(orders, read_expected(expect_file))
        for order in orders:
            order.validate()
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return orders


def say_what_is_recalled(console: Console, journal: Journal, orders: Sequence[Order]) -> None:
    """What is not done again is said, and what of a journal could not be read."""
    recalled = sum(isinstance(what, Result) for order in orders for what in journal.recall(order))
    if recalled:
        console.print(f"recalled {recalled} results from {journal.path}", markup=False, highlight=False)
    if journal.unreadable:
        told = f"{journal.unreadable} lines of {journal.path} could not be read, and are left out"
        console.print(told, markup=False, highlight=False)


def _certify(console: Console, report: Report, name: str, file: Path) -> bool:
    if report.unavailable is not None:
        console.print(f"{file} was not written: the subject cannot be had", markup=False, highlight=False)
        return True  # and the exit status says so
    return write(console, file, lambda path: write_certificate(report, name, path))


def _status(report: Report) -> int:
    if report.unavailable is not None or report.died:
        return GONE
    return 0 if report.as_declared else 1


def _execute(orders: Sequence[Order], journal: Journal, jobs: int, address: str | None) -> Generator[Progress]:
    if address is None:
        return run_locally(orders, journal, jobs)
    try:
        from dropblock_conformance.running.cluster import run_on_cluster
    except ImportError as error:
        raise click.UsageError(f"--dask needs the package distributed ({error}): pip install distributed") from error
    return run_on_cluster(orders, journal, address)
