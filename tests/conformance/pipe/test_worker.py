"""An implementation elsewhere is judged as one here."""

import io
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from dropblock_conformance import Claims, Deviation, Outcome, Subject, certify
from dropblock_conformance.cli import main
from dropblock_conformance.pipe.client import connect
from dropblock_conformance.pipe.protocol import PROTOCOL, receive
from dropblock_conformance.subject import Array
from dropblock_conformance.subjects import Candidate, load
from dropblock_conformance.worker import serve

from ..support import NUMPY, timeless
from .support import X, script, sent, worker

pytestmark = pytest.mark.usefixtures("nothing_stays")

# --- the answering end, in this process -------------------------------------------------------------------------------

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
            "non_square": True,
            "keep_prob_zero": True,
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


# --- both ends --------------------------------------------------------------------------------------------------------


def test_a_subject_elsewhere_is_judged_as_one_here() -> None:
    subject, expect = connect(worker("numpy"))
    assert (subject.name, subject.claims, subject.compiles, expect) == ("numpy", NUMPY.claims, False, [])
    checks = ["mode.inference", "seed.same", "mask.blocks", "scale.claimed", "gradient.scale", "schedule.ends"]
    checks += ["schedule.training_calls", "schedule.evaluation", "law.full_map", "law.bfloat16"]
    there, here = (certify(each, profile="tiny", checks=checks) for each in (subject, NUMPY))
    assert here.conforms
    assert timeless(there.results) == timeless(here.results)


def test_what_is_known_to_deviate_is_known_here_and_a_finished_schedule_is_one(theirs: Callable[[str], str]) -> None:
    subject, expect = connect(theirs("known"))
    assert expect == [Deviation("scale.claimed", "an old habit", effect=(0, 5))]
    checks = ["scale.claimed", "seed.same", "schedule.linear", "schedule.ends", "schedule.evaluation"]
    report = certify(subject, profile="tiny", checks=checks, expect=expect)
    assert [result.outcome for result in report.results] == ["declared", *["conforms"] * 3, "not_applicable"]


def test_an_exception_there_has_its_name_here(theirs: Callable[[str], str]) -> None:
    subject, expect = connect(theirs("raising"))
    assert [deviation.raises for deviation in expect] == ["ZeroDivisionError"]
    for declared, outcome in (
        ([], Outcome.CRASHED),
        (expect, Outcome.DECLARED),
        ([Deviation("mode.inference", "known", raises=KeyError)], Outcome.WRONG_CAUSE),
    ):
        report = certify(subject, profile="tiny", checks=["mode.inference", "seed.same"], expect=declared)
        inference, after = report.results
        assert (inference.outcome, inference.summary) == (outcome, "ZeroDivisionError: in there")
        assert after.outcome == Outcome.CONFORMS


def test_a_worker_that_dies_is_an_error_and_started_anew(
    theirs: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # what it printed is there even so
    subject, _ = connect(theirs("dying"))
    checks = ["seed.same", "mode.inference", "seed.fresh"]
    before, died, after = certify(subject, profile="tiny", checks=checks).results
    assert [result.outcome for result in (before, died, after)] == ["conforms", "crashed", "conforms"]
    assert died.summary.startswith("WorkerError: ")
    # Of this process alone: that of the module, printed at each start, is not there twice.
    told = r"the worker ended with exit status 4: hello from the module\n\d+\nthe last words"
    assert re.search(f"{told}$", died.summary)


# --- the command line -------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["run", "--verbose", *arguments], env={"COLUMNS": "5000"}, catch_exceptions=False)
    return result.exit_code, result.output


def test_a_worker_is_a_subject_among_others_and_the_command_repeats_its_check(theirs: Callable[[str], str]) -> None:
    options = ["--profile", "quick", "--check", "scale.claimed", "--seed", "5", "--jobs", "2"]
    status, first = run("--worker", theirs("wrong"), "--worker", "echo hi", *options)
    assert status == 3
    assert "--worker 'echo hi': unavailable: echo hi: expected a line of JSON with an object, got b'hi" in first
    (line,) = (line.strip() for line in first.splitlines() if "repeat: " in line)
    words = shlex.split(line.removeprefix("repeat: dropblock-conformance run "))
    assert words[:2] == ["--worker", theirs("wrong")]
    status, again = run(*words)
    assert status == 1
    (summary,) = (line.strip() for line in first.splitlines() if "are wrong, by" in line and "again" not in line)
    assert summary in again


@pytest.mark.exhaustive
def test_a_worker_that_deviates_as_declared_is_told_so_beside_others(theirs: Callable[[str], str]) -> None:
    status, said = run(
        "numpy", "--worker", theirs("known"), "--profile", "quick", "--check", "scale.claimed", "--jobs", "2"
    )
    assert status == 0
    assert "numpy: conforms" in said
    assert "wrong: deviates as declared" in said


def test_a_worker_by_name_is_loaded_with_its_name_to_repeat(tmp_path: Path) -> None:
    hello = json.dumps({"protocol": PROTOCOL, "name": "theirs"})
    command = script(tmp_path, f"input()\nprint({hello!r}, flush=True)\ninput()")
    name = f"--worker {shlex.quote(command)}"
    candidate = load(name)
    assert (candidate.subject.name, candidate.repeat) == ("theirs", name)
