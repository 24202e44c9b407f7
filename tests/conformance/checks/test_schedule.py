"""A schedule that a check leaves early is ended at once, here and in a worker, whatever still refers to it."""

import gc
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from dropblock_conformance import Outcome, Subject, certify
from dropblock_conformance.pipe.client import connect
from tests.mutants import Honest

HONEST = Honest().subject("right")


@pytest.fixture
def _no_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collection")
def test_a_schedule_ends_with_the_check_that_left_it() -> None:
    running: list[int] = []

    def schedule(keep_prob: float, steps: int) -> Iterator[float]:
        running.append(steps)
        try:
            for step in range(steps + 1):
                yield 1 - step / steps * (1 - keep_prob)
        finally:
            running.remove(steps)

    def call(x: object, **arguments: object) -> object:
        if running:
            raise RuntimeError("no calls between two steps")
        return HONEST.call(x, **arguments)

    subject = Subject("strict", call, HONEST.claims, schedule=schedule)
    (result,) = certify(subject, profile="tiny", checks=["schedule.training_calls"]).results
    assert result.outcome == Outcome.CRASHED
    assert running == []


MODULE = """
from dropblock_conformance import Subject

running = []

def schedule(keep_prob, steps):
    running.append(steps)
    try:
        yield from [1.0] * (steps + 1)
    finally:
        running.remove(steps)

def call(x, **arguments):
    return x * 0 + len(running)

subject = Subject("counting", call, schedule=schedule)
"""


def test_a_worker_ends_the_schedule_that_was_left_here(make_module: Callable[[str], Callable[[str], str]]) -> None:
    name = make_module(MODULE)("subject")
    program = f"import sys; sys.path[:] = {sys.path!a}; sys.argv[1:] = [{name!r}]; "
    program += "from dropblock_conformance.worker import main; main()"
    subject, _ = connect(f'{sys.executable} -c "{program}"')
    call = {"keep_prob": 0.5, "block_size": 1, "training": True, "seed": 0}
    x = np.ones((1, 1, 2, 2), np.float32)
    values = iter(subject.schedule(0.5, 7))
    assert next(values) == 1.0
    assert (subject.call(x, **call) == 1).all()
    values.close()
    assert (subject.call(x, **call) == 0).all()
