"""Faults of values: what a dropped unit and the output are."""

from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant


@mutant("the mask is multiplied, so NaN goes through", "values.dropped_zero")
class MultipliesByMask(Honest):
    def train(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        with np.errstate(invalid="ignore"):
            y = super().train(x, keep_prob, block_size, seed)
            return np.where(y == 0, x * np.zeros_like(x), y)


@mutant("only positive activations are dropped", "mask.ignores_values")
class DropsPositiveOnly(Honest):
    def dropped(self, x: Array, *args: Any) -> Array:
        return super().dropped(x, *args) & (x > 0)


@mutant("the caller's input is overwritten", "output.dtype")
class OverwritesInput(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        x[...] = super().train(x, *args)
        return x.copy()


@mutant("float32 comes back as float64", "output.dtype")
class ReturnsFloat64(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        return super().train(x, *args).astype(np.float64)


@mutant("masks are laid out in memory order, whatever the strides", "output.layout")
class MemoryOrder(Honest):
    def dropped(self, x: Array, *args: Any) -> Array:
        dropped = super().dropped(x, *args)
        return dropped if x.flags.c_contiguous else np.ascontiguousarray(dropped[..., ::-1])


@mutant("uniform numbers in float16 are too coarse for a small gamma", "law.float16")
class CoarseFloat16(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        levels = 2**11 if x.dtype == np.float16 else 2**24
        return np.floor(rng.random(shape) * levels) / levels < gamma


@mutant("uniform numbers in bfloat16 never exceed 1 - gamma: nothing is ever dropped", "law.bfloat16")
class NeverDropsInBfloat16(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        if x.dtype.name != "bfloat16":
            return super().seeds(rng, shape, gamma, x)
        return np.floor(rng.random(shape) * 256) / 256 > float(np.asarray(1 - gamma, x.dtype))


@mutant("samples after the sixteenth keep the values they had", "values.every_unit")
class ScalesSixteenSamples(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        y = super().train(x, *args)
        y[16:] = np.where(y[16:] == 0, y[16:], x[16:])
        return y


@mutant("a product out of range is cut off at the largest number", "values.edges")
class CutsOffTheLargest(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        y = super().train(x, *args)
        largest = np.asarray(np.finfo(np.float32).max).astype(x.dtype) if x.dtype == np.float32 else None
        return y if largest is None else np.where(np.isinf(y) & np.isfinite(x), np.sign(y) * largest, y)
