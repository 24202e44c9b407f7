# SPDX-License-Identifier: Apache-2.0
"""A subject's answers, looked at before anybody measures them."""

from typing import Any

import numpy as np

from dropblock_conformance.judging.attempt import in_subject
from dropblock_conformance.subject import Array, Claims, Subject
from dropblock_core.validate import is_real_floating


class SubjectError(Exception):
    """The subject raised: `__cause__` is its exception."""


class BadOutputError(Exception):
    """The subject returned something that is no answer: not an array, the wrong shape, NaN out of numbers."""


class NothingKeptError(Exception):
    """Every unit of a renormalisation scope came back NaN: 0/0 where nothing was kept (rule R10's own check)."""

    def __init__(self, y: Array) -> None:
        super().__init__("NaN where nothing was kept: 0/0 in line 8")
        self.y = y


MOST_SAID = 2000  # characters of a message


def described(error: BaseException) -> str:
    """An exception by its type and message, whatever the message is."""
    try:
        said = str(error)
    except Exception as failed:
        said = f"its message cannot be had: {type(failed).__name__}"
    return f"{type(error).__name__}: {said[:MOST_SAID]}"


def call(
    subject: Subject,
    x: Array,
    *,
    keep_prob: float,
    block_size: int,
    seed: int,
    training: bool = True,
    nan_is_an_answer: bool = False,
) -> Array:
    """Call the subject and look at what comes back, before anybody measures it.

    Raises:
        SubjectError, BadOutputError, NothingKeptError
    """
    try:
        y = in_subject(subject.call, x, keep_prob=keep_prob, block_size=block_size, training=training, seed=seed)
    except Exception as error:
        raise SubjectError(described(error)) from error
    return checked(y, x, subject.claims, nan_is_an_answer=nan_is_an_answer)


def gradient(
    subject: Subject, x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int
) -> tuple[Array, Array]:
    """``(y, dx)`` of one training call, looked at as :func:`call` does; dx may hold NaN for its own check to see."""
    assert subject.grad is not None
    try:
        pair = in_subject(subject.grad, x, dy, keep_prob=keep_prob, block_size=block_size, seed=seed)
    except Exception as error:
        raise SubjectError(described(error)) from error
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise BadOutputError(f"grad returned {type(pair).__name__}, not a tuple (y, dx)")
    return checked(pair[0], x, subject.claims, nan_is_an_answer=True), checked(
        pair[1], x, subject.claims, nan_is_an_answer=True
    )


def checked(answer: Any, x: Array, claims: Claims, *, nan_is_an_answer: bool = False) -> Array:
    if not isinstance(answer, np.ndarray):
        raise BadOutputError(f"returned {type(answer).__name__}, not a NumPy array")
    if not is_real_floating(answer.dtype):
        raise BadOutputError(f"returned dtype {answer.dtype}, which is not of a floating type")
    if answer.shape != x.shape:
        raise BadOutputError(f"returned shape {answer.shape} for an input of shape {x.shape}")
    # A copy: the subject may write into its array at the next call, and a subclass may compare as it likes.
    y: Array = np.array(answer)
    if nan_is_an_answer or not np.isnan(y).any():
        return y
    if np.isnan(x).any():
        return y
    axes = tuple(range({"sample": 1, "map": 2}.get(claims.renorm, 0), y.ndim))
    if np.array_equal(np.isnan(y).all(axis=axes), np.isnan(y).any(axis=axes)):
        raise NothingKeptError(y)
    raise BadOutputError(f"returned {int(np.isnan(y).sum())} NaN of {y.size} units for an input without NaN")
