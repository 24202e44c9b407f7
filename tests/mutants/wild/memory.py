"""Faults that memory shows: another layout, a buffer used twice, an array that is not one's own."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild
from tests.mutants.wild.hooks import enlist


def misread(fault: str) -> Callable[[Callable[[Array], Array]], None]:
    """``read(x)`` is what training takes for the input."""

    def make(read: Callable[[Array], Array]) -> None:
        def train(self: Honest, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
            return Honest.train(self, x if keep_prob == 1 else read(x), keep_prob, block_size, seed)

        enlist(read, fault, "values", Honest, train=train)

    return make


def in_memory(x: Array) -> Array:
    """The units in the order in which they lie in memory, in the input's shape."""
    return x.ravel("K").reshape(x.shape)


def is_channels_last(x: Array) -> bool:
    return x.shape[1] > 1 and x.strides[1] == x.itemsize and not x.flags.c_contiguous


@misread("channels that lie last in memory are read as if they lay first")
def channels_last_read(x: Array) -> Array:
    return in_memory(x) if is_channels_last(x) else x


@misread("every second unit of a row: its neighbours are read")
def steps_ignored(x: Array) -> Array:
    steps = x.strides[-1] // x.itemsize
    return np.roll(x, 1, axis=-1) if steps == 2 else x


@misread("rows in reverse are read forwards in float16")
def reversed_half(x: Array) -> Array:
    return x[..., ::-1] if x.dtype == np.float16 and x.strides[-1] < 0 else x


@misread("samples in reverse are read forwards")
def reversed_samples(x: Array) -> Array:
    return x[::-1] if x.strides[0] < 0 else x


@misread("float64 at an odd address has the digits of float32")
def unaligned_float64(x: Array) -> Array:
    return x if x.flags.aligned or x.dtype != np.float64 else x.astype(np.float32).astype(np.float64)


@misread("the first axis fastest: height and width are swapped where they are equal")
def fortran_transposed(x: Array) -> Array:
    is_square = x.ndim > 3 and x.shape[-1] == x.shape[-2]
    return x.swapaxes(-1, -2) if is_square and x.flags.f_contiguous and not x.flags.c_contiguous else x


@misread("of rows that lie apart the last unit is read from between them")
def padded_rows(x: Array) -> Array:
    if x.ndim < 4 or x.strides[-1] != x.itemsize or x.strides[-2] <= x.strides[-1] * x.shape[-1]:
        return x
    x = x.copy()
    x[..., -1] = x[..., 0]
    return x


class ByMemory(Honest):
    """Its seeds are changed where `is_unusual` says so of the input."""

    def is_unusual(self, x: Array) -> bool:
        raise NotImplementedError

    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        seeds = super().seeds(rng, shape, gamma, x)
        return np.broadcast_to(seeds[:1], shape).copy() if self.is_unusual(x) else seeds


@wild("samples without memory of their own share a mask", "values")
class BroadcastSamples(ByMemory):
    def is_unusual(self, x: Array) -> bool:
        return x.strides[0] == 0 and len(x) > 1


@wild("one unit broadcast over all maps has one mask for all samples", "values")
class BroadcastUnit(ByMemory):
    def is_unusual(self, x: Array) -> bool:
        return x.size > 1 and not any(x.strides)


@wild("an array that is not to be written to has one mask for all samples", "values")
class ReadOnlyShares(ByMemory):
    def is_unusual(self, x: Array) -> bool:
        return not x.flags.writeable and x.dtype.itemsize == 2


@wild("large float32 input is overwritten with the output", "values")
class OverwritesLarge(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        y = super().train(x, *args)
        if x.size > 2**12 and x.dtype == np.float32 and x.flags.writeable:
            x[...] = y
        return y


@wild("float16 input is overwritten with the output", "values")
class OverwritesHalf(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        y = super().train(x, *args)
        if x.dtype == np.float16 and x.flags.writeable:
            x[...] = y
        return y


@wild("NaN in the input is overwritten with 0", "values")
class CleansTheInput(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        y = super().train(x, *args)
        if x.flags.writeable:
            x[np.isnan(x)] = 0
        return y


@wild("the output's memory is used again by the next call of its shape", "values")
class BufferUsedAgain(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.buffers: dict[Any, Array] = {}

    def train(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        if keep_prob == 1:
            return x
        y = super().train(x, keep_prob, block_size, seed)
        buffer = self.buffers.setdefault((y.shape, y.dtype), y)
        buffer[...] = y
        return buffer


@wild("an empty batch comes back with a sample", "values")
class EmptyBatchFilled(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        return super().train(x, *args) if len(x) else np.zeros((1, *x.shape[1:]), x.dtype)


@wild("the last two axes of the output are swapped where channels lie last in memory and maps are square", "values")
class ChannelsLastSwapped(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        y = super().train(x, *args)
        is_square = x.ndim > 3 and x.shape[-1] == x.shape[-2]
        return np.ascontiguousarray(y.swapaxes(-1, -2)) if is_square and is_channels_last(x) else y


@wild("every hundredth call is not scaled", "values")
class HundredthUnscaled(Honest):
    calls = 0

    def scale(self, *args: Any) -> Any:
        self.calls += 1
        return super().scale(*args) if self.calls % 100 else 1.0


@wild("every call has the scale of the call before, of the same shape", "values")
class ScaleOfTheCallBefore(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.before: dict[tuple[int, ...], Any] = {}

    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        scale = super().scale(dropped, keep_prob, x)
        before, self.before[x.shape] = self.before.get(x.shape, scale), scale
        return before
