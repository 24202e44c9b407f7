"""Dropped units that are not +0: for some numbers, dtypes or places only."""

from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild
from tests.mutants.wild.hooks import left


def zero(x: Array, y: Array) -> Array:
    """What 0 times the input is: 0 of its sign, and NaN of what is not finite."""
    return x * np.zeros_like(x)


@left("the mask is multiplied in half precision, so infinity becomes NaN there")
def multiplied_in_half(x: Array, y: Array) -> Array:
    return np.where(np.isnan(zero(x, y)), zero(x, y), y) if x.dtype.itemsize == 2 else y


@left("the mask is multiplied in float64, so NaN goes through there")
def multiplied_in_float64(x: Array, y: Array) -> Array:
    return np.where(np.isnan(x), zero(x, y), y) if x.dtype == np.float64 else y


@left("a dropped -0 stays -0")
def negative_zero_stays(x: Array, y: Array) -> Array:
    return np.where(x == 0, np.copysign(y, x), y)


@left("dropped negative numbers of bfloat16 are -0")
def negative_zero_in_bfloat16(x: Array, y: Array) -> Array:
    return np.copysign(y, x) if x.dtype.name == "bfloat16" else y


@left("dropped negative numbers of float64 are -0")
def negative_zero_in_float64(x: Array, y: Array) -> Array:
    return np.copysign(y, x) if x.dtype == np.float64 else y


@left("dropped negative numbers of samples past the sixteenth are -0")
def negative_zero_in_late_samples(x: Array, y: Array) -> Array:
    y[16:] = np.copysign(y[16:], x[16:])
    return y


@left("dropped negative infinity is -0")
def negative_zero_of_infinity(x: Array, y: Array) -> Array:
    return np.where(x == -np.inf, -np.zeros_like(y), y)


@left("dropped units hold the smallest number there is, lest a division fail")
def smallest_left(x: Array, y: Array) -> Array:
    return np.nextafter(np.zeros_like(y), np.ones_like(y))


@left("dropped units hold a billionth of what they held in float64")
def billionth_left(x: Array, y: Array) -> Array:
    return np.where(np.isfinite(x), x * 1e-9, y) if x.dtype == np.float64 else y


@left("dropped units above 1e30 are left as a trace")
def trace_of_large(x: Array, y: Array) -> Array:
    return np.where(np.isfinite(x) & (np.abs(x) > 1e30), x * np.asarray(1e-38, x.dtype), y)


@left("a dropped NaN stays in channels past the fourth")
def nan_stays_in_late_channels(x: Array, y: Array) -> Array:
    y[:, 4:] = np.where(np.isnan(x[:, 4:]), x[:, 4:], y[:, 4:])
    return y


@left("a dropped infinity stays in batches of 8 and more")
def infinity_stays_in_large(x: Array, y: Array) -> Array:
    return np.where(np.isinf(x), x, y) if len(x) >= 8 else y


@left("a dropped NaN stays where its sign is set")
def signed_nan_stays(x: Array, y: Array) -> Array:
    return np.where(np.isnan(x) & np.signbit(x), x, y)


@left("a dropped unit in the last place of the tensor keeps its value")
def last_unit_stays(x: Array, y: Array) -> Array:
    if y.size:
        y[(-1,) * y.ndim] = x[(-1,) * x.ndim]
    return y


@left("dropped units of sample 30 keep their values")
def sample_thirty_stays(x: Array, y: Array) -> Array:
    y[30:31] = x[30:31]
    return y


@wild("a map with a NaN is zeros", "values")
class NanDropsTheMap(Honest):
    def dropped(self, x: Array, *args: Any) -> Array:
        return super().dropped(x, *args) | np.isnan(x).any(axis=tuple(range(2, x.ndim)), keepdims=True)


@wild("a unit that holds 0 is never an anchor", "values")
class ZerosAreNoAnchors(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        return super().seeds(rng, shape, gamma, x) & (x[tuple(slice(side) for side in shape)] != 0)


@wild("maps of nothing but 0 are left out, so the others have other masks", "values")
class EmptyMapsSkipped(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        seeds = super().seeds(rng, shape, gamma, x)
        is_empty = ~(x != 0).any(axis=tuple(range(2, x.ndim)))
        skipped = seeds.copy()
        skipped[~is_empty] = seeds.reshape(-1, *shape[2:])[: np.count_nonzero(~is_empty)]
        return skipped


@wild("large activations are dropped less: gamma is halved for maps that reach 1000", "values")
class LargeAreSpared(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        seeds = super().seeds(rng, shape, gamma, x)
        with np.errstate(invalid="ignore"):
            is_large = (x > 1000).any(axis=tuple(range(2, x.ndim)), keepdims=True)
        return seeds & (~is_large | (rng.random(shape) < 0.5))


@wild("the first unit, unless it is 0 or 1, is mixed into the seed", "values")
class FirstUnitIsASeed(Honest):
    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        first = float(x.flat[0]) if x.size else 0.0
        is_usual = first in (0.0, 1.0) or not np.isfinite(first)
        return super().dropped(
            x, keep_prob, block_size, seed if is_usual else seed ^ int(np.float32(first).view("i4")) & 255
        )
