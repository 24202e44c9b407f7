# SPDX-License-Identifier: Apache-2.0
"""``dropblock-conformance verify``."""

import secrets
import shlex
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from dropblock_conformance.checks import all_checks
from dropblock_conformance.commands.files import FILE, GONE, require_certificate
from dropblock_conformance.reports.safe import printable
from dropblock_conformance.result import Outcome, Report
from dropblock_conformance.running.campaign import reports, run_locally
from dropblock_conformance.running.journal import Journal
from dropblock_conformance.running.order import Order
from dropblock_conformance.running.source import digest_of_sources, digest_of_suite
from dropblock_conformance.subjects import WORKER

BAD = {Outcome.DEVIATES, Outcome.DECLARED, Outcome.WRONG_CAUSE, Outcome.CRASHED}


@click.command()
@click.argument("certificate", type=FILE)
@click.argument("subject", required=False)
@click.option("--checks", "number", type=click.IntRange(1), default=8, show_default=True, help="How many to repeat.")
@click.option("--seed", type=int, help="Keys the repetition; by default a new one, which is printed.")
@click.pass_context
def verify(context: click.Context, certificate: Path, subject: str | None, number: int, seed: int | None) -> None:
    """Say whether CERTIFICATE still holds: repeat a sample of its checks from a new seed.

    SUBJECT is the subject to ask, where it goes by another name here, or is a worker: no command is run because a
    file says so.

    \b
    Exits with
      0 if it is unaltered, and what was repeated came out alike;
      1 if it was altered, or something came out otherwise;
      2 if the command is wrong;
      3 if the subject cannot be had, or died.
    """
    console = Console(highlight=False)
    found = require_certificate(context, console, certificate)
    seed = secrets.randbelow(2**31) if seed is None else seed
    order = order_of(found, subject, number, seed)
    console.print(f"{len(order.checks or ())} checks of {printable(order.name)}, seed {seed}", markup=False)
    with closing(run_locally([order], Journal(), 1)) as events:
        (report,) = reports([order], events)
    if report.unavailable is not None:
        console.print(f"{printable(order.name)}: unavailable: {printable(report.unavailable)}", markup=False)
        context.exit(GONE)
    for what, before, now in (
        ("the subject's source", found["subject"]["source"], digest_of_sources(report.sources)),
        ("the suite's source", found["suite"]["source"], digest_of_suite()),
    ):
        console.print(f"{what} is {'the same' if before == now else 'another one'}", markup=False)
    holds = show(console, found, report)
    console.print("it holds" if holds else "it does not hold", style="bold")
    context.exit(GONE if report.died else 0 if holds else 1)


def order_of(found: dict[str, Any], subject: str | None, number: int, seed: int) -> Order:
    """What to repeat: some of the checks that were decided, a law and an exact one among them where there were."""
    decided = {Outcome.CONFORMS, Outcome.DEVIATES, Outcome.DECLARED}
    if subject is None and found["subject"]["name"].startswith(WORKER):
        name = printable(found["subject"]["name"])
        raise click.UsageError(f"the certificate names a command, {name}: to run it, add -- {shlex.quote(name)}")
    known = all_checks()
    ids = [id for id, said in found["outcomes"].items() if id in known and said["outcome"] in decided]
    if not ids:
        raise click.UsageError("the certificate has no outcome that could be repeated")
    chance = Random(seed)
    kinds = [[id for id in ids if id.startswith("law.") == is_law] for is_law in (True, False)]
    first = [chance.choice(kind) for kind in kinds if kind][:number]
    others = [id for id in ids if id not in first]
    sample = {*first, *chance.sample(others, min(len(others), number - len(first)))}
    run = found["run"]
    checks = tuple(id for id in ids if id in sample)
    order = Order(subject or found["subject"]["name"], run["profile"], seed, checks, level=run["level"])
    try:
        order.validate()
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return order


def show(console: Console, found: dict[str, Any], report: Report) -> bool:
    """What each check said then and says now; whether all of it holds. A declared deviation is a deviation."""
    table = Table("check", "then", "now")
    holds = True
    for result in report.results:
        then = Outcome(found["outcomes"][result.id]["outcome"])
        same = result.outcome == then or {then, result.outcome} <= BAD
        holds &= same
        table.add_row(result.id, then.replace("_", " "), f"{result.outcome.replace('_', ' ')}{'' if same else '  !'}")
    console.print(table)
    return holds
