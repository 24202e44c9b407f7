"""Inference, and training with keep_prob 1, that change a bit, in some dtypes, sizes, or after some calls only."""

from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild
from tests.mutants.wild.hooks import at_one, inferring
from tests.mutants.wild.kept_numbers import flushed, name

WHAT = "inference"


def through_bfloat16(x: Array) -> Array:
    return (x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


@inferring("inference turns -0 of float16 into +0")
def zero_of_float16(x: Array, keep_prob: float, block_size: int) -> Array:
    return x + np.zeros((), x.dtype) if name(x) == "float16" else x


@inferring("inference turns -0 of bfloat16 into +0")
def zero_of_bfloat16(x: Array, keep_prob: float, block_size: int) -> Array:
    return np.where(x == 0, np.zeros_like(x), x) if name(x) == "bfloat16" else x


@inferring("inference turns -0 of float64 into +0")
def zero_of_float64(x: Array, keep_prob: float, block_size: int) -> Array:
    return x + 0.0 if name(x) == "float64" else x


@inferring("inference gives all NaN one payload in float32")
def payload_lost(x: Array, keep_prob: float, block_size: int) -> Array:
    return np.where(np.isnan(x), np.full_like(x, np.nan), x) if name(x) == "float32" else x


@inferring("inference drops the sign of NaN in float64")
def sign_of_nan_lost(x: Array, keep_prob: float, block_size: int) -> Array:
    return np.where(np.isnan(x), np.abs(x), x) if name(x) == "float64" else x


@inferring("inference takes float64 through float32")
def float64_through_float32(x: Array, keep_prob: float, block_size: int) -> Array:
    return x.astype(np.float32) if name(x) == "float64" else x


@inferring("inference takes bfloat16 through float16")
def bfloat16_through_float16(x: Array, keep_prob: float, block_size: int) -> Array:
    return x.astype(np.float32).astype(np.float16).astype(np.float32) if name(x) == "bfloat16" else x


@inferring("inference takes float16 through bfloat16")
def float16_through_bfloat16(x: Array, keep_prob: float, block_size: int) -> Array:
    return through_bfloat16(x.astype(np.float32)) if name(x) == "float16" else x


@inferring("inference takes float32 through bfloat16 above a thousand")
def large_through_bfloat16(x: Array, keep_prob: float, block_size: int) -> Array:
    return np.where(np.abs(x) > 1000, through_bfloat16(x.copy()), x) if name(x) == "float32" else x


@inferring("inference loses subnormal numbers of float16")
def float16_flushed(x: Array, keep_prob: float, block_size: int) -> Array:
    return flushed(x, 2.0**-14) if name(x) == "float16" else x


@inferring("inference loses subnormal numbers of bfloat16")
def bfloat16_flushed(x: Array, keep_prob: float, block_size: int) -> Array:
    return flushed(x, 2.0**-126) if name(x) == "bfloat16" else x


@inferring("inference loses subnormal numbers of float64")
def float64_flushed(x: Array, keep_prob: float, block_size: int) -> Array:
    return flushed(x, 2.0**-1022) if name(x) == "float64" else x


@inferring("inference turns NaN of bfloat16 into 0")
def nan_of_bfloat16_lost(x: Array, keep_prob: float, block_size: int) -> Array:
    return np.where(np.isnan(x), np.zeros_like(x), x) if name(x) == "bfloat16" else x


@inferring("inference cuts infinity of float16 off at 65,504")
def infinity_of_float16(x: Array, keep_prob: float, block_size: int) -> Array:
    return np.clip(x, np.float16(-65504), np.float16(65504)) if name(x) == "float16" else x


@inferring("inference multiplies by one unit in the last place more than 1 in float32")
def an_ulp_more(x: Array, keep_prob: float, block_size: int) -> Array:
    return x * np.nextafter(np.float32(1), np.float32(2)) if name(x) == "float32" else x


@inferring("inference scales a single sample")
def one_sample_scaled(x: Array, keep_prob: float, block_size: int) -> Array:
    return x * np.asarray(keep_prob, x.dtype) if len(x) == 1 else x


@inferring("inference scales the last of more than 8 channels")
def last_channel_scaled(x: Array, keep_prob: float, block_size: int) -> Array:
    x = x.copy()
    if x.shape[1] > 8:
        x[:, -1] *= np.asarray(keep_prob, x.dtype)
    return x


@inferring("inference scales in one and in three dimensions")
def other_ranks_scaled(x: Array, keep_prob: float, block_size: int) -> Array:
    return x * np.asarray(keep_prob, x.dtype) if x.ndim != 4 else x


@inferring("inference with keep_prob 0 gives zeros")
def zero_keep_prob(x: Array, keep_prob: float, block_size: int) -> Array:
    return np.zeros_like(x) if keep_prob == 0 else x


@inferring("inference with keep_prob below a tenth scales by it")
def low_keep_prob(x: Array, keep_prob: float, block_size: int) -> Array:
    return x * np.asarray(keep_prob, x.dtype) if keep_prob < 0.1 else x


@inferring("inference with a block of more than the map gives zeros in the first unit")
def block_over_the_map(x: Array, keep_prob: float, block_size: int) -> Array:
    x = x.copy()
    if block_size > max(x.shape[2:], default=0):
        x[(..., *(slice(0, 1) for _ in x.shape[2:]))] = 0
    return x


@inferring("inference of more than 2^16 units rounds to four decimals")
def huge_rounded(x: Array, keep_prob: float, block_size: int) -> Array:
    return np.round(x.astype(np.float64), 4) if x.size > 2**16 else x


@inferring("inference of rows in reverse gives them forwards")
def reversed_forwards(x: Array, keep_prob: float, block_size: int) -> Array:
    return x[..., ::-1] if x.strides[-1] < 0 else x


@inferring("inference of channels that lie last in memory gives memory's order")
def in_memorys_order(x: Array, keep_prob: float, block_size: int) -> Array:
    is_last = x.shape[1] > 1 and x.strides[1] == x.itemsize and not x.flags.c_contiguous
    return x.ravel("K").reshape(x.shape) if is_last else x


class AfterTraining(Honest):
    trained = evaluated = 0

    def train(self, *args: Any) -> Array:
        self.trained += 1
        return super().train(*args)

    def grad(self, *args: Any, **arguments: Any) -> tuple[Array, Array]:
        self.trained += 1
        return super().grad(*args, **arguments)


@wild("the first inference after a training call still drops", WHAT)
class ModeLags(AfterTraining):
    def infer(self, x: Array, *args: Any) -> Array:
        trained, self.trained = self.trained, 0
        return Honest.train(self, x, *args) if trained else x


@wild("every fiftieth inference drops", WHAT)
class FiftiethDrops(AfterTraining):
    def infer(self, x: Array, *args: Any) -> Array:
        self.evaluated += 1
        return x if self.evaluated % 50 else Honest.train(self, x, *args)


@wild("the first training call after an inference does not drop", WHAT)
class TrainingLags(AfterTraining):
    def infer(self, x: Array, *_: Any) -> Array:
        self.evaluated += 1
        return x

    def train(self, x: Array, *args: Any) -> Array:
        evaluated, self.evaluated = self.evaluated, 0
        return x if evaluated else super().train(x, *args)


@wild("inference overwrites NaN in the input with 0", WHAT)
class InferenceCleans(Honest):
    def infer(self, x: Array, *_: Any) -> Array:
        y = x.copy()
        if x.flags.writeable:
            x[np.isnan(x)] = 0
        return y


@wild("inference gives half precision in float32", WHAT)
class InferenceWidens(Honest):
    def infer(self, x: Array, *_: Any) -> Array:
        return x.astype(np.float32) if x.dtype.itemsize == 2 else x


@at_one("keep_prob 1 turns -0 into +0")
def one_adds_zero(x: Array, block_size: int) -> Array:
    return np.where(x == 0, np.zeros_like(x), x)


@at_one("keep_prob 1 turns infinity of half precision into NaN")
def one_loses_infinity(x: Array, block_size: int) -> Array:
    return np.where(np.isinf(x), np.full_like(x, np.nan), x) if x.dtype.itemsize == 2 else x


@at_one("keep_prob 1 loses subnormal numbers of float32")
def one_flushes(x: Array, block_size: int) -> Array:
    return flushed(x, 2.0**-126) if name(x) == "float32" else x


@at_one("keep_prob 1 drops a unit of a large tensor")
def one_drops_one(x: Array, block_size: int) -> Array:
    x = x.copy()
    if x.size > 1000:
        x[(..., *(-1 for _ in x.shape[2:]))] = 0
    return x


@at_one("keep_prob 1 scales by a hundred-thousandth more for blocks above 1")
def one_scales(x: Array, block_size: int) -> Array:
    return x * np.asarray(1.00001, x.dtype) if block_size > 1 and name(x) == "float32" else x


@at_one("keep_prob 1 takes float64 through float32")
def one_through_float32(x: Array, block_size: int) -> Array:
    return x.astype(np.float32) if name(x) == "float64" else x
