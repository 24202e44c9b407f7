"""What the tests of the TensorFlow adapter share: NumPy's answer in its order of axes, and what equal means."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

import dropblock_core as core
from dropblock_core.stream import philox_key

DTYPES = [tf.float32, tf.float16, tf.bfloat16, tf.float64]
RENORMS = ["tensor", "sample", "map", "expected", "none"]
DATA_FORMATS = ["channels_last", "channels_first"]
ROOT = Path(__file__).parents[2]

# The shape that most tests use, channels last, and a call on it.
SHAPE = (2, 8, 9, 3)
SEEDED: dict[str, Any] = {"keep_prob": 0.6, "block_size": 3, "seed": 4}


def eagerly(call: Callable[..., Any]) -> Callable[..., Any]:
    return call


def in_graph(call: Callable[..., Any]) -> Callable[..., Any]:
    return tf.function(call, autograph=False)


def in_xla(call: Callable[..., Any]) -> Callable[..., Any]:
    return tf.function(call, autograph=False, jit_compile=True)


any_way = pytest.mark.parametrize("way", [eagerly, in_graph, in_xla])
any_program = pytest.mark.parametrize("way", [in_graph, in_xla])


def normal(shape: tuple[int, ...] = SHAPE, dtype: Any = tf.float32, seed: int = 0) -> Any:
    return tf.cast(np.random.default_rng(seed).normal(size=shape), dtype)


def seed_words(seed: int) -> Any:
    """A seed as a tensor: low word, high word."""
    return tf.constant(philox_key(seed), tf.int64)


def numpys(x: Any, *args: Any, data_format: str = "channels_last", **kwargs: Any) -> np.ndarray[Any, Any]:
    """NumPy's drop_block of `x`, which is channels-last or as `data_format` says."""
    moved = np.moveaxis(np.asarray(x), -1, 1) if data_format == "channels_last" else np.asarray(x)
    with np.errstate(all="ignore"):  # x may hold infinity or NaN, or overflow when scaled
        y: np.ndarray[Any, Any] = core.drop_block(moved, *args, **kwargs)
    return np.moveaxis(y, 1, -1) if data_format == "channels_last" else y


def assert_equal(y: Any, expected: Any, what: str = "") -> None:
    """The same dtype, the same values, zeros of the same sign; NaN is NaN."""
    y, expected = np.asarray(y), np.asarray(expected)
    assert y.dtype == expected.dtype
    # float64 holds every value of the narrower types, of which NumPy does not know bfloat16.
    np.testing.assert_array_equal(y.astype(np.float64), expected.astype(np.float64), what)
    numbers = ~np.isnan(expected.astype(np.float64))
    np.testing.assert_array_equal(np.signbit(y)[numbers], np.signbit(expected)[numbers], what)


def assert_is_numpys(y: Any, expected: np.ndarray[Any, Any]) -> None:
    """The same units dropped, to +0, and the kept ones as near as rule R9 leaves the two scales to each other.

    NumPy's scale is the exact ratio rounded once, the adapter's is within 2 ulp of it. In a half type a product that
    differs in float32 rounds to the same number or to its neighbour.
    """
    values = np.asarray(y)
    assert (values.dtype, values.shape) == (expected.dtype, expected.shape)
    ulps = 2 if values.dtype in (np.float32, np.float64) else 1
    got, wanted = values.astype(np.float64), expected.astype(np.float64)
    np.testing.assert_array_equal(got == 0, wanted == 0)
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got)[numbers], np.signbit(wanted)[numbers])
    # An ulp is at most eps times the number.
    np.testing.assert_allclose(got, wanted, rtol=ulps * float(ml_dtypes.finfo(values.dtype).eps), atol=0)


class Traces:
    """A function that counts how often Python runs it: inside ``tf.function``, how often it is traced."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.count = function, 0

    def __call__(self, *args: Any) -> Any:
        self.count += 1
        return self.function(*args)


def run_python(code: str) -> str:
    """What `code` prints in an interpreter of its own, where a warning is an error."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, check=False, cwd=ROOT, env=environment,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout
