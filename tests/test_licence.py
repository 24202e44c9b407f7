"""Every source file of the product names the licence of LICENSE in its first line."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMENTS = {".py": "# {}", ".c": "/* {} */"}


def test_every_source_file_names_the_licence_first() -> None:
    licence = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
    assert (ROOT / "LICENSE").read_text().split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert licence == "Apache-2.0"
    files = [
        path
        for home in ("dropblock_core", "adapters", "conformance")
        for path in (ROOT / home).rglob("*.*")
        if path.suffix in COMMENTS
    ]
    assert len(files) > 100
    for path in files:
        first = path.read_text().partition("\n")[0]
        assert first == COMMENTS[path.suffix].format(f"SPDX-License-Identifier: {licence}"), path
