"""A subject that raises, hangs or gives no answer is reported as crashed, with what it takes to find out why, and the
run goes on.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from dropblock_conformance import Claims, Deviation, Outcome, Report, Subject, certify
from dropblock_conformance.judging.attempt import Attempt

from ..support import honest, raising, returning

# One check of each engine: Hypothesis, one setting, statistics.
ENGINES = ["mask.blocks", "seed.same", "law.full_map"]
JOIN_SECONDS = 10.0  # how long a thread may take to notice that it was given up; never waited for when all is well


class OthersError(Exception):
    pass


class OwnError(OthersError):
    pass


def deep(x: np.ndarray) -> np.ndarray:
    raise OwnError("deep down")


def half_nan(x: np.ndarray) -> np.ndarray:
    y = x.copy()
    y.reshape(-1)[::2] = np.nan
    return y


def outcomes(report: Report) -> list[tuple[str, Outcome]]:
    return [(result.id, result.outcome) for result in report.results]


CRASHED = [(id, Outcome.CRASHED) for id in ENGINES]  # all of them: the run went on


@pytest.mark.parametrize(
    ("subject", "summary"),
    [
        (raising(ValueError("bad value")), "ValueError: bad value"),
        (returning(deep), "OwnError: deep down"),
        (raising(MemoryError()), "MemoryError: "),
        (returning(lambda x: None), "BadOutputError: returned NoneType, not a NumPy array"),
        (returning(lambda x: x.tolist()), "BadOutputError: returned list, not a NumPy array"),
        (returning(lambda x: np.concatenate([x, x])), "BadOutputError: returned shape"),
        (returning(lambda x: x[0]), "BadOutputError: returned shape"),
        (returning(half_nan), "BadOutputError: returned "),
        (Subject("no keywords", lambda x: x), "TypeError: "),
        # Not even these end the run.
        (raising(SystemExit(3)), "SystemExit: 3"),
        (raising(KeyboardInterrupt()), "KeyboardInterrupt"),
    ],
)
def test_without_an_answer_every_engine_says_crashed(subject: Subject, summary: str) -> None:
    report = certify(subject, profile="tiny", checks=ENGINES)
    assert outcomes(report) == CRASHED
    for result in report.results:
        assert result.summary.startswith(summary)
        assert 1 <= len(result.evidence["traceback"]) <= 10
        text = "\n".join(result.evidence["traceback"])
        assert result.summary.split(":")[0] in text
        assert "reproduce_failure" not in text  # Hypothesis' advice: to whom?
        assert result.repeat == f"certify(subject, profile='tiny', seed=0, checks=[{result.id!r}])  # {subject.name}"
        assert result.effect is None
    assert report.verdict == "does not conform"


def test_the_traceback_ends_where_the_subject_raised() -> None:
    for result in certify(returning(deep), profile="tiny", checks=ENGINES).results:
        # And with nothing of ours below: neither Hypothesis' advice nor our own frames.
        assert result.evidence["traceback"][-1].endswith("OwnError: deep down")
        assert any("in deep" in line for line in result.evidence["traceback"])


@pytest.mark.parametrize("texts", ["numbers", "objects"])
def test_an_array_of_no_numbers_is_crashed(texts: str) -> None:
    answer = "text" if texts == "numbers" else None
    report = certify(returning(lambda x: np.full(x.shape, answer)), profile="tiny", checks=ENGINES)
    assert outcomes(report) == CRASHED


MORE = ["scale.claimed", "mode.inference", "output.dtype", "mask.clipped"]  # each takes a second to shrink


@pytest.mark.parametrize("more", [[], pytest.param(MORE, marks=pytest.mark.exhaustive)], ids=["few", "many"])
def test_all_nan_is_never_a_pass(more: list[str]) -> None:
    report = certify(
        returning(lambda x: np.full_like(x, np.nan)), profile="tiny", checks=[*ENGINES, "values.nothing_kept", *more]
    )
    assert not report.counts[Outcome.CONFORMS]
    assert ("values.nothing_kept", Outcome.DEVIATES) in outcomes(report)


def test_an_exception_that_does_not_come_again_is_the_subjects_own() -> None:
    # Hypothesis asks again, and calls the test flaky.
    right, calls = honest(), 0

    def call(x: np.ndarray, **arguments: Any) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OwnError("once")
        return right.call(x, **arguments)

    (result,) = certify(Subject("once", call), profile="tiny", checks=["mask.blocks"]).results
    assert (result.outcome, result.summary) == (Outcome.CRASHED, "OwnError: once")


@pytest.mark.parametrize("values", [[], [1.0] * 3, [1.0] * 1000])
def test_a_schedule_of_another_length_is_no_answer(values: list[float]) -> None:
    subject = Subject("long", honest().call, schedule=lambda keep_prob, steps: values)
    (result,) = certify(subject, profile="tiny", checks=["schedule.linear"]).results
    assert result.outcome == Outcome.CRASHED
    assert result.summary.startswith("BadOutputError: schedule(")


def test_only_the_checks_that_meet_the_fault_are_crashed() -> None:
    right = honest()

    def call(x: np.ndarray, *, training: bool, **arguments: Any) -> np.ndarray:
        if not training:
            raise OwnError("no inference")
        return right.call(x, training=training, **arguments)

    report = certify(Subject("no inference", call), profile="tiny", checks=[*ENGINES, "mode.inference"])
    assert outcomes(report) == [*((id, Outcome.CONFORMS) for id in ENGINES), ("mode.inference", Outcome.CRASHED)]


def test_a_crash_at_the_second_attempt_shows_the_first_too() -> None:
    calls = 0

    def call(x: np.ndarray, *, seed: int, **_: Any) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise OwnError("tired")
        return np.random.default_rng(calls).random(x.shape, np.float32).round()

    (result,) = certify(Subject("tired", call), profile="tiny", checks=["seed.same"]).results
    assert result.outcome == Outcome.CRASHED
    assert [attempt["verdict"] for attempt in result.evidence["attempts"]] == ["deviates"]


# --- declared exceptions --------------------------------------------------------------------------------------------

# A check of each way that leads to the subject: call, gradient, schedule, and a call between two steps of a schedule.
WAYS = [
    "mask.blocks",
    "law.full_map",
    "gradient.mask",
    "schedule.ends",
    "schedule.training_calls",
    "schedule.evaluation",
]


def failing_everywhere() -> Subject:
    def fails(*_: Any, **__: Any) -> Any:
        raise OwnError("everywhere")

    return Subject("fails", fails, grad=fails, schedule=fails)


@pytest.mark.parametrize("raises", [OwnError, "OwnError", OthersError])
def test_a_declared_exception_is_recognised_whichever_way_it_came(raises: Any) -> None:
    expect = [Deviation(id, "known", raises=raises) for id in WAYS]
    report = certify(failing_everywhere(), profile="tiny", checks=WAYS, expect=expect)
    assert outcomes(report) == [(id, Outcome.DECLARED) for id in WAYS]
    assert report.as_declared
    assert {result.evidence["reason"] for result in report.results} == {"known"}


@pytest.mark.parametrize("id", ["schedule.training_calls", "schedule.evaluation"])
def test_an_exception_between_two_steps_of_a_schedule_is_the_subjects_own(id: str) -> None:
    fails = Subject("fails", failing_everywhere().call, schedule=honest().schedule)
    (result,) = certify(fails, profile="tiny", checks=[id]).results
    assert (result.outcome, result.summary) == (Outcome.CRASHED, "OwnError: everywhere")


def test_another_exception_than_the_declared_one_is_a_wrong_cause() -> None:
    expect = [Deviation("mask.blocks", "known", raises=KeyError)]
    (result,) = certify(failing_everywhere(), profile="tiny", checks=["mask.blocks"], expect=expect).results
    assert (result.outcome, result.summary) == (Outcome.WRONG_CAUSE, "OwnError: everywhere")


# --- hanging --------------------------------------------------------------------------------------------------------


SOON = 0.1  # seconds from the first call until a check counts as hung here


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """To be set by a subject that is about to hang: only then does its check's time begin to run.

    On a busy machine the time would be up while the check is on its way to the subject.
    """
    begun, join = threading.Event(), Attempt.join

    def join_once_begun(attempt: Attempt, timeout: float | None = None) -> None:
        begun.wait()
        join(attempt, timeout)
        begun.clear()

    monkeypatch.setattr(Attempt, "join", join_once_begun)
    return begun


@pytest.fixture
def busy(begun: threading.Event) -> Iterator[Callable[..., Any]]:
    """A call that never answers, and that ends with the test whatever the suite does."""
    over = threading.Event()

    def call(x: Any, **_: Any) -> Any:
        begun.set()
        while not over.is_set():
            pass
        raise OwnError("the test is over")

    yield call
    over.set()


def test_a_subject_that_hangs_is_crashed_and_the_run_goes_on(busy: Callable[..., Any]) -> None:
    report = certify(Subject("hangs", busy), profile="tiny", checks=ENGINES, timeout=SOON)
    assert outcomes(report) == CRASHED
    assert {result.summary for result in report.results} == {"TimeoutExceededError: no answer within 0.1 s"}
    for result in report.results:  # and where it hung
        assert any("in call" in line for line in result.evidence["traceback"])


def test_a_declared_hang_is_declared(busy: Callable[..., Any]) -> None:
    expect = [Deviation("seed.same", "never ends", raises="TimeoutExceededError")]
    report = certify(Subject("hangs", busy), profile="tiny", checks=["seed.same"], expect=expect, timeout=SOON)
    assert outcomes(report) == [("seed.same", Outcome.DECLARED)]


@pytest.mark.skipif(sys.gettrace() is not None, reason="nothing is interrupted under a tracer, as coverage is")
@pytest.mark.parametrize("id", ENGINES)
def test_a_busy_loop_that_was_given_up_is_stopped(busy: Callable[..., Any], id: str) -> None:
    # Left alone it would take half of every later check's time, and make those hang in turn.
    before = set(threading.enumerate())
    certify(Subject("hangs", busy), profile="tiny", checks=[id], timeout=SOON)
    left = set(threading.enumerate()) - before
    for thread in left:
        threading.Thread.join(thread, JOIN_SECONDS)
    assert not [thread for thread in left if thread.is_alive()]


def test_a_subject_that_waits_for_ever_does_not_hold_up_the_run_either(begun: threading.Event) -> None:
    over = threading.Event()

    def call(x: Any, **_: Any) -> Any:
        begun.set()
        over.wait()  # no line of Python is run, so nothing can stop it

    try:
        report = certify(Subject("waits", call, Claims()), profile="tiny", checks=ENGINES, timeout=SOON)
        assert outcomes(report) == CRASHED
    finally:
        over.set()


def test_a_run_leaves_the_interpreter_as_it_was() -> None:
    tracing, switching = sys.gettrace(), sys.getswitchinterval()
    certify(returning(deep), profile="tiny", checks=ENGINES)
    assert (sys.gettrace(), sys.getswitchinterval()) == (tracing, switching)
