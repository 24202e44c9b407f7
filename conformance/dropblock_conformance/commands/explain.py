# SPDX-License-Identifier: Apache-2.0
"""``dropblock-conformance list`` and ``explain``."""

import click
from rich.console import Console
from rich.table import Table

from dropblock_conformance.checks import all_checks, find
from dropblock_conformance.judging.profile import PROFILES
from dropblock_conformance.running.run import certify
from dropblock_conformance.subjects import BUILT_IN, load


@click.command("list")
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


@click.command()
@click.argument("check_id", metavar="CHECK")
@click.option("--cost", is_flag=True, help="Run it on the NumPy reference too, and say what it asks for.")
def explain(check_id: str, cost: bool) -> None:
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
    if not cost:
        return
    (result,) = certify(load("numpy").subject, profile="quick", checks=[check_id]).results
    asked, megabytes = result.cost, result.cost["bytes"] / 1e6
    console.print(
        f"\nAt quick it asks the NumPy reference for {asked['calls']:,} calls of {asked['kinds']:,} kinds "
        f"(shape, dtype, block_size, direction, mode) and gives it {megabytes:.1f} MB; it took {result.seconds:.2f} s.",
        markup=False,
    )
