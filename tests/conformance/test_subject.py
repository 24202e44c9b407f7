"""What can be claimed and declared, and what a subject's answer has to be."""

import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from dropblock_conformance import Claims, Deviation, Subject
from dropblock_conformance.judging.answers import (
    BadOutputError,
    NothingKeptError,
    SubjectError,
    call,
    checked,
    gradient,
)
from dropblock_conformance.subject import DTYPES

from .support import raising, returning

X = np.ones((2, 3, 4, 4), np.float32)
ARGUMENTS: dict[str, Any] = {"keep_prob": 0.9, "block_size": 3, "seed": 5}


# --- claims ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"renorm": "batch"}, "renorm='batch' is unknown: claim one of 'tensor', 'sample', 'map', 'expected', 'none'"),
        ({"renorm": None}, "renorm=None is unknown: claim one of"),
        ({"spatial": ()}, "spatial=(): claim a non-empty tuple out of (1, 2, 3)"),
        ({"spatial": (2, 4)}, "spatial=(2, 4): claim a non-empty tuple out of (1, 2, 3)"),
        ({"spatial": 2}, "spatial=2: claim a non-empty tuple out of (1, 2, 3)"),
        ({"dtypes": "float32"}, "dtypes='float32': claim a non-empty tuple out of ('float16', 'bfloat16', "),
        ({"dtypes": ("float8",)}, "dtypes=('float8',): claim a non-empty tuple out of"),
        ({"dtypes": None}, "dtypes=None: claim a non-empty tuple out of"),
    ],
)
def test_a_claim_that_nobody_can_check_is_refused(claims: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        Claims(**claims)


def test_the_claims_of_the_contract_are_the_defaults() -> None:
    assert Claims() == Claims(True, "tensor", (2,), ("float32",), True, True, True)


@pytest.mark.parametrize(
    ("dtypes", "law"),
    [(DTYPES, "float32"), (("float16",), "float16"), (("bfloat16", "float64"), "bfloat16")],
)
def test_the_law_is_tested_in_float32_where_that_is_claimed(dtypes: tuple[str, ...], law: str) -> None:
    assert Claims(dtypes=dtypes).law_dtype == law


def test_a_subject_claims_the_paper_unless_it_says_otherwise() -> None:
    subject = Subject("mine", lambda x: x)
    assert (subject.claims, subject.grad, subject.schedule) == (Claims(), None, None)


# --- deviations -----------------------------------------------------------------------------------------------------

ONE_OF_THEM = "Deviation('law.paper'): give a bound on the effect or an exception type, one of them"


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ({"reason": "r"}, ONE_OF_THEM),
        ({"reason": "r", "effect": (0, 1), "raises": ValueError}, ONE_OF_THEM),
        ({"reason": "", "effect": (0, 1)}, "Deviation('law.paper') has no reason: say why it deviates"),
        ({"reason": " \n", "raises": "ValueError"}, "Deviation('law.paper') has no reason"),
        # A bound that covers nothing, or is none, would surface only in the middle of a run.
        ({"reason": "r", "effect": (0.2, 0.1)}, "Deviation('law.paper')"),
        ({"reason": "r", "effect": (float("nan"), 1)}, "Deviation('law.paper')"),
        ({"reason": "r", "effect": 0.1}, "Deviation('law.paper')"),
    ],
)
def test_a_deviation_without_bound_or_reason_is_refused(declared: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        Deviation("law.paper", **declared)


@pytest.mark.parametrize(("effect", "covered"), [(-0.1, True), (0.0, True), (0.2, True), (-0.11, False), (0.21, False)])
def test_a_bound_covers_its_ends_and_nothing_beyond(effect: float, covered: bool) -> None:
    assert Deviation("c", "r", effect=(-0.1, 0.2)).covers(effect) is covered


def test_nan_is_never_covered_and_an_exception_type_covers_no_effect() -> None:
    assert not Deviation("c", "r", effect=(-1, 1)).covers(float("nan"))
    assert not Deviation("c", "r", raises=ValueError).covers(0.0)


class LocalError(ValueError):
    pass


@pytest.mark.parametrize(
    ("raises", "error", "covered"),
    [
        (ValueError, ValueError("x"), True),
        (ValueError, LocalError("x"), True),
        (LocalError, ValueError("x"), False),
        (ValueError, TypeError("x"), False),
        ("ValueError", LocalError("x"), True),
        ("LocalError", LocalError("x"), True),
        ("TimeoutExceededError", ValueError("x"), False),
    ],
)
def test_an_exception_is_covered_by_class_or_name_derived_ones_too(raises: Any, error: Exception, covered: bool):
    assert Deviation("c", "r", raises=raises).covers_exception(error) is covered
    assert not Deviation("c", "r", effect=(0, 1)).covers_exception(error)


# --- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "returned NoneType, not a NumPy array"),
        ([[1.0]], "returned list, not a NumPy array"),
        (np.float32(1), "returned float32, not a NumPy array"),
        (np.ones((2, 3, 4, 5)), "returned shape (2, 3, 4, 5) for an input of shape (2, 3, 4, 4)"),
        (np.ones((2, 3, 16)), "returned shape (2, 3, 16) for"),
        (np.full(X.shape, "text"), "returned"),
        (np.full(X.shape, None), "returned"),
    ],
)
def test_what_is_no_answer_is_refused_before_anybody_measures_it(answer: Any, text: str) -> None:
    with pytest.raises(BadOutputError, match=re.escape(text)):
        checked(answer, X, Claims())
    with pytest.raises(BadOutputError, match=re.escape(text)):
        call(returning(lambda x: answer), X, **ARGUMENTS)


