"""Gradients that are wrong: for some activations, upstream gradients, dtypes, places or calls only."""

from typing import Any

import numpy as np

from dropblock_conformance import Claims
from dropblock_conformance.subject import DTYPES
from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild
from tests.mutants.wild.hooks import backward
from tests.mutants.wild.kept_numbers import cut, flushed, name
from tests.mutants.wild.scopes import ByMap, BySample, over

WHAT = "gradients"


@backward("the gradient is 0 where the activation is -0")
def none_at_negative_zero(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return np.where((x == 0) & np.signbit(x), np.zeros_like(dx), dx)


@backward("the gradient is NaN where the activation is NaN")
def nan_at_nan(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return np.where(np.isnan(x), np.full_like(dx, np.nan), dx)


@backward("the gradient is that of y / x, so NaN where the activation is infinite")
def nan_at_infinity(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return np.where(np.isinf(x) & np.isinf(y), np.full_like(dx, np.nan), dx)


@backward("the gradient is 0 where the output is out of range")
def none_at_overflow(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return np.where(np.isinf(y) & np.isfinite(x), np.zeros_like(dx), dx)


@backward("the gradient is 0 where the activation is subnormal")
def none_at_subnormal(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    least = {"float16": 2.0**-14, "float64": 2.0**-1022}.get(name(x), 2.0**-126)
    return np.where((np.abs(x) < least) & (x != 0), np.zeros_like(dx), dx)


@backward("the gradient is 0 where the activation exceeds 100: it saturates")
def saturated(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return np.where(np.abs(x) > 100, np.zeros_like(dx), dx)


@backward("the gradient is multiplied by the activation where that is 2 and more")
def times_the_activation(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return np.where((x >= 2) & np.isfinite(x), dx * x, dx)


@backward("the gradient of a negative activation is a hundredth less")
def less_for_negative(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return np.where(x < 0, dx * np.asarray(0.98, dx.dtype), dx)


@backward("a dropped unit has a hundredth of its gradient, lest it die")
def leaks(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return np.where((dx == 0) & np.isfinite(dy), dy * np.asarray(0.01, dy.dtype), dx)


@backward("dropped units of samples past the sixteenth have their gradient")
def straight_through_late(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    dx[16:] = np.where(dx[16:] == 0, dy[16:], dx[16:])
    return dx


@backward("the gradient of a dropped unit has the sign of the upstream one: -0")
def negative_zero_gradient(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return np.where(dx == 0, np.copysign(dx, dy), dx)


@backward("an infinite upstream gradient makes NaN at dropped units of the last channel")
def infinity_in_the_last_channel(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    dx[:, -1:] = np.where(np.isinf(dy[:, -1:]) & (dx[:, -1:] == 0), np.full_like(dx[:, -1:], np.nan), dx[:, -1:])
    return dx


@backward("a NaN upstream gradient makes NaN of its whole map")
def nan_spreads_upstream(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    with_nan = np.isnan(dy).any(axis=tuple(range(2, dy.ndim)), keepdims=True)
    return np.where(with_nan, np.full_like(dx, np.nan), dx)


@backward("a NaN upstream gradient goes through at dropped units in half precision")
def nan_through_in_half(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return np.where(np.isnan(dy), dy, dx) if dy.dtype.itemsize == 2 else dx


@backward("the gradient of float16 out of range is 65,504")
def cut_upstream(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return cut(dy, dx) if name(x) == "float16" else dx


@backward("subnormal gradients of half precision become 0")
def half_gradients_flushed(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return flushed(dx, {"float16": 2.0**-14, "bfloat16": 2.0**-126}.get(name(x), 0.0))


@backward("gradients below 1e-20 become 0")
def tiny_gradients_lost(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return flushed(dx, 1e-20)


@backward("upstream gradients above 10,000 are not scaled")
def large_gradients_unscaled(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return np.where(np.abs(dy) > 1e4, np.where(dx == 0, dx, dy), dx)


@backward("gradients of float64 have the digits of float32")
def gradient_in_float32(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return dx.astype(np.float32) if name(x) == "float64" else dx


@backward("the gradient is shortened to a norm of 100")
def shortened(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    norm = float(np.sqrt((dx.astype(np.float64) ** 2).sum()))
    return dx * np.asarray(100 / norm, dx.dtype) if np.isfinite(norm) and norm > 100 else dx


@backward("the gradient of samples from 32 on is not scaled")
def late_samples_unscaled(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    dx[32:] = np.where(dx[32:] == 0, dx[32:], dy[32:])
    return dx


@backward("the last channel of an odd number from 3 on has no gradient")
def last_odd_channel_without(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    if x.shape[1] % 2 and x.shape[1] > 1:
        dx[:, -1] = 0
    return dx


@backward("rows past the 32nd have no gradient")
def rows_without(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    dx[:, :, 32:] = 0
    return dx


@backward("the gradient of one sample is not scaled")
def one_sample_unscaled(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return np.where(dx == 0, dx, dy) if len(x) == 1 else dx


@backward("the gradient is not scaled in one and in three dimensions")
def other_ranks_unscaled(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return np.where(dx == 0, dx, dy) if x.ndim != 4 else dx


@backward("the gradient has no mask in bfloat16")
def no_mask_in_bfloat16(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return dy if name(x) == "bfloat16" else dx


@backward("in channels past the eighth the gradient's mask is a unit further right")
def mask_further_right(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    moved = np.roll(dx == 0, 1, axis=-1)
    dx[:, 8:] = np.where(moved[:, 8:], np.zeros_like(dx[:, 8:]), np.where(dx[:, 8:] == 0, dy[:, 8:], dx[:, 8:]))
    return dx


@backward("upstream gradients that lie elsewhere in memory are read in memory's order")
def upstream_in_memory(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    if dy.flags.c_contiguous or 0 in dy.strides:
        return dx
    scale = next((float(a) / float(b) for a, b in zip(dx.flat, dy.flat, strict=True) if a != 0 and np.isfinite(a)), 1.0)
    return np.where(dx == 0, dx, dy.ravel("K").reshape(dy.shape) * np.asarray(scale, dx.dtype))


@backward("an upstream gradient broadcast from one number, as of a sum, is not scaled")
def broadcast_unscaled(x: Array, dy: Array, y: Array, dx: Array) -> Array:
    return dx if any(dy.strides) or dy.size < 2 else np.where(dx == 0, dx, dy)


class Scoped(Honest):
    """The gradient has a scale of its own."""

    def other(self, dropped: Array, keep_prob: float) -> Any:
        raise NotImplementedError

    def grad(self, x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        dropped = self.dropped(x, keep_prob, block_size, seed)
        scale = self.scale(dropped, keep_prob, x)
        return self.apply(x, dropped, scale), self.apply(dy, dropped, self.other(dropped, keep_prob))


@wild("the gradient is scaled by each sample's count where the tensor is claimed", WHAT)
class GradientBySample(Scoped):
    def other(self, dropped: Array, keep_prob: float) -> Any:
        return over(dropped, 1)


@wild("the gradient is scaled by 1 / keep_prob", WHAT)
class GradientByKeepProb(Scoped):
    def other(self, dropped: Array, keep_prob: float) -> Any:
        return 1 / keep_prob if keep_prob and dropped.any() and not dropped.all() else float(not dropped.all())


@wild("the gradient is scaled by the tensor's count where the map is claimed", WHAT)
class GradientOfMapByTensor(Scoped, ByMap):
    claims = Claims(renorm="map", dtypes=DTYPES)

    def other(self, dropped: Array, keep_prob: float) -> Any:
        return over(dropped, 0)


@wild("the gradient of sample n has the scale of sample 0 where the sample is claimed", WHAT)
class GradientOfTheFirstSample(Scoped, BySample):
    claims = Claims(renorm="sample", dtypes=DTYPES)

    def other(self, dropped: Array, keep_prob: float) -> Any:
        return over(dropped, 1)[:1]


@wild("the gradient's scale has three decimals", WHAT)
class GradientInThousandths(Scoped):
    def other(self, dropped: Array, keep_prob: float) -> Any:
        return np.round(over(dropped, 0), 3)


@wild("in large tensors the gradient's scale is that of the first quarter", WHAT)
class GradientOfAQuarter(Scoped):
    def other(self, dropped: Array, keep_prob: float) -> Any:
        return over(dropped[: len(dropped) // 4] if len(dropped) >= 32 else dropped, 0)


class Remembering(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.before: dict[Any, Any] = {}


@wild("the gradient's scale is that of the forward call before", WHAT)
class GradientOfTheCallBefore(Remembering):
    def grad(self, x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        dropped = self.dropped(x, keep_prob, block_size, seed)
        scale = self.scale(dropped, keep_prob, x)
        before, self.before[x.shape] = self.before.get(x.shape, scale), scale
        return self.apply(x, dropped, scale), self.apply(dy, dropped, before)


@wild("the gradient is added to that of the call before", WHAT)
class GradientAccumulates(Remembering):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        key = (x.shape, x.dtype)
        with np.errstate(all="ignore"):
            self.before[key] = dx + self.before[key] if key in self.before else dx
        return y, self.before[key].copy()


@wild("the output that comes with a gradient is not scaled", WHAT)
class OutputWithGradient(Honest):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        return np.where(y == 0, y, x), dx


@wild("a gradient of half precision comes back in float32", WHAT)
class GradientWidened(Honest):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        return y, dx.astype(np.float32) if dx.dtype.itemsize == 2 else dx


@wild("the upstream gradient is overwritten", WHAT)
class UpstreamOverwritten(Honest):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        if dy.flags.writeable and dy is not x:
            dy[...] = dx
        return y, dx


@wild("there is no gradient at keep_prob 1", WHAT)
class NoGradientAtOne(Honest):
    def grad(self, x: Array, dy: Array, *, keep_prob: float, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, keep_prob=keep_prob, **arguments)
        return y, np.zeros_like(dx) if keep_prob == 1 else dx
