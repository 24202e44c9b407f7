"""Documents that hold what was measured, between two comments that name the command."""

from pathlib import Path


def write_generated(document: Path, command: str, measured: str) -> None:
    """Put what `command` measured in place of what it had measured before."""
    before, _, after = _parts(document, command)
    begin, end = _marks(command)
    document.write_text(f"{before}{begin}\n\n{measured}\n\n{end}{after}")


def read_generated(document: Path, command: str) -> str:
    """What `command` has measured."""
    return _parts(document, command)[1].strip()


def _marks(command: str) -> tuple[str, str]:
    return f"<!-- begin: {command} -->", f"<!-- end: {command} -->"


def _parts(document: Path, command: str) -> tuple[str, str, str]:
    begin, end = _marks(command)
    before, rest = document.read_text().split(begin)
    measured, after = rest.split(end)
    return before, measured, after
