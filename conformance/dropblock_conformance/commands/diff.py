# SPDX-License-Identifier: Apache-2.0
"""``dropblock-conformance diff``."""

from pathlib import Path

import click
from rich.console import Console

from dropblock_conformance.commands.files import FILE
from dropblock_conformance.reports import json_junit, terminal
from dropblock_conformance.reports.differences import changes


@click.command()
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@click.pass_context
def diff(context: click.Context, before: Path, after: Path) -> None:
    """Show what changed from one report to another, both as --json wrote them.

    Exits with 0 if no verdict, outcome or claim changed, 1 if one did, 2 if the command is wrong.
    """
    try:
        found = list(changes(json_junit.read_json(before), json_junit.read_json(after)))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    terminal.show_changes(Console(), found)
    context.exit(1 if any(change.matters for change in found) else 0)
