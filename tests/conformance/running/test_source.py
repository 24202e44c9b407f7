"""Which code was judged, and whether the suite is still itself."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dropblock_conformance.judging import exact
from dropblock_conformance.running.source import are_unchanged, digest_of_sources, digest_of_suite, sources
from dropblock_conformance.running.tampering import parts, replaced


def test_the_files_of_a_subject_are_those_that_are_loaded_and_neither_pythons_nor_installed(
    make_module: Callable[[str], Callable[[str], str]],
) -> None:
    name = make_module("import json\n")("subject")
    __import__(name.partition(":")[0])
    found = sources(name)
    assert any(Path(file).name == "their_dropblock.py" for file in found)
    for installed in (np.__file__, sys.modules["json"].__file__, exact.__file__):
        assert installed not in found


def test_a_workers_files_are_those_that_its_command_names(tmp_path: Path) -> None:
    program = tmp_path / "worker.py"
    program.write_text("1")
    found = sources(f"--worker 'python {program} --fast'")
    assert list(found) == [str(program)]
    assert are_unchanged(found)
    program.write_text("2")
    assert not are_unchanged(found)


def test_one_digest_stands_for_all_files_wherever_they_lie() -> None:
    found = {"/one/a.py": "1" * 64, "/one/b.py": "2" * 64}
    moved = {file.replace("/one", "/other"): digest for file, digest in reversed(found.items())}
    assert digest_of_sources(found) == digest_of_sources(moved)
    assert digest_of_sources(found) != digest_of_sources({**found, "/one/b.py": "3" * 64})
    assert digest_of_sources({}) is None
    assert len(digest_of_suite()) == 64


def test_what_is_replaced_in_the_suite_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = parts()
    assert replaced(before) == []
    monkeypatch.setattr(exact, "share", lambda wrong: 0.0)
    monkeypatch.setattr(exact.Setting, "ones", lambda self: None)
    found = replaced(before)
    assert "dropblock_conformance.judging.exact.share" in found
    assert "dropblock_conformance.judging.exact.Setting.ones" in found
    monkeypatch.undo()
    assert replaced(before) == []
