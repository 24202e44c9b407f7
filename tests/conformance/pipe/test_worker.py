"""Subjects behind a pipe: messages come through bit for bit, and an implementation elsewhere is judged as one here."""

import gc
import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dropblock_conformance import Claims, Deviation, Outcome, Subject, certify
from dropblock_conformance.cli import main
from dropblock_conformance.pipe.client import WorkerClient, WorkerError, connect
from dropblock_conformance.pipe.protocol import PROTOCOL, ProtocolError, receive, send
from dropblock_conformance.subject import DTYPES, Array
from dropblock_conformance.subjects import Candidate, load
from dropblock_conformance.worker import serve

from ..support import NUMPY, Children, timeless

ROOT = Path(__file__).parents[3]
DTYPE = {**{name: np.dtype(name) for name in DTYPES if name != "bfloat16"}, "bfloat16": np.dtype(ml_dtypes.bfloat16)}

# --- messages -------------------------------------------------------------------------------------------------------


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    """Any bits of any of the dtypes, with axes of length 0 and without axes."""
    dtype = DTYPE[draw(st.sampled_from(DTYPES))]
    shape = draw(st.lists(st.integers(0, 3), max_size=5))
    size = prod(shape) * dtype.itemsize
    array = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype).reshape(shape)
    return array.T if draw(st.booleans()) else array  # not contiguous, then


headers = st.dictionaries(
    st.text().filter(lambda key: key != "arrays"),
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
)


def sent(header: dict[str, Any], *arrays: Array) -> bytes:
    pipe = io.BytesIO()
    send(pipe, header, arrays)
    return pipe.getvalue()


@given(messages=st.lists(st.tuples(headers, st.lists(arrays(), max_size=3)), max_size=3))
def test_messages_come_through_bit_for_bit_one_after_another(
    messages: list[tuple[dict[str, Any], list[Array]]],
) -> None:
    pipe = io.BytesIO(b"".join(sent(header, *given_out) for header, given_out in messages))
    for header, given_out in messages:
        message = receive(pipe)
        assert message is not None
        assert message[0] == header
        for array, back in zip(given_out, message[1], strict=True):
            assert (back.dtype, back.shape) == (array.dtype, array.shape)
            assert back.tobytes() == array.tobytes()
            assert back.flags.writeable
    assert receive(pipe) is None


def test_a_message_is_as_the_protocol_has_it() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    line, _, data = sent({"do": "call"}, array).partition(b"\n")
    assert json.loads(line) == {"do": "call", "arrays": [{"dtype": "float32", "shape": [3, 2]}]}
    assert data == np.array([0, 3, 1, 4, 2, 5], "<f4").tobytes()
    assert sent({"do": "call"}, array.astype(">f4")) == line + b"\n" + data


def test_a_message_without_a_list_of_arrays_has_none() -> None:
    assert receive(io.BytesIO(b"{}\n")) == ({}, [])


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"hi\n",
        b"\xff\n",
        b"[]\n",
        b"3\n",
        b'"a"\n',
        b"null\n",
        b'{"arrays": [{}]}\n',
        b'{"arrays": 3}\n',
        b'{"arrays": [{"dtype": "float33", "shape": []}]}\n',
        b'{"arrays": [{"dtype": "float32"}]}\n',
        b'{"arrays": [{"dtype": "float32", "shape": 3}]}\n',
        b'{"arrays": [{"dtype": "float32", "shape": [-1]}]}\n',  # not all that follows
        b'{"arrays": [{"dtype": "float32", "shape": [0.5]}]}\n',
        b'{"arrays": [{"dtype": "float32", "shape": "12"}]}\n',
        b'{"arrays": [{"dtype": "object", "shape": [1]}]}\n' + bytes(8),
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        receive(io.BytesIO(data + b"rest"))


@pytest.mark.parametrize("cut", range(1, 25))
def test_bytes_that_are_missing_are_missed(cut: int) -> None:
    message = sent({}, np.ones(1), np.ones((2, 1)))
    with pytest.raises(ProtocolError, match=r"bytes were announced for an array of float64 \(\d,.*\), \d+ came"):
        receive(io.BytesIO(message[:-cut]))


# --- the answering end, in this process -----------------------------------------------------------------------------

X = np.arange(1.0, 17.0, dtype=np.float32).reshape(1, 1, 4, 4)
ARGUMENTS = {"keep_prob": 0.5, "block_size": 2, "seed": 7}


def answers_of(candidate: Candidate, *questions: Any) -> list[tuple[dict[str, Any], list[Array]]]:
    """What a worker answers to questions, each a header and its arrays."""
    answers = io.BytesIO()
    serve(candidate, io.BytesIO(b"".join(sent(*question) for question in questions)), answers)
    answers.seek(0)
    return list(iter(lambda: receive(answers), None))  # type: ignore[arg-type]


