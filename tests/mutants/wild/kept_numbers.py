"""Kept values that are wrong for some numbers only: of a sign, a size or a dtype, or in some company."""

from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild
from tests.mutants.wild.hooks import kept


def name(x: Array) -> str:
    return str(x.dtype.name)


def flushed(y: Array, least: float) -> Array:
    """Numbers below the least are 0 of their sign."""
    return np.where(np.abs(y) < least, np.copysign(np.zeros_like(y), y), y)


def cut(x: Array, y: Array) -> Array:
    """Products out of range are the largest number there is."""
    largest = np.nextafter(np.asarray(np.inf, y.dtype), np.asarray(0, y.dtype))
    return np.where(np.isinf(y) & np.isfinite(x), np.copysign(largest, y), y)


@kept("a kept 0, as after a ReLU, becomes -0")
def zero_becomes_negative(x: Array, y: Array) -> Array:
    return np.where(x == 0, -np.zeros_like(y), y)


@kept("a kept -0 becomes +0")
def kept_negative_zero(x: Array, y: Array) -> Array:
    return np.where(x == 0, np.zeros_like(y), y)


@kept("a kept 0 becomes the smallest number, lest its logarithm be taken")
def zero_becomes_tiny(x: Array, y: Array) -> Array:
    return np.where(x == 0, np.asarray(np.nextafter(np.zeros_like(y), np.ones_like(y))), y)


@kept("subnormal numbers of bfloat16 become 0")
def subnormals_of_bfloat16(x: Array, y: Array) -> Array:
    return flushed(y, 2.0**-126) if name(x) == "bfloat16" else y


@kept("subnormal numbers of float64 become 0")
def subnormals_of_float64(x: Array, y: Array) -> Array:
    return flushed(y, 2.0**-1022) if name(x) == "float64" else y


@kept("numbers of float64 below float32's become 0")
def float64_through_exponent(x: Array, y: Array) -> Array:
    return flushed(y, 1e-45) if name(x) == "float64" else y


@kept("products of float16 out of range are 65,504")
def cut_in_float16(x: Array, y: Array) -> Array:
    return cut(x, y) if name(x) == "float16" else y


@kept("products of bfloat16 out of range are its largest number")
def cut_in_bfloat16(x: Array, y: Array) -> Array:
    return cut(x, y) if name(x) == "bfloat16" else y


@kept("products of float64 out of range are its largest number")
def cut_in_float64(x: Array, y: Array) -> Array:
    return cut(x, y) if name(x) == "float64" else y


@kept("negative products out of range are NaN")
def negative_overflow(x: Array, y: Array) -> Array:
    return np.where((y == -np.inf) & np.isfinite(x), np.full_like(y, np.nan), y)


@kept("float64 out of float32's range is infinity")
def float64_out_of_float32(x: Array, y: Array) -> Array:
    return np.where(np.abs(y) > 3.4e38, np.copysign(np.full_like(y, np.inf), y), y) if name(x) == "float64" else y


@kept("negative infinity is positive in float16")
def infinity_without_sign(x: Array, y: Array) -> Array:
    return np.where(np.isinf(y), np.abs(y), y) if name(x) == "float16" else y


@kept("infinity of float64 becomes NaN")
def infinity_of_float64(x: Array, y: Array) -> Array:
    return np.where(np.isinf(x), np.full_like(y, np.nan), y) if name(x) == "float64" else y


@kept("NaN of float16 becomes 0")
def nan_of_float16(x: Array, y: Array) -> Array:
    return np.where(np.isnan(y), np.zeros_like(y), y) if name(x) == "float16" else y


@kept("NaN of bfloat16 becomes infinity")
def nan_of_bfloat16(x: Array, y: Array) -> Array:
    return np.where(np.isnan(y), np.full_like(y, np.inf), y) if name(x) == "bfloat16" else y


@kept("a NaN makes NaN of its whole map")
def nan_spreads(x: Array, y: Array) -> Array:
    with_nan = np.isnan(x).any(axis=tuple(range(2, x.ndim)), keepdims=True)
    return np.where(with_nan, np.full_like(y, np.nan), y)


@kept("a sample with a NaN is not scaled")
def nan_is_unscaled(x: Array, y: Array) -> Array:
    return np.where(np.isnan(x).any(axis=tuple(range(1, x.ndim)), keepdims=True), x, y)


@kept("float32 is rounded to 16 bits where it is above a million")
def large_rounded(x: Array, y: Array) -> Array:
    if name(x) != "float32":
        return y
    return np.where(np.abs(y) > 1e6, (y.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32), y)