def with_nan(*where: Any, dtype: Any = np.float32) -> np.ndarray:
    y = np.ones(X.shape, dtype)
    for index in where:
        y[index] = np.nan
    return y


@pytest.mark.parametrize(
    ("renorm", "y", "error"),
    [
        ("tensor", with_nan(...), NothingKeptError),
        ("tensor", with_nan(0), BadOutputError),
        ("sample", with_nan(0), NothingKeptError),
        ("sample", with_nan((0, 1)), BadOutputError),
        ("map", with_nan((0, 1), (1, 2)), NothingKeptError),
        ("map", with_nan((0, 1), (1, 2, 0)), BadOutputError),
        ("expected", with_nan(0), BadOutputError),
        ("none", with_nan((0, 1)), BadOutputError),
        ("tensor", with_nan(0, dtype=ml_dtypes.bfloat16), BadOutputError),
    ],
)
def test_nan_is_an_error_unless_a_whole_scope_kept_nothing(renorm: str, y: np.ndarray, error: type[Exception]) -> None:
    with pytest.raises(error, match="NaN"):
        checked(y, X, Claims(renorm=renorm))
    taken = checked(y, X, Claims(renorm=renorm), nan_is_an_answer=True)
    assert (taken.dtype, taken.tobytes()) == (y.dtype, y.tobytes())
    assert not np.shares_memory(taken, y)  # the subject may write into its array at the next call


def test_the_message_counts_nan() -> None:
    with pytest.raises(BadOutputError, match="returned 2 NaN of 96 units for an input without NaN"):
        checked(with_nan((0, 0, 1, 1), (1, 2, 3, 3)), X, Claims())


def test_nan_that_came_in_may_come_out() -> None:
    assert checked(with_nan(0), with_nan((0, 0, 0, 0)), Claims()) is not None


def test_a_subjects_exception_is_wrapped_with_its_own_as_the_cause() -> None:
    error = ZeroDivisionError("by zero")
    with pytest.raises(SubjectError, match="ZeroDivisionError: by zero") as caught:
        call(raising(error), X, **ARGUMENTS)
    assert caught.value.__cause__ is error


def test_the_arguments_reach_the_subject_by_name() -> None:
    seen: dict[str, Any] = {}

    def spy(x: np.ndarray, **arguments: Any) -> np.ndarray:
        seen.update(arguments)
        return x

    np.testing.assert_array_equal(call(Subject("spy", spy), X, **ARGUMENTS), X)
    assert seen == {**ARGUMENTS, "training": True}


# --- gradients ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pair", "text"),
    [
        (X, "grad returned ndarray, not a tuple (y, dx)"),
        ((X,), "grad returned tuple, not a tuple (y, dx)"),
        ((X, None), "returned NoneType, not a NumPy array"),
        ((X[:1], X), "returned shape (1, 3, 4, 4)"),
        ((X, X[:, :1]), "returned shape (2, 1, 4, 4)"),
    ],
)
def test_a_gradient_is_a_pair_of_arrays(pair: Any, text: str) -> None:
    subject = Subject("pairs", lambda x: x, grad=lambda x, dy, **_: pair)
    with pytest.raises(BadOutputError, match=re.escape(text)):
        gradient(subject, X, X, **ARGUMENTS)


def test_a_gradients_exception_is_wrapped_and_nan_is_left_to_the_checks() -> None:
    def fails(x: np.ndarray, dy: np.ndarray, **_: Any) -> Any:
        raise KeyError("gone")

    with pytest.raises(SubjectError, match="KeyError: 'gone'"):
        gradient(Subject("fails", lambda x: x, grad=fails), X, X, **ARGUMENTS)
    pair = gradient(Subject("nan", lambda x: x, grad=lambda x, dy, **_: (x, with_nan(...))), X, X, **ARGUMENTS)
    assert np.isnan(pair[1]).all()
