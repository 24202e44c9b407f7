"""What is no worker is refused, one question gets one answer, and a worker ends with its subject."""

import json
import re
from pathlib import Path
from typing import Any

import psutil
import pytest

from dropblock_conformance.pipe.client import WorkerClient, WorkerError, connect

from .support import X, script

pytestmark = pytest.mark.usefixtures("nothing_stays")


# --- what is no worker ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo hi", "echo hi: expected a line of JSON with an object, got b'hi"),
        ("true", "true: the worker ended with exit status 0: it said nothing"),
        ("cat", "cat: what the worker says of itself is wrong: 'name'"),
        ("no-such-program", "no-such-program: the worker cannot be started: "),
        ("", ": the worker cannot be started: "),
        ("'", "': the worker cannot be started: No closing quotation"),
    ],
)
def test_a_command_that_is_no_worker_is_refused(command: str, said: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(said)}"):
        connect(command)


@pytest.mark.parametrize(
    ("hello", "said"),
    [
        ({"protocol": 2, "name": "n"}, "the worker speaks protocol 2, not 1"),
        ({"name": "n"}, "the worker speaks protocol None, not 1"),
        ({"protocol": 1}, "what the worker says of itself is wrong: 'name'"),
        ({"protocol": 1, "name": "n", "claims": []}, "what the worker says of itself is wrong"),
        ({"protocol": 1, "name": "n", "claims": {"spatial": [4]}}, "spatial=(4,): claim a non-empty tuple"),
        ({"protocol": 1, "name": "n", "claims": {"colour": "red"}}, "colour"),
        ({"protocol": 1, "name": "n", "expect": [{"check": "law.paper"}]}, "reason"),
        ({"error": {"type": "RuntimeError", "message": "out of paint"}}, "out of paint"),
        ({"error": "out of paint"}, "out of paint"),
    ],
)
def test_what_a_worker_says_of_itself_is_looked_at(tmp_path: Path, hello: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        connect(script(tmp_path, f"input()\nprint({json.dumps(hello)!r}, flush=True)\ninput()"))


def test_an_answer_with_other_arrays_is_refused(tmp_path: Path) -> None:
    hello = json.dumps({"protocol": 1, "name": "n", "grad": True})
    subject, _ = connect(script(tmp_path, f"import sys\nfor _ in sys.stdin.buffer: print({hello!r}, flush=True)"))
    assert subject.grad is not None
    for ask, number in (
        (lambda: subject.call(X[:0], training=True), 1),
        (lambda: subject.grad(X[:0], X[:0]), 2),
    ):
        with pytest.raises(WorkerError, match=rf"the worker answered '\w+' with 0 arrays, not {number}"):
            ask()


# --- one question, one answer -----------------------------------------------------------------------------------------

ECHO = """
import os, sys
for line in sys.stdin.buffer:
    sys.stdout.buffer.write(b'{"pid": %d, "said": ' % os.getpid() + line.strip() + b"}\\n")
    sys.stdout.buffer.flush()
"""


def test_a_worker_that_breaks_the_protocol_is_started_anew(tmp_path: Path) -> None:
    command = script(tmp_path, ECHO.replace('b"}\\n"', 'b"}\\n" if b"fly" not in line else b"\\n{}\\n"'))
    asked = WorkerClient(command)
    first, _ = asked.ask({"do": "walk"})
    assert first["said"] == {"do": "walk", "arrays": []}
    assert asked.ask({"do": "walk"})[0]["pid"] == first["pid"]
    with pytest.raises(WorkerError, match="expected a line of JSON"):
        asked.ask({"do": "fly"})
    # The rest of that answer, "{}", is not taken for the next.
    second, _ = asked.ask({"do": "walk"})
    assert second["said"] == {"do": "walk", "arrays": []}
    assert second["pid"] != first["pid"]


def test_an_interrupted_question_does_not_leave_its_answer_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(pipe: Any) -> None:
        raise KeyboardInterrupt  # as a check that has run out of time is, wherever it is

    asked = WorkerClient(script(tmp_path, ECHO))
    with monkeypatch.context() as patch:
        patch.setattr("dropblock_conformance.pipe.client.receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            asked.ask({"do": "first"})
    assert asked.ask({"do": "second"})[0]["said"]["do"] == "second"


def test_a_worker_ends_with_its_subject(tmp_path: Path) -> None:
    asked = WorkerClient(script(tmp_path, ECHO))
    process = psutil.Process(asked.ask({})[0]["pid"])
    assert process.is_running()
    del asked
    assert not process.is_running()