def test_a_worker_says_of_its_subject_what_there_is_to_say() -> None:
    claims = Claims(per_channel=False, renorm="map", spatial=(1, 3), dtypes=("float64",), clips=False)
    known = [Deviation("mask.blocks", "r", effect=(0, 1)), Deviation("law.paper", "q", raises=KeyError)]
    candidate = Candidate(Subject("mine", NUMPY.call, claims, compiles=True), known)
    [(about, found)] = answers_of(candidate, ({"do": "hello", "protocol": 1},))
    assert found == []
    assert about == {
        "protocol": PROTOCOL,
        "name": "mine",
        "claims": {
            "per_channel": False,
            "renorm": "map",
            "spatial": [1, 3],
            "dtypes": ["float64"],
            "even_blocks": True,
            "clips": False,
            "seedable": True,
            "per_sample": True,
        },
        "grad": False,
        "schedule": False,
        "compiles": True,
        "expect": [
            {"check": "mask.blocks", "reason": "r", "effect": [0, 1], "raises": None, "reproduce": None},
            {"check": "law.paper", "reason": "q", "effect": None, "raises": "KeyError", "reproduce": None},
        ],
    }


def test_a_worker_answers_with_what_its_subject_returns() -> None:
    assert NUMPY.grad is not None
    found = answers_of(
        Candidate(NUMPY),
        ({"do": "call", "training": True, **ARGUMENTS}, X),
        ({"do": "call", "training": False, **ARGUMENTS}, X),
        ({"do": "grad", **ARGUMENTS}, X, 2 * X),
    )
    wanted = [
        [NUMPY.call(X, training=True, **ARGUMENTS)],
        [X],
        list(NUMPY.grad(X, 2 * X, **ARGUMENTS)),
    ]
    for (header, arrays), expected in zip(found, wanted, strict=True):
        assert header == {}
        for array, one in zip(arrays, expected, strict=True):
            np.testing.assert_array_equal(array, one)


def raises(x: Array, **_: Any) -> Array:
    raise OSError("no room")


@pytest.mark.parametrize(
    ("subject", "question", "type", "message"),
    [
        (Subject("s", raises), {"do": "call"}, "OSError", "no room"),
        (Subject("s", lambda x, **_: x.tolist()), {"do": "call"}, "BadOutputError", "returned list, not a NumPy array"),
        (Subject("s", lambda x, **_: x.astype(object)), {"do": "call"}, "BadOutputError", "returned dtype object"),
        (NUMPY, {"do": "call", "seeed": 1}, "TypeError", "seeed"),
        (NUMPY, {"do": "fly"}, "ValueError", "numpy does not know how to 'fly'"),
        (NUMPY, {}, "KeyError", "do"),
        (Subject("s", raises), {"do": "grad"}, "ValueError", "s does not know how to 'grad'"),
        (Subject("s", raises), {"do": "schedule"}, "ValueError", "s does not know how to 'schedule'"),
    ],
)
def test_an_exception_is_an_answer_and_the_next_question_is_answered(
    subject: Subject, question: dict[str, Any], type: str, message: str
) -> None:
    found = answers_of(Candidate(subject), (question, X), ({"do": "hello"},))
    error = found[0][0]["error"]
    assert error["type"] == type
    assert message in error["message"]
    assert found[1][0]["name"] == subject.name


def test_a_schedule_is_answered_a_value_at_a_time() -> None:
    nexts = [({"do": "next"},)] * 3
    found = answers_of(Candidate(NUMPY), nexts[0], ({"do": "schedule", "keep_prob": 0.5, "steps": 1},), *nexts)
    assert [header for header, _ in found] == [{"value": None}, {}, {"value": 1.0}, {"value": 0.5}, {"value": None}]


def test_a_finished_schedule_is_answered_as_a_whole() -> None:
    # As values one by one it would seem that calls could come between two of them.
    finished = replace(NUMPY, schedule=lambda keep_prob, steps: [1.0] * 1000)
    [(header, _)] = answers_of(Candidate(finished), ({"do": "schedule", "keep_prob": 0.5, "steps": 2},))
    assert header == {"values": [1.0] * 4}  # one too many is enough to see


# --- both ends ------------------------------------------------------------------------------------------------------

