"""A try that is given up stops at its next call of the subject, and is interrupted only in the subject's code."""

import sys
import threading
from collections.abc import Callable

import pytest

from dropblock_conformance.judging.attempt import Attempt, in_subject

SECONDS = 60.0  # to come to an end, which takes none of them


def test_what_was_returned_or_raised_is_kept() -> None:
    returns, raises = attempts = [Attempt(lambda: 7), Attempt(sys.exit)]
    for attempt in attempts:
        attempt.start()
        attempt.join(SECONDS)
    assert returns.finished == [7]
    assert [type(error) for error in raises.finished] == [SystemExit]


def test_outside_of_an_attempt_a_call_is_a_call() -> None:
    assert in_subject(max, 3, 4, key=lambda x: -x) == 3


def given_up_while(work: Callable[[threading.Event, threading.Event], None]) -> Attempt:
    """An attempt at `work`, given up once it has set the first event; then the second is set."""
    here, go_on = threading.Event(), threading.Event()
    attempt = Attempt(lambda: work(here, go_on))
    attempt.start()
    assert here.wait(SECONDS)
    attempt.give_up()
    go_on.set()
    attempt.join(SECONDS)
    assert not attempt.is_alive()
    return attempt


def test_between_two_calls_it_is_not_interrupted_and_makes_no_further_call() -> None:
    done: list[str] = []

    def work(here: threading.Event, go_on: threading.Event) -> None:
        in_subject(done.append, "first call")
        here.set()
        go_on.wait(SECONDS)
        done.append("still judging")
        in_subject(done.append, "second call")

    attempt = given_up_while(work)
    assert done == ["first call", "still judging"]
    assert isinstance(attempt.finished[0], KeyboardInterrupt)


def test_a_call_that_no_interrupt_reaches_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "gettrace", lambda: "a tracer")  # under which nothing is interrupted
    done: list[str] = []

    def blocked(here: threading.Event, go_on: threading.Event) -> None:
        here.set()
        go_on.wait(SECONDS)
        done.append("first call")

    def work(here: threading.Event, go_on: threading.Event) -> None:
        in_subject(blocked, here, go_on)
        in_subject(done.append, "second call")

    given_up_while(work)
    assert done == ["first call"]


@pytest.mark.skipif(sys.gettrace() is not None, reason="nothing is interrupted under a tracer, as coverage is")
def test_a_busy_loop_of_the_subject_is_interrupted() -> None:
    def busy(here: threading.Event) -> None:
        here.set()
        while True:
            pass

    attempt = given_up_while(lambda here, go_on: in_subject(busy, here))
    assert isinstance(attempt.finished[0], KeyboardInterrupt)
    assert not attempt.is_in_subject
