"""Values that are wrong in large batches only, or at some places of them."""

import numpy as np

from dropblock_conformance import Claims
from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild
from tests.mutants.wild.hooks import kept

RANKS = Claims(spatial=(1, 2, 3))


@kept("sample 17, and no other, is not scaled")
def sample_seventeen(x: Array, y: Array) -> Array:
    y[17:18] = x[17:18]
    return y


@kept("the last of more than four samples is not scaled")
def last_sample_unscaled(x: Array, y: Array) -> Array:
    if len(x) > 4:
        y[-1] = x[-1]
    return y


@kept("channel 41, and no other, is scaled by a twentieth more")
def channel_forty_one(x: Array, y: Array) -> Array:
    y[:, 41:42] = y[:, 41:42] * np.asarray(1.05, y.dtype)
    return y


@kept("every eighth sample is scaled by a two-hundredth less")
def every_eighth_sample(x: Array, y: Array) -> Array:
    y[7::8] = y[7::8] * np.asarray(0.995, y.dtype)
    return y


@kept("what is left of the tensor after the last whole 16 units in memory is not scaled")
def tail_of_sixteen(x: Array, y: Array) -> Array:
    whole = y.size // 16 * 16
    y.reshape(-1)[whole:] = x.reshape(-1)[whole:]
    return y


@kept("what is left of more than 4096 units after the last whole 256 is not scaled")
def tail_of_large(x: Array, y: Array) -> Array:
    whole = y.size // 256 * 256
    if y.size > 4096:
        y.reshape(-1)[whole:] = x.reshape(-1)[whole:]
    return y


@kept("what is left of a row after its last whole 8 units is not scaled")
def tail_of_a_row(x: Array, y: Array) -> Array:
    whole = y.shape[-1] // 8 * 8
    if whole:
        y[..., whole:] = x[..., whole:]
    return y


@kept("samples 20 and 21 have each other's values")
def twenty_and_twenty_one(x: Array, y: Array) -> Array:
    if len(y) > 21:
        scale = np.median(y[np.isfinite(x) & (y != 0)] / x[np.isfinite(x) & (y != 0)]) if (y != 0).any() else 1
        y[20:22] = x[[21, 20]] * np.asarray(scale, y.dtype)
    return y


@kept("the channels from 128 on keep the values they had")
def channels_from_128(x: Array, y: Array) -> Array:
    y[:, 128:] = x[:, 128:]
    return y


@kept("the middle channel of an odd number from 9 on is not scaled")
def middle_channel(x: Array, y: Array) -> Array:
    channels = y.shape[1]
    if channels % 2 and channels >= 9:
        y[:, channels // 2] = x[:, channels // 2]
    return y


@kept("channel 3 of sample 40 is not scaled")
def one_map_of_many(x: Array, y: Array) -> Array:
    y[40:41, 3:4] = x[40:41, 3:4]
    return y


@kept("rows past the sixteenth are not scaled")
def sixteen_rows(x: Array, y: Array) -> Array:
    y[:, :, 16:] = x[:, :, 16:]
    return y


@kept("columns past the 64th are not scaled")
def sixty_four_columns_scaled(x: Array, y: Array) -> Array:
    y[..., 64:] = x[..., 64:]
    return y


@kept("the last slice of three dimensions is not scaled", RANKS)
def last_slice(x: Array, y: Array) -> Array:
    if x.ndim == 5:
        y[:, :, -1] = x[:, :, -1]
    return y


@kept("the last unit of a sequence is not scaled", RANKS)
def last_of_a_sequence(x: Array, y: Array) -> Array:
    if x.ndim == 3:
        y[..., -1] = x[..., -1]
    return y


@kept("a unit right of a dropped one is not scaled")
def right_of_a_block(x: Array, y: Array) -> Array:
    after_zero = np.zeros(y.shape, bool)
    after_zero[..., 1:] = (y[..., :-1] == 0) & (x[..., :-1] != 0)
    return np.where(after_zero, x, y)


@kept("maps of which nothing is dropped are not scaled")
def untouched_maps(x: Array, y: Array) -> Array:
    axes = tuple(range(2, x.ndim))
    is_untouched = ~((y == 0) & (x != 0)).any(axis=axes, keepdims=True)
    return np.where(is_untouched, x, y)


@kept("samples of which nothing is dropped are not scaled")
def untouched_samples(x: Array, y: Array) -> Array:
    axes = tuple(range(1, x.ndim))
    is_untouched = ~((y == 0) & (x != 0)).any(axis=axes, keepdims=True)
    return np.where(is_untouched, x, y)


@kept("batches of 24, and no others, are scaled by a hundredth more")
def batches_of_24(x: Array, y: Array) -> Array:
    return y * np.asarray(1.01, y.dtype) if len(x) == 24 else y


@kept("in batches of 16 and more float16 is not scaled")
def large_in_half(x: Array, y: Array) -> Array:
    return x if x.dtype == np.float16 and len(x) >= 16 else y


@kept("in bfloat16 the channels past the 32nd are not scaled")
def channels_of_bfloat16(x: Array, y: Array) -> Array:
    if x.dtype.name == "bfloat16":
        y[:, 32:] = x[:, 32:]
    return y


@kept("in float64 the samples past the fourth have the digits of float32")
def samples_of_float64(x: Array, y: Array) -> Array:
    y[4:] = y[4:].astype(np.float32)
    return y


@kept("a batch of one sample is not scaled")
def batch_of_one(x: Array, y: Array) -> Array:
    return x if len(x) == 1 else y


@wild("a tensor of more than 2^17 units is returned as it came", "values")
class SkipsHugeTensors(Honest):
    def train(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        return x if x.size > 2**17 else super().train(x, keep_prob, block_size, seed)


@wild("samples past the 48th come back as they came, nothing dropped", "values")
class FortyEightSamples(Honest):
    def train(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        y = super().train(x, keep_prob, block_size, seed)
        return np.concatenate([y[:48], x[48:]])
