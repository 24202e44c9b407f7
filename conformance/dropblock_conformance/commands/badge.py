"""``dropblock-conformance badge``."""

import json
from pathlib import Path

import click
from rich.console import Console

from dropblock_conformance.commands.files import FILE, UNWRITTEN, require_folder, write
from dropblock_conformance.reports.badge import as_svg
from dropblock_conformance.reports.badge import badge as badge_of
from dropblock_conformance.reports.certificate import is_unaltered, read_certificate


@click.command()
@click.argument("certificate", type=FILE)
@click.option("--svg", "svg_file", type=FILE, help="Where to write the picture; by default beside the certificate.")
@click.option("--json", "json_file", type=FILE, help="Where to write the JSON; by default beside the certificate.")
@click.pass_context
def badge(context: click.Context, certificate: Path, svg_file: Path | None, json_file: Path | None) -> None:
    """Make a badge of CERTIFICATE: an SVG, and the JSON that badge services read.

    Exits with 0, 1 if the certificate was altered, 2 if the command is wrong, 4 if a file could not be written.
    """
    console = Console()
    try:
        found = read_certificate(certificate)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if not is_unaltered(found):
        console.print(f"{certificate} was altered: its digest is not that of what it says", markup=False)
        context.exit(1)
    svg_file, json_file = (
        svg_file or certificate.with_suffix(".svg"),
        json_file or certificate.with_suffix(".badge.json"),
    )
    for file in (svg_file, json_file):
        require_folder(file)
    said = badge_of(found)
    written = [
        write(console, svg_file, lambda path: _text(path, as_svg(said))),
        write(console, json_file, lambda path: _text(path, json.dumps(said) + "\n")),
    ]
    context.exit(0 if all(written) else UNWRITTEN)


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
