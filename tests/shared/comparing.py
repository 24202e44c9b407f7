"""What it is to be NumPy's: the core's answer in a backend's order of axes, and what equal means."""

from typing import Any

import ml_dtypes
import numpy as np

import dropblock_core as core

RENORMS = ["tensor", "sample", "map", "expected", "none"]
DATA_FORMATS = ["channels_last", "channels_first"]

# The shape that most tests use, channels last, and a call on it: what one test compiled serves many.
SHAPE = (2, 8, 9, 3)
SEEDED: dict[str, Any] = {"keep_prob": 0.6, "block_size": 3, "seed": 4}


def numpys(x: Any, *args: Any, data_format: str = "channels_last", **kwargs: Any) -> np.ndarray[Any, Any]:
    """NumPy's drop_block of `x`, which is channels-last or as `data_format` says."""
    moved = np.moveaxis(np.asarray(x), -1, 1) if data_format == "channels_last" else np.asarray(x)
    with np.errstate(all="ignore"):  # x may hold infinity or NaN, or overflow when scaled
        y: np.ndarray[Any, Any] = core.drop_block(moved, *args, **kwargs)
    return np.moveaxis(y, 1, -1) if data_format == "channels_last" else y


def holding(shape: tuple[int, ...], dtype: Any, first: Any) -> np.ndarray[Any, Any]:
    """Activations that begin with the values of `first`."""
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    values.flat[: len(first)] = np.asarray(first, np.float32)[: values.size]
    with np.errstate(over="ignore"):
        return values.astype(dtype)


def in_order(samples: Any, feat: tuple[Any, ...], channels: int, data_format: str) -> tuple[Any, ...]:
    """A shape with its axes in the order of `data_format`."""
    return (samples, *feat, channels) if data_format == "channels_last" else (samples, channels, *feat)


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

    NumPy's scale is the exact ratio rounded once. A backend's is within 2 ulp of it, and the rounding of the product
    may double that: the counts here are below 2^24, so in truth both round the same quotient once. In a half type a
    product that differs in float32 rounds to the same number or to its neighbour.
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
