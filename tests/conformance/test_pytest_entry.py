"""`parametrize` in somebody else's tests: it passes, fails with evidence, and skips."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dropblock_conformance import Deviation, parametrize
from dropblock_conformance.checks import all_checks
from tests.mutants import MUTANTS

from .support import NUMPY, raising

THEIR_TESTS = """
from dropblock_conformance import Deviation, parametrize
from dropblock_conformance.subjects import load
from tests.mutants import MUTANTS

SOME = ["seed.same", "scale.claimed", "law.full_map", "mask.shared"]
WRONG = MUTANTS["ScaleByKeepProb"].build().subject("wrong")


@parametrize(load("numpy").subject, checks=SOME)
def test_right(check):
    check()


@parametrize(WRONG, checks=["scale.claimed"])
def test_wrong(check):
    check()


@parametrize(WRONG, checks=["scale.claimed"], expect=[Deviation("scale.claimed", "known", effect=(0, 5))])
def test_known(check):
    check()
"""


def test_in_a_session_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(THEIR_TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "-W", "error", "test_theirs.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout
    assert done.returncode == 1, said + done.stderr
    assert "4 passed, 1 skipped" in said
    assert "1 failed, " in said
    for passed in ("test_right[seed.same]", "test_right[scale.claimed]", "test_right[law.full_map]", "test_known"):
        assert f"PASSED test_theirs.py::{passed}" in said
    assert re.search(r"SKIPPED.*claims that no maps share a mask", said)
    assert "FAILED test_theirs.py::test_wrong[scale.claimed]" in said
    # The evidence: what was seen, the rule, the way to see it again.
    assert "scale.claimed deviates: " in said
    assert "kept values are wrong, by " in said
    assert "rule: R8, R9 · Algorithm 1 line 8" in said
    assert "repeat: certify(subject, profile='quick', seed=0, checks=['scale.claimed'])  # wrong" in said


# Used as anybody would, in this very session.
@parametrize(NUMPY, profile="quick", checks=["seed.same", "seed.fresh", "mask.shared"])
def test_here(check) -> None:
    check()


def checks_of(mark: pytest.MarkDecorator) -> dict[str, pytest.param]:
    name, parameters = mark.args
    assert name == "check"
    return {parameter.id: parameter for parameter in parameters}


def test_every_check_is_a_test_and_what_does_not_apply_says_why() -> None:
    parameters = checks_of(parametrize(NUMPY))
    assert list(parameters) == list(all_checks())
    skipped = {id: p.marks[0].kwargs["reason"] for id, p in parameters.items() if p.marks}
    assert skipped == {"mask.shared": "claims that no maps share a mask"}


def test_a_crash_fails_with_its_traceback() -> None:
    parameters = checks_of(parametrize(raising(KeyError("gone")), checks=["seed.same"]))
    with pytest.raises(AssertionError) as caught:
        parameters["seed.same"].values[0]()
    text = str(caught.value)
    assert text.startswith("seed.same crashed: KeyError: 'gone'\nrule: R13")
    assert "Traceback" in text or 'File "' in text
    assert "repeat: certify(subject" in text


def test_a_surprise_fails() -> None:
    expect = [Deviation("seed.same", "since repaired", effect=(0, 1))]
    parameters = checks_of(parametrize(NUMPY, checks=["seed.same"], expect=expect))
    with pytest.raises(AssertionError, match=r"seed\.same surprise: a deviation was declared, yet: "):
        parameters["seed.same"].values[0]()


def test_what_turns_out_not_to_apply_is_skipped() -> None:
    wrong = MUTANTS["EvaluationAdvances"].build().subject("finished")
    finished = type(wrong)("finished", wrong.call, wrong.claims, schedule=lambda keep_prob, steps: [1.0] * (steps + 1))
    parameters = checks_of(parametrize(finished, checks=["schedule.evaluation"]))
    with pytest.raises(pytest.skip.Exception, match="its schedule returns finished values"):
        parameters["schedule.evaluation"].values[0]()


def test_an_unknown_check_is_told_when_the_decorator_is_made() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'seed\.same'\?"):
        parametrize(NUMPY, checks=["seed.some"])