MODULE = """
import os, sys
from dropblock_conformance import Deviation, Subject
from tests.mutants import MUTANTS, Honest

print("hello from the module")
wrong = MUTANTS["ScaleByKeepProb"].build().subject("wrong")
known = wrong, [Deviation("scale.claimed", "an old habit", effect=(0, 5))]
honest = Honest()

def fails(x, *, training, **arguments):
    if not training:
        raise ZeroDivisionError("in there")
    return honest.call(x, training=training, **arguments)

raising = Subject("raising", fails)
declared = raising, [Deviation("mode.inference", "known", raises=ZeroDivisionError)]
declared_otherwise = raising, [Deviation("mode.inference", "known", raises=KeyError)]

def dies(x, *, training, **arguments):
    if not training:
        print("the last words", file=sys.stderr, flush=True)
        os._exit(4)
    print(os.getpid())
    assert sys.stdin.read() == "", "questions are no input"
    return honest.call(x, training=training, **arguments)

dying = Subject("dying", dies)

def schedule(keep_prob, steps):
    return [1 - step / steps * (1 - keep_prob) for step in range(steps)] + [keep_prob]

finished = Subject("finished", honest.call, schedule=schedule)
"""
# In place of PYTHONPATH, which the interpreter of a worker need not share.
SERVE = "import sys; sys.path[:] = {path!r}; from dropblock_conformance.worker import main; main()"


def worker(name: str) -> str:
    """The command of a worker for a subject by name."""
    return shlex.join([sys.executable, "-c", SERVE.format(path=sys.path), name])


def script(tmp_path: Path, text: str) -> str:
    """The command of a worker of some lines of Python."""
    file = tmp_path / "worker.py"
    file.write_text(text)
    return shlex.join([sys.executable, str(file)])


@pytest.fixture
def theirs(make_module: Callable[[str], Callable[[str], str]]) -> Callable[[str], str]:
    """The command of a worker for a subject of MODULE."""
    name = make_module(MODULE)
    return lambda attribute: worker(name(attribute))


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    children = Children()
    yield
    gc.collect()  # subjects that an exception has in its traceback
    assert not children.new()


def test_a_subject_elsewhere_is_judged_as_one_here() -> None:
    subject, expect = connect(worker("numpy"))
    assert (subject.name, subject.claims, subject.compiles, expect) == ("numpy", NUMPY.claims, False, [])
    checks = ["mode.inference", "seed.same", "mask.blocks", "scale.claimed", "gradient.scale", "schedule.linear"]
    checks += ["schedule.training_calls", "schedule.evaluation", "law.full_map", "law.bfloat16"]
    there, here = (certify(each, profile="tiny", checks=checks) for each in (subject, NUMPY))
    assert here.conforms
    assert timeless(there.results) == timeless(here.results)


def test_what_is_known_to_deviate_is_known_here(theirs: Callable[[str], str]) -> None:
    subject, expect = connect(theirs("known"))
    assert expect == [Deviation("scale.claimed", "an old habit", effect=(0, 5))]
    report = certify(subject, profile="tiny", checks=["scale.claimed", "seed.same"], expect=expect)
    assert [result.outcome for result in report.results] == ["declared", "conforms"]


@pytest.mark.parametrize(
    ("attribute", "outcome"),
    [("raising", Outcome.CRASHED), ("declared", Outcome.DECLARED), ("declared_otherwise", Outcome.WRONG_CAUSE)],
)
def test_an_exception_there_has_its_name_here(theirs: Callable[[str], str], attribute: str, outcome: Outcome) -> None:
    subject, expect = connect(theirs(attribute))
    report = certify(subject, profile="tiny", checks=["mode.inference", "seed.same"], expect=expect)
    inference, after = report.results
    assert (inference.outcome, inference.summary) == (outcome, "ZeroDivisionError: in there")
    assert after.outcome == Outcome.CONFORMS


def test_a_worker_that_dies_is_an_error_and_started_anew(theirs: Callable[[str], str]) -> None:
    subject, _ = connect(theirs("dying"))
    checks = ["seed.same", "mode.inference", "seed.fresh"]
    before, died, after = certify(subject, profile="tiny", checks=checks).results
    assert [result.outcome for result in (before, died, after)] == ["conforms", "crashed", "conforms"]
    assert died.summary.startswith("WorkerError: ")
    # Of this process alone: that of the module, printed at each start, is not there twice.
    assert died.summary.endswith("the worker ended with exit status 4: hello from the module\nthe last words")


def test_a_finished_schedule_is_one_here(theirs: Callable[[str], str]) -> None:
    subject, _ = connect(theirs("finished"))
    checks = ["schedule.linear", "schedule.ends", "schedule.evaluation"]
    report = certify(subject, profile="tiny", checks=checks)
    assert [result.outcome for result in report.results] == ["conforms", "conforms", "not_applicable"]


