"""Files of the command line: what a path may be, and how one is written, whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

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
