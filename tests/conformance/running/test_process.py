"""A subject in a process of its own: whatever it does there, it is judged as it would be here, and the run goes on."""

import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from dropblock_conformance import Outcome, Report, Result
from dropblock_conformance.running.order import Order, UnavailableError, unavailable
from dropblock_conformance.running.process import Isolated, serve
from dropblock_conformance.running.versions import versions

from ..support import Children, ended, timeless, wait_until

# Each dies or hangs in inference, so in this check; the other calls in training only.
FATAL, HARMLESS = "mode.inference", "seed.same"
MODULE = """
import os, re, signal, subprocess, sys, threading
from pathlib import Path
from dropblock_conformance import Deviation, Subject
from tests.mutants import MUTANTS, Honest

honest = Honest()
pids = Path(__file__).with_suffix(".pids")
over = threading.Event()

def subject_that(fails):
    def call(x, *, training, **arguments):
        with pids.open("a") as file:
            print(os.getpid(), file=file)
        if not training:
            print("the last words", file=sys.stderr, flush=True)
            fails()
        return honest.call(x, training=training, **arguments)
    return Subject("theirs", call, honest.claims, honest.grad, honest.schedule)

def loops():
    while True:
        pass

def talks():
    print('{"result": {}, "leaves": true}', flush=True)
    os.write(1, b'{"result": {}, "leaves": true}\\n')
    subprocess.run(["echo", "a child talks too"], check=True)
    assert sys.stdin.read() == "", "the suite's questions are no input"

def raises():
    raise RuntimeError("boom")

exits = subject_that(lambda: os._exit(3))
is_killed = subject_that(lambda: os.kill(os.getpid(), signal.SIGKILL))
waits = subject_that(lambda: threading.Lock().acquire() and threading.Event().wait())
waits_for_us = subject_that(over.wait)
holds_on = subject_that(lambda: re.match("(a*)*b", "a" * 60))
hangs = subject_that(loops)
talkative = subject_that(talks)
fails = subject_that(raises)
right = subject_that(lambda: None)
known = fails, [Deviation("mode.inference", "it raises", raises=RuntimeError)]

def makes_none():
    raise RuntimeError("no subject today")
"""


Name = Callable[[str], str]


@pytest.fixture
def name(make_module: Callable[[str], Name]) -> Name:
    return make_module(MODULE)


def order(name: str, *checks: str, **options: Any) -> Order:
    return Order(name, "quick", checks=checks or (FATAL, HARMLESS), **options)


def pids_seen(tmp_path: Path) -> list[str]:
    """The processes in which the subject was called, in order."""
    return list(dict.fromkeys((tmp_path / "their_dropblock.pids").read_text().split()))


# --- one that behaves -----------------------------------------------------------------------------------------------


def test_it_is_judged_as_in_this_process(name: Name) -> None:
    given = order(name("known"), FATAL, HARMLESS, "mask.shared", "law.full_map", seed=5, subjects_in_run=2)
    run = given.run()
    with closing(Isolated(given)) as process:
        opening = process.opening()
        assert replace(opening, sources={}) == run.opening()
        assert [Path(file).name for file in opening.sources if "their_dropblock" in file] == ["their_dropblock.py"]
        found = [process.result(check.id) for check in run.checks]
    assert timeless(found) == timeless(run.results())
    assert [result.outcome for result in found] == ["declared", "conforms", "not_applicable", "conforms"]
    assert all(isinstance(result.outcome, Outcome) for result in found)
    assert found[1].seconds > 0


def test_one_process_serves_all_its_checks_whatever_it_prints_and_reads(name: Name, tmp_path: Path) -> None:
    # What it prints is no answer, and what it reads is no question.
    with closing(Isolated(order(name("talkative")))) as process:
        assert process.opening() is process.opening()
        for check in (FATAL, HARMLESS):
            assert process.result(check).outcome == Outcome.CONFORMS
    (pid,) = pids_seen(tmp_path)
    assert pid != str(os.getpid())


