# SPDX-License-Identifier: Apache-2.0
"""Files of the command line: what a path may be, and how one is written, whole or not at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from dropblock_conformance.reports.certificate import is_unaltered, read_certificate

FILE = click.Path(dir_okay=False, path_type=Path)
GONE, UNWRITTEN = 3, 4  # exit statuses: a subject cannot be had or died, a file could not be written


def require_folder(file: Path | None) -> None:
    """Before anything runs: a file without a folder to be in is a wrong command."""
    if file is not None and not file.parent.is_dir():
        raise click.UsageError(f"{file} cannot be written: there is no folder {file.parent}")


def write(console: Console, file: Path, write_to: Callable[[Path], None]) -> bool:
    """Write a file, whole or not at all; whether that went well."""
    part = file.with_name(f"{file.name}.part")
    try:
        write_to(part)
        part.replace(file)
    except Exception as error:  # other files are to be written whatever happens to this one
        part.unlink(missing_ok=True)
        console.print(f"{file} could not be written: {type(error).__name__}: {error}", markup=False, highlight=False)
        return False
    console.print(f"wrote {file}", markup=False, highlight=False)
    return True


def require_certificate(context: click.Context, console: Console, file: Path) -> dict[str, Any]:
    """What a certificate says. What is none is a wrong command; one that was altered ends it with status 1."""
    try:
        found = read_certificate(file)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if not is_unaltered(found):
        console.print(f"{file} was altered: its digest is not that of what it says", markup=False)
        context.exit(1)
    return found
