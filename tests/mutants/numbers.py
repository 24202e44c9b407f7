"""Faults of numbers: in large batches, of unusual sizes, and where half of them are 0."""

from typing import Any

import numpy as np

from dropblock_conformance import Claims
from dropblock_conformance.subject import DTYPES
from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant


class Changing(Honest):
    """Its values are changed on the way out, where they are kept."""

    def change(self, x: Array, y: Array) -> Array:
        raise NotImplementedError

    def train(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        y = super().train(x, keep_prob, block_size, seed)
        if keep_prob == 1:
            return y
        with np.errstate(all="ignore"):
            kept = ~self.dropped(x, keep_prob, block_size, seed)
            return np.where(kept, self.change(x, y.copy()).astype(y.dtype), y)


@mutant("channels past the 64th are not scaled", "values.every_unit")
class ScalesSixtyFourChannels(Changing):
    def change(self, x: Array, y: Array) -> Array:
        y[:, 64:] = x[:, 64:]
        return y


@mutant("the last channel of an odd number is not scaled", "values.every_unit")
class LastOfAnOddNumber(Changing):
    def change(self, x: Array, y: Array) -> Array:
        if x.shape[1] % 2 and x.shape[1] > 8:
            y[:, -1] = x[:, -1]
        return y


@mutant("batches of 32 and more are scaled by a hundredth more", "values.every_unit")
class LargeBatchesScaledMore(Changing):
    def change(self, x: Array, y: Array) -> Array:
        return y * np.float32(1.01) if len(x) >= 32 else y


@mutant("more than 2^16 units are scaled by 1 / keep_prob", "values.every_unit")
class ManyUnitsByKeepProb(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return 1 / keep_prob if dropped.size > 2**16 and keep_prob else super().scale(dropped, keep_prob, x)


@mutant("zeros of a ReLU count as dropped in line 8", "values.every_unit")
class CountsZerosAsDropped(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return super().scale(dropped | (x == 0), keep_prob, x)


@mutant("the scale of the first sample serves all", "values.every_unit")
class ScaleOfTheFirstSample(Honest):
    claims = Claims(renorm="sample")

    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return super().scale(dropped[:1], keep_prob, x)


class ByMap(Honest):
    claims = Claims(renorm="map", dtypes=DTYPES)

    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        axes = tuple(range(2, dropped.ndim))
        ones = np.count_nonzero(~dropped, axis=axes, keepdims=True)
        return np.where(ones, dropped[0, 0].size / np.maximum(ones, 1), 0.0)


@mutant("the scale of a map is that of the channel before, past the sixteenth", "values.every_unit")
class ScaleOfTheChannelBefore(ByMap):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        scale = super().scale(dropped, keep_prob, x)
        scale[:, 17:] = scale[:, 16:-1]
        return np.where(scale, scale, 1.0)


@mutant("float64 is computed in float32", "scale.claimed")
class Float64InFloat32(Honest):
    def apply(self, x: Array, dropped: Array, scale: Any) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            return (np.where(dropped, 0, x).astype(np.float32) * np.float32(scale)).astype(x.dtype)


@mutant("the scale is rounded to the activations' dtype", "scale.claimed")
class ScaleInHalf(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return np.asarray(super().scale(dropped, keep_prob, x), x.dtype).astype(np.float64)


@mutant("NaN that is kept becomes 0", "values.edges")
class ErasesNan(Changing):
    def change(self, x: Array, y: Array) -> Array:
        return np.where(np.isnan(y), np.zeros_like(y), y)


@mutant("infinity that is kept becomes the largest number", "values.edges")
class InfinityCutOff(Changing):
    def change(self, x: Array, y: Array) -> Array:
        return np.where(np.isinf(x) & (x.dtype == np.float32), np.sign(x) * np.asarray(3e38, np.float32), y)


@mutant("what is larger than 10,000 is cut off", "values.edges")
class SaturatesLarge(Changing):
    def change(self, x: Array, y: Array) -> Array:
        return np.clip(y, -1e4, 1e4)


@mutant("what is smaller than a millionth becomes 0", "values.edges")
class TinyLost(Changing):
    def change(self, x: Array, y: Array) -> Array:
        return np.where(np.abs(y) < 1e-6, np.zeros_like(y), y)


@mutant("subnormal numbers of float16 become 0", "values.edges")
class SubnormalsOfHalfLost(Changing):
    def change(self, x: Array, y: Array) -> Array:
        return np.where((np.abs(y) < 2.0**-14) & (y.dtype == np.float16), np.zeros_like(y), y)


@mutant("large negative numbers lose their sign", "values.edges")
class LargeLoseTheirSign(Changing):
    def change(self, x: Array, y: Array) -> Array:
        return np.where(y < -1e3, -y, y)


@mutant("a dropped negative number is -0", "values.dropped_zero")
class NegativeZero(Honest):
    def train(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        y = super().train(x, keep_prob, block_size, seed)
        if keep_prob == 1:
            return y
        with np.errstate(invalid="ignore"):
            is_negative = x < 0
        return np.where(self.dropped(x, keep_prob, block_size, seed) & is_negative, -np.zeros_like(y), y)


@mutant("the gradient of samples past the eighth is the upstream one", "gradient.every_unit")
class GradientOfEightSamples(Honest):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        dx[8:] = dy[8:]
        return y, dx