def test_the_path_is_handed_on_and_not_to_what_the_subject_starts(
    make_module: Callable[[str], Name], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A worker in another environment would find ours in place of its own.
    monkeypatch.delenv("PYTHONPATH", raising=False)
    name = make_module("import os, sys\nraise ImportError([os.environ.get('PYTHONPATH'), sys.path])")
    with closing(Isolated(order(name("subject")))) as process, pytest.raises(UnavailableError) as caught:
        process.opening()
    assert str(caught.value).endswith(f"ImportError: {[None, sys.path]}")


# --- one that dies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "how"),
    [("exits", "exit status 3"), pytest.param("is_killed", "signal 9", marks=pytest.mark.exhaustive)],
)
def test_one_that_dies_is_crashed_and_what_follows_runs_in_a_fresh_process(
    name: Name, tmp_path: Path, attribute: str, how: str
) -> None:
    given = order(name(attribute), subjects_in_run=2)
    in_this_process = given.run()
    with closing(Isolated(given)) as process:
        deaths = [process.result(FATAL) for _ in range(2)]
        after = process.result(HARMLESS)
    for died in deaths:
        assert (died.outcome, died.effect) == (Outcome.CRASHED, None)
        assert died.summary.startswith(f"the subject's process ended with {how}, ")
        # The words of this process, and not those of one before.
        assert died.evidence["traceback"] == ["the last words"]
        (check,) = (check for check in in_this_process.checks if check.id == FATAL)
        assert (died.title, died.rule, died.repeat) == (check.title, check.rule, in_this_process.repeat_command(FATAL))
    assert after.outcome == Outcome.CONFORMS
    assert len(pids_seen(tmp_path)) == 3


@pytest.mark.exhaustive
def test_one_that_died_between_two_checks_is_started_anew(name: Name) -> None:
    children = Children()
    with closing(Isolated(order(name("right")))) as process:
        process.opening()
        (child,) = children.new()
        child.kill()
        child.wait()
        assert process.result(HARMLESS).outcome == Outcome.CONFORMS


def test_half_an_answer_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text("#!/bin/sh\nread order\nprintf '{\"unavailable\": '\necho out of memory >&2\n")
    interpreter.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    with (
        closing(Isolated(order("numpy"))) as process,
        pytest.raises(UnavailableError, match="its process ended while it was loaded: out of memory"),
    ):
        process.opening()


# --- one that hangs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "processes"), [pytest.param("hangs", None, marks=pytest.mark.exhaustive), ("waits", 2)]
)
def test_one_that_hangs_is_crashed_and_what_follows_is_not_held_up(
    name: Name, tmp_path: Path, attribute: str, processes: int | None
) -> None:
    with closing(Isolated(order(name(attribute), timeout=3.0))) as process:
        hung, after = process.result(FATAL), process.result(HARMLESS)
    assert (hung.outcome, hung.summary) == (Outcome.CRASHED, "TimeoutExceededError: no answer within 3 s")
    assert after.outcome == Outcome.CONFORMS
    if processes:  # a loop in Python is interrupted; one that waits is left behind, with its process
        assert len(pids_seen(tmp_path)) == processes


def test_one_that_hangs_holding_on_to_the_interpreter_is_killed(name: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Isolated(order(name("holds_on")))) as process:
        process.opening()
        with monkeypatch.context() as patch:
            patch.setattr(Order, "patience", 0.5)
            hung = process.result(FATAL)
        assert hung.outcome == Outcome.CRASHED
        assert hung.summary == "the subject's process ended with signal 9, or was ended after 0.5 s"
        assert process.result(HARMLESS).outcome == Outcome.CONFORMS


def test_a_process_has_the_time_of_a_check_and_three_of_them_pass_within_five_minutes() -> None:
    assert Order("numpy", timeout=100.0).patience > 100
    assert 3 * Order("numpy", "quick").patience < 300


# --- the end --------------------------------------------------------------------------------------------------------


