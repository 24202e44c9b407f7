"""A run that was interrupted goes on where it was: nothing is done again, nothing lost, nothing else taken for it."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dropblock_conformance.cli import main
from dropblock_conformance.reports import json_junit
from dropblock_conformance.running import journal
from dropblock_conformance.running.journal import Journal
from dropblock_conformance.running.order import Order
from dropblock_conformance.running.process import Isolated
from dropblock_conformance.running.source import digests

from ..support import Children, ended, wait_until

Name = Callable[[str], str]
ORDER = Order("numpy", "quick", 3, ("seed.same", "mask.shared", "law.full_map"))


# --- the file -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whats() -> list[Any]:
    """A plan and three results."""
    run = ORDER.run()
    return [run.opening(), *run.results()]


@pytest.fixture
def file(tmp_path: Path, whats: list[Any]) -> Path:
    """A journal of them."""
    path = tmp_path / "journal"
    kept = Journal(path)
    for what in whats:
        kept.put(ORDER, what)
    return path


def as_json(whats: list[Any]) -> list[Any]:
    return [json.loads(json.dumps(getattr(what, "as_json", lambda what=what: what.__dict__)())) for what in whats]


def test_what_was_put_is_recalled(file: Path, whats: list[Any]) -> None:
    found = list(Journal(file).recall(ORDER))
    assert [type(what) for what in found] == [type(what) for what in whats]
    assert as_json(found) == as_json(whats)
    assert Journal(file).unfinished(ORDER) == []


def test_a_journal_of_some_leaves_the_others_unfinished(tmp_path: Path, whats: list[Any]) -> None:
    kept = Journal(tmp_path / "journal")
    assert kept.unfinished(ORDER) == list(ORDER.checks or ())
    for what in (whats[0], whats[2]):
        kept.put(ORDER, what)
    assert Journal(tmp_path / "journal").unfinished(ORDER) == ["seed.same", "law.full_map"]


def test_without_a_file_nothing_is_kept(whats: list[Any]) -> None:
    kept = Journal()
    for what in whats:
        kept.put(ORDER, what)
    assert list(kept.recall(ORDER)) == []
    assert kept.unfinished(ORDER) == list(ORDER.checks or ())


@pytest.mark.parametrize("cut", [1, 20, 400])
def test_a_last_line_cut_short_counts_for_nothing_and_spoils_nothing(file: Path, whats: list[Any], cut: int) -> None:
    file.write_bytes(file.read_bytes()[:-cut])
    killed = Journal(file)
    assert as_json(list(killed.recall(ORDER))) == as_json(whats[:-1])
    killed.put(ORDER, whats[-1])
    assert as_json(list(Journal(file).recall(ORDER))) == as_json(whats)


@pytest.mark.parametrize("line", [b"[]", b"3", b'{"order": 1}', b'{"order": [], "check": "", "value": 1}', b"\xff"])
def test_a_line_of_something_else_is_passed_over_and_counted(file: Path, whats: list[Any], line: bytes) -> None:
    file.write_bytes(line + b"\n" + file.read_bytes() + b"\n" + line)
    found = Journal(file)
    assert as_json(list(found.recall(ORDER))) == as_json(whats)
    assert found.unreadable == 2


def test_a_file_that_is_no_journal_is_told_from_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("")
    assert Journal(path).unfinished(ORDER) == list(ORDER.checks or ())
    path.write_text("Dear diary,\n")
    with pytest.raises(ValueError, match=r"notes.txt is no journal: .* name another file, or remove it"):
        Journal(path)
    assert path.read_text() == "Dear diary,\n"


def test_a_subject_whose_code_has_changed_is_judged_anew(tmp_path: Path, whats: list[Any]) -> None:
    code = tmp_path / "layer.py"
    code.write_text("GAMMA = 1")
    opening = replace(whats[0], sources=digests([str(code)]))
    kept = Journal(tmp_path / "journal")
    for what in (opening, *whats[1:]):
        kept.put(ORDER, what)
    assert Journal(tmp_path / "journal").unfinished(ORDER) == []
    code.write_text("GAMMA = 2")
    assert Journal(tmp_path / "journal").unfinished(ORDER) == list(ORDER.checks or ())
    code.unlink()
    assert list(Journal(tmp_path / "journal").recall(ORDER)) == []


def test_nor_does_a_result_of_another_suite_count(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "digest_of_suite", lambda: "another")
    assert list(Journal(file).recall(ORDER)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "torch"},
        {"profile": "standard"},
        {"seed": 4},
        {"subjects_in_run": 2},
        {"timeout": 5.0},
        {"checks": ("seed.same",)},
        {"checks": None},
    ],
    ids=str,
)
def test_another_order_is_not_taken_for_it(file: Path, changes: dict[str, Any]) -> None:
    other = replace(ORDER, **changes)
    assert list(Journal(file).recall(other)) == []
    assert Journal(file).unfinished(other) == other.check_ids


def test_nor_is_a_run_with_other_versions(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = journal.versions()
    monkeypatch.setattr(journal, "versions", lambda: {**now, "numpy": "0.1"})
    assert list(Journal(file).recall(ORDER)) == []


# --- the command line -----------------------------------------------------------------------------------------------

# In inference it waits for a file; calls in training, which the other checks make alone, do not.
MODULE = """
import time
from pathlib import Path
from dropblock_conformance import Deviation, Subject
from tests.mutants import MUTANTS, Honest

