"""LinearSchedule (rule R12): a function of the training step, exact at its ends."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropblock_core import LinearSchedule

PROBABILITIES = st.floats(0, 1)
STEPS = st.integers(1, 10**12)


@given(keep_prob=PROBABILITIES, steps=STEPS, start=PROBABILITIES, beyond=st.integers(0, 10**12))
def test_r12_ends_are_exact(keep_prob: float, steps: int, start: float, beyond: int) -> None:
    schedule = LinearSchedule(keep_prob, steps, start)
    assert schedule(0) == start
    assert schedule(steps) == keep_prob
    assert schedule(steps + beyond) == keep_prob
    assert LinearSchedule(keep_prob, steps)(0) == 1.0


@given(keep_prob=PROBABILITIES, start=PROBABILITIES, step=st.integers(0, 10**12))
def test_r12_steps_0_is_keep_prob_throughout(keep_prob: float, start: float, step: int) -> None:
    assert LinearSchedule(keep_prob, 0, start)(step) == keep_prob


@given(keep_prob=PROBABILITIES, start=PROBABILITIES, steps=STEPS, data=st.data())
def test_r12_is_monotone_and_stays_between_its_ends(
    keep_prob: float, start: float, steps: int, data: st.DataObject
) -> None:
    schedule = LinearSchedule(keep_prob, steps, start)
    earlier, later = sorted(data.draw(st.tuples(st.floats(0, steps), st.floats(0, steps))))
    low, high = sorted([keep_prob, start])
    assert low <= schedule(earlier) <= high
    assert low <= schedule(later) <= high
    assert schedule(earlier) >= schedule(later) if keep_prob <= start else schedule(earlier) <= schedule(later)


def test_r12_stays_between_its_ends_where_rounding_would_leave_them() -> None:
    # The step rounds to the last one, and 1 - (1 - 0.1) is below 0.1.
    assert 1.0 - (2**53 / float(2**53 + 1)) * (1.0 - 0.1) < 0.1
    assert LinearSchedule(0.1, 2**53 + 1)(2**53) == 0.1


@given(keep_prob=PROBABILITIES, start=PROBABILITIES, steps=STEPS, data=st.data())
def test_r12_is_linear(keep_prob: float, start: float, steps: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(0, steps))
    # Four roundings of numbers up to 1.
    exact = start + step / steps * (keep_prob - start)
    assert LinearSchedule(keep_prob, steps, start)(step) == pytest.approx(exact, rel=0, abs=4 * 2.0**-53)


def test_r12_the_papers_schedule() -> None:
    schedule = LinearSchedule(keep_prob=0.9, steps=1000)
    assert [schedule(step) for step in (0, 250, 500, 1000, 10**9)] == [1.0, 0.975, 0.95, 0.9, 0.9]


def test_r12_takes_numpys_numbers() -> None:
    schedule = LinearSchedule(np.float64(0.9), np.int64(10))
    assert schedule(np.int64(5)) == schedule(np.array(5)) == schedule(5)
    assert schedule(2.5) == pytest.approx(0.975)
    assert isinstance(schedule(np.float32(3)), float)


def test_r12_survives_save_load_and_copies() -> None:
    schedule = LinearSchedule(0.7, 10, 0.9)
    for copied in (pickle.loads(pickle.dumps(schedule)), copy.deepcopy(schedule), dataclasses.replace(schedule)):
        assert copied == schedule
        assert hash(copied) == hash(schedule)
        assert [copied(step) for step in range(12)] == [schedule(step) for step in range(12)]


def test_r12_holds_no_state_that_a_call_could_move() -> None:
    schedule = LinearSchedule(0.7, 10)
    assert [schedule(3), schedule(7), schedule(3)] == [schedule(3), schedule(7), schedule(3)]
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.steps = 20  # type: ignore[misc]