# --- what is no worker ----------------------------------------------------------------------------------------------


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


# --- one question, one answer ---------------------------------------------------------------------------------------

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


# --- the command line -----------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["run", *arguments], env={"COLUMNS": "5000"}, catch_exceptions=False)
    return result.exit_code, result.output


def test_the_command_that_repeats_a_check_of_a_worker_repeats_it(theirs: Callable[[str], str]) -> None:
    options = ["--profile", "quick", "--check", "scale.claimed", "--seed", "5"]
    status, first = run("--worker", theirs("wrong"), *options)
    assert status == 1
    (line,) = (line.strip() for line in first.splitlines() if "repeat: " in line)
    words = shlex.split(line.removeprefix("repeat: dropblock-conformance run "))
    assert words[:2] == ["--worker", theirs("wrong")]
    status, again = run(*words)
    assert status == 1
    (summary,) = (line.strip() for line in first.splitlines() if "are wrong, by" in line and "again" not in line)
    assert summary in again


def test_a_worker_is_a_subject_among_others(theirs: Callable[[str], str]) -> None:
    options = ["--profile", "quick", "--check", "scale.claimed", "--jobs", "2"]
    status, said = run("numpy", "--worker", theirs("known"), "--worker", "echo hi", *options)
    assert status == 1
    assert "numpy: conforms" in said
    assert "wrong: deviates as declared" in said
    assert "--worker 'echo hi': unavailable: echo hi: expected a line of JSON with an object, got b'hi" in said


def test_a_worker_by_name_is_loaded_with_its_name_to_repeat() -> None:
    name = f"--worker {shlex.quote(worker('numpy'))}"
    candidate = load(name)
    assert (candidate.subject.name, candidate.repeat) == ("numpy", name)


# --- the documents --------------------------------------------------------------------------------------------------

EXAMPLE = shlex.join([sys.executable, str(ROOT / "docs" / "examples" / "worker.py")])


def exchange() -> dict[str, bytes]:
    """The two sides of the exchange that worker.md shows, byte for byte."""
    [text] = re.findall(r"```text\n(.*?)```", (ROOT / "docs" / "worker.md").read_text(), re.DOTALL)
    sides = {">": b"", "<": b""}
    for line in text.splitlines():
        side, _, said = line.partition(" ")
        sides[side] += said.encode() + b"\n" if said.startswith("{") else bytes.fromhex(said)
    return sides


def test_the_exchange_is_what_the_example_says_byte_for_byte() -> None:
    process = psutil.Popen(shlex.split(EXAMPLE), stdin=-1, stdout=-1)
    assert process.communicate(exchange()[">"])[0] == exchange()["<"]
    assert process.returncode == 0


def test_the_exchange_is_what_the_suite_asks_byte_for_byte() -> None:
    asked = io.BytesIO(exchange()[">"])
    said = io.BytesIO(exchange()["<"])
    with pytest.MonkeyPatch.context() as patch:

        def compare(pipe: Any, header: dict[str, Any], arrays: Any = ()) -> None:
            question = sent(header, *arrays)
            assert asked.read(len(question)) == question

        patch.setattr("dropblock_conformance.pipe.client.send", compare)
        patch.setattr("dropblock_conformance.pipe.client.receive", lambda pipe: receive(said))
        subject, _ = connect("cat")
        x = np.arange(1.0, 5.0, dtype=np.float32).reshape(1, 1, 1, 4)
        y = subject.call(x, keep_prob=0.5, block_size=1, training=True, seed=10)
        assert y.tolist() == [[[[2, 0, 6, 0]]]]  # two of four are kept, and doubled
        assert subject.schedule is not None
        assert subject.schedule(0.5, 2) == [1.0, 0.75, 0.5]
    assert asked.readline() == b'{"do": "next", "arrays": []}\n'


def test_the_example_conforms() -> None:
    subject, expect = connect(EXAMPLE)
    checks = ["mode.inference", "seed.same", "mask.blocks", "mask.clipped", "values.nothing_kept", "scale.claimed"]
    checks += ["gradient.scale", "schedule.ends", "schedule.linear", "law.full_map", "law.paper", "law.rank1"]
    report = certify(subject, profile="tiny", checks=checks, expect=expect)
    assert {result.id: result.outcome for result in report.results} == dict.fromkeys(checks, Outcome.CONFORMS)


def test_the_example_needs_numpy_alone() -> None:
    text = (ROOT / "docs" / "examples" / "worker.py").read_text()
    assert set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)) <= {"numpy", *sys.stdlib_module_names}
    assert f"one in {len(text.splitlines())} lines" in " ".join((ROOT / "docs" / "worker.md").read_text().split())