waiting, go = (Path(__file__).with_name(name) for name in ("waiting", "go"))

def patient(subject):
    def call(x, *, training, **arguments):
        while not training and not go.exists():
            waiting.touch()
            time.sleep(0.01)
        return subject.call(x, training=training, **arguments)
    return Subject(subject.name, call, subject.claims, subject.grad, subject.schedule)

right = patient(Honest().subject("right"))
wrong = patient(MUTANTS["ScaleByKeepProb"].build().subject("wrong"))
"""
FINISHED = ["seed.same", "mask.shared", "scale.claimed"]  # before the run is interrupted
CHECKS = [*FINISHED, "mode.inference", "law.full_map"]
OPTIONS = ["--profile", "quick", *(word for check in CHECKS for word in ("--check", check))]
# A shell that starts a job in the background may have it ignore interrupts.
PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path[:] = {path!r}
from dropblock_conformance.cli import main
main()
"""


@pytest.fixture
def subjects(make_module: Callable[[str], Name]) -> list[str]:
    name = make_module(MODULE)
    return [name("wrong"), name("right")]


@contextmanager
def under_way(tmp_path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command, in a process of its own, that has come to the check that waits."""
    command = [sys.executable, "-c", PROGRAM.format(path=sys.path), "run", *arguments, *OPTIONS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: (tmp_path / "waiting").exists() or process.poll() is not None)
            yield process
        finally:
            (tmp_path / "go").touch()
            process.kill()


def wait_until_written(file: Path) -> None:
    """The subject's process may be at the check that waits before its results have been written down."""
    wait_until(lambda: file.exists() and file.read_text().count("\n") > len(FINISHED))  # the plan's line, and theirs


def reports(tmp_path: Path, *arguments: str) -> tuple[list[dict[str, Any]], str]:
    """What the command, in this process and without an interruption, reports and prints."""
    output = tmp_path / "report.json"
    result = CliRunner().invoke(
        main,
        ["run", "--verbose", *arguments, *OPTIONS, "--json", str(output)],
        env={"COLUMNS": "200"},
        catch_exceptions=False,
    )
    assert result.exit_code == 1  # one of the two is wrong
    return json.loads(output.read_text())["reports"], result.output


def timeless(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**report, "seconds": 0, "results": [{**result, "seconds": 0} for result in report["results"]]}
        for report in reports
    ]


def entries(file: Path) -> dict[tuple[str, str | None], Any]:
    """The journal's entries, of which each is there once."""
    found = [json.loads(line) for line in file.read_text().splitlines() if line]
    by_key = {(json.loads(entry["order"])[0]["name"], entry["check"]): entry["value"] for entry in found}
    assert len(by_key) == len(found)
    return by_key


def test_a_run_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(
    subjects: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children = Children()
    file = tmp_path / "journal"
    with under_way(tmp_path, *subjects, "--journal", str(file)) as process:
        wait_until_written(file)
        started = children.new()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    wait_until(lambda: all(ended(child) for child in started))
    before = entries(file)
    assert list(before) == [(subjects[0], None), *((subjects[0], check) for check in FINISHED)]

    second, said = reports(tmp_path, *subjects, "--journal", str(file))
    after = entries(file)
    assert {key: after[key] for key in before} == before  # nothing was done again
    assert len(after) == 2 * (1 + len(CHECKS))
    kept = {result["id"]: result for result in second[0]["results"]}
    for check in FINISHED:
        assert kept[check] == json.loads(json.dumps(before[subjects[0], check]))  # to the seconds that it took
    assert re.findall(r"^ *(\d+)/(?:5|10) ", said, re.MULTILINE) == [str(n) for n in range(1, 11)]
    assert said.count("wrong: profile quick, seed 0") == 1

    here = [Order(name, "quick", checks=tuple(CHECKS), subjects_in_run=2).run() for name in subjects]
    uninterrupted = json_junit.as_document([run.report(run.results()) for run in here])["reports"]
    second_here = [{**report, "sources": {}} for report in second]
    assert timeless(second_here) == timeless(json.loads(json.dumps(uninterrupted)))

    # Once more: all is done, so nothing is started.
    monkeypatch.delattr(Isolated, "opening")
    assert reports(tmp_path, *subjects, "--journal", str(file))[0] == second


@pytest.mark.parametrize("with_journal", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
def test_an_interrupt_says_how_to_go_on_and_leaves_nothing_behind(
    subjects: list[str], tmp_path: Path, with_journal: bool
) -> None:
    children = Children()
    file = tmp_path / "j"
    options = ["--journal", str(file)] if with_journal else []
    with under_way(tmp_path, subjects[0], *options) as process:
        if with_journal:
            wait_until_written(file)
        started = children.new()
        assert len(started) == 2
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()
        assert process.returncode == 130
        assert all(ended(child) for child in started)
    told = f"the same command goes on from {file}" if with_journal else "--journal FILE would keep its results"
    assert "".join(said.split()).endswith("".join(f"interrupted: {told}".split()))  # wherever it is wrapped
    if with_journal:
        assert list(entries(file)) == [(subjects[0], None), *((subjects[0], check) for check in FINISHED)]