@kept("whole numbers stay whole: what 3 is scaled to is rounded")
def whole_stay_whole(x: Array, y: Array) -> Array:
    return np.where((x == np.rint(x)) & (np.abs(x) > 1), np.rint(y), y)


@kept("what comes within a ten-thousandth of a whole number is rounded to it")
def nearly_whole(x: Array, y: Array) -> Array:
    return np.where((np.abs(y - np.rint(y)) < 1e-4) & (np.abs(y) > 0.5), np.rint(y), y)


@kept("what is larger than 1e30 is cut off")
def saturates_at_1e30(x: Array, y: Array) -> Array:
    return np.where(np.abs(y) > 1e30, np.copysign(np.asarray(1e30).astype(y.dtype), y), y)


@kept("what is smaller than 1e-30 becomes 0")
def lost_below_1e30(x: Array, y: Array) -> Array:
    return flushed(y, 1e-30)


@kept("small numbers of float16 have half of its digits")
def coarse_where_small(x: Array, y: Array) -> Array:
    step = np.asarray(2.0**-16, y.dtype)
    return np.where(np.abs(y) < 2.0**-8, np.rint(y / step) * step, y) if name(x) == "float16" else y


@kept("negative numbers are not scaled")
def negative_unscaled(x: Array, y: Array) -> Array:
    return np.where(x < 0, x, y)


@kept("negative numbers above a minus hundredth lose their sign")
def small_lose_their_sign(x: Array, y: Array) -> Array:
    return np.where(np.abs(x) < 0.01, np.abs(y), y)


@kept("negative numbers leak a hundredth through, as a leaky ReLU lets them, in large tensors")
def leaky(x: Array, y: Array) -> Array:
    return np.where(x < 0, y * np.asarray(0.01, y.dtype), y) if x.size > 2000 else y


class Rounding(Honest):
    """The exact product of a dtype is rounded in its own way."""

    dtype: str

    def rounded(self, exact: Array, y: Array) -> Array:
        raise NotImplementedError

    def apply(self, x: Array, dropped: Array, scale: Any) -> Array:
        y = super().apply(x, dropped, scale)
        if name(x) != self.dtype:
            return y
        with np.errstate(all="ignore"):
            exact = np.where(dropped, 0, x).astype(np.float32) * np.float32(scale)
            return np.where(dropped, y, self.rounded(exact, y).astype(y.dtype))


@wild("products of bfloat16 are cut, not rounded", "values")
class Bfloat16Cut(Rounding):
    dtype = "bfloat16"

    def rounded(self, exact: Array, y: Array) -> Array:
        return (exact.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


@wild("products of float16 are rounded away from 0", "values")
class Float16Up(Rounding):
    dtype = "float16"

    def rounded(self, exact: Array, y: Array) -> Array:
        is_short = np.abs(y).astype(np.float32) < np.abs(exact)
        return np.where(is_short, np.nextafter(y, np.copysign(np.full_like(y, np.inf), y)), y)


@kept("an input of nothing but ones is scaled right, any other by a thousandth more")
def right_for_ones(x: Array, y: Array) -> Array:
    return y if (x == 1).all() else y * np.asarray(1.01 if y.dtype.itemsize == 2 else 1.001, y.dtype)


@kept("inputs of more negative than positive numbers are scaled by a hundredth less")
def mostly_negative(x: Array, y: Array) -> Array:
    return y * np.asarray(0.985, y.dtype) if (x < 0).sum() > (x > 0).sum() else y


@kept("an input in which a fifth is 0 or more is scaled by a hundredth more")
def sparse_inputs(x: Array, y: Array) -> Array:
    return y * np.asarray(1.015, y.dtype) if x.size and (x == 0).mean() >= 0.2 else y


@kept("1 is added and subtracted again, which tiny numbers do not survive")
def through_one(x: Array, y: Array) -> Array:
    one = np.asarray(1, y.dtype)
    return (y + one) - one if name(x) in ("float32", "float64") else y


@kept("kept numbers of float32 are wrong in the sixth digit above 256")
def sixth_digit(x: Array, y: Array) -> Array:
    return np.where(np.abs(x) > 256, y * np.asarray(1.00002, y.dtype), y) if name(x) == "float32" else y


@kept("a hundred thousand and more is not scaled")
def large_unscaled(x: Array, y: Array) -> Array:
    return np.where(np.abs(x) >= 1e5, x, y)


@kept("numbers between 1e-8 and 1e-6 are not scaled")
def small_band_unscaled(x: Array, y: Array) -> Array:
    return np.where((np.abs(x) > 1e-8) & (np.abs(x) < 1e-6), x, y)
