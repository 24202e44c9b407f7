# SPDX-License-Identifier: Apache-2.0
"""``dropblock-conformance badge``."""

import json
from pathlib import Path

import click
from rich.console import Console

from dropblock_conformance.commands.files import FILE, UNWRITTEN, require_certificate, require_folder, write
from dropblock_conformance.reports.badge import as_svg
from dropblock_conformance.reports.badge import badge as badge_of


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
    found = require_certificate(context, console, certificate)
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