def test_what_a_subject_started_ends_with_it(make_module: Callable[[str], Name], tmp_path: Path) -> None:
    started = "import subprocess\nfrom pathlib import Path\nhelper = subprocess.Popen(['sleep', '1000'])\n"
    started += "Path(__file__).with_suffix('.pid').write_text(str(helper.pid))\n"
    name = make_module(started + MODULE)
    with closing(Isolated(order(name("right")))) as process:
        process.opening()
        helper = psutil.Process(int((tmp_path / "their_dropblock.pid").read_text()))
        assert not ended(helper)
    wait_until(lambda: ended(helper))


def test_to_stop_it_from_another_thread_is_to_wait_no_longer(name: Name, tmp_path: Path) -> None:
    children = Children()
    process = Isolated(order(name("waits")))
    process.opening()
    results: list[Result] = []
    waiting = threading.Thread(target=lambda: results.append(process.result(FATAL)))
    waiting.start()
    wait_until((tmp_path / "their_dropblock.pids").exists)
    process.stop()
    waiting.join()
    with closing(process):
        assert [result.outcome for result in results] == [Outcome.CRASHED]
        with pytest.raises(UnavailableError, match="stopped"):
            process.result(HARMLESS)
    assert not children.new()


# --- one that cannot be had -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        pytest.param("absent", "module 'their_dropblock' has no attribute 'absent'", marks=pytest.mark.exhaustive),
        # Not told as a subject that is not there: it is, and says why not today.
        ("makes_none", "cannot be made: RuntimeError: no subject today"),
    ],
)
def test_one_that_cannot_be_had_says_why(name: Name, attribute: str, reason: str) -> None:
    children = Children()
    with closing(Isolated(order(name(attribute)))) as process, pytest.raises(UnavailableError, match=f"(?s){reason}"):
        process.opening()
    assert not children.new()


def test_its_report_has_no_claims_no_results_and_no_good_end() -> None:
    report = unavailable(Order("gone", "quick", 7), "no such thing")
    assert (report.subject, report.profile, report.seed, report.versions) == ("gone", "quick", 7, versions())
    assert (report.claims, report.plan, report.results) == (None, [], [])
    assert (report.unavailable, report.verdict) == ("no such thing", "unavailable")
    assert not report.conforms
    assert not report.as_declared
    assert Report.from_json(json.loads(json.dumps(report.as_json()))) == report


# --- the other end, in this process ---------------------------------------------------------------------------------


def answers_to(given: Order, *checks: str) -> list[dict[str, Any]]:
    """What the process would answer."""
    questions = [asdict(given), *({"check": check} for check in checks)]
    answers = io.BytesIO()
    serve(io.BytesIO(b"".join(json.dumps(question).encode() + b"\n" for question in questions)), answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_it_answers_with_its_plan_and_a_result_for_each_check_asked(name: Name) -> None:
    given = order(name("known"))
    opening, *found = answers_to(given, HARMLESS, FATAL)
    assert replace(Report.from_json(opening["opening"]), sources={}) == given.run().opening()
    assert [answer["leaves"] for answer in found] == [False, False]
    results = [Result.from_json(answer["result"]) for answer in found]
    assert [(result.id, result.outcome) for result in results] == [(HARMLESS, "conforms"), (FATAL, "declared")]


def test_without_checks_named_it_answers_for_any() -> None:
    _, found = answers_to(Order("numpy", "quick"), "schedule.ends")
    assert found["result"]["outcome"] == "conforms"


def test_it_says_what_is_not_to_be_had(name: Name) -> None:
    (answer,) = answers_to(order(name("absent")), FATAL)
    assert "no attribute 'absent'" in answer["unavailable"]


@pytest.fixture
def released(name: Name) -> Iterator[Name]:
    """The module, whose subject waits no longer than the test."""
    yield name
    sys.modules["their_dropblock"].over.set()


def test_it_leaves_when_a_check_hangs(released: Name) -> None:
    _, *found = answers_to(order(released("waits_for_us"), timeout=0.2), FATAL, HARMLESS)
    assert [(answer["result"]["outcome"], answer["leaves"]) for answer in found] == [("crashed", True)]
