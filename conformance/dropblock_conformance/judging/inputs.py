# SPDX-License-Identifier: Apache-2.0
"""Activations to try an implementation with, unit by unit."""

import numpy as np

from dropblock_conformance.judging.dtypes import dtype_named, limits
from dropblock_conformance.subject import Array


def ordinary(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    """Between 0.5 and 2 in size, of either sign, the same whenever shape and seed are."""
    x = np.random.default_rng(seed).uniform(-1.5, 1.5, shape)
    x += np.copysign(0.5, x)
    return np.asarray(x, dtype_named(dtype))


def after_relu(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    """The same, but zero where they would be negative, and all through the last sample and the last channel.

    Padding leaves such samples, a dead unit such channels.
    """
    x = ordinary(shape, dtype, seed)
    x = np.where(x > 0, x, np.zeros_like(x))
    for axis in (0, 1):
        if x.shape[axis] > 1:
            np.moveaxis(x, axis, 0)[-1] = 0
    return x


def finite_extremes(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    """Of every size that a dtype holds: zeros of both signs, subnormals, the least normal and the largest numbers."""
    rng = np.random.default_rng(seed)
    tiny, largest, smallest = limits(dtype)
    middle = 2.0 ** rng.uniform(np.log2(tiny) + 1, np.log2(largest) - 1, shape)
    special = rng.choice([0.0, smallest, 3 * smallest, tiny, 0.75 * largest, largest], shape)
    x = np.where(rng.random(shape) < 0.5, middle, special) * rng.choice([-1.0, 1.0], shape)
    return np.asarray(x, dtype_named(dtype))


def extremes(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    """The same, with infinities and NaN among them, NaN of either sign and of any payload."""
    x = finite_extremes(shape, dtype, seed)
    rng = np.random.default_rng(seed + 1)
    held = rng.choice([np.inf, -np.inf, np.nan], shape).astype(x.dtype)
    bits = held.view(f"u{x.itemsize}")
    payload = rng.integers(0, 4, shape) | rng.integers(0, 2, shape) << (8 * x.itemsize - 1)
    bits[...] = np.where(np.isnan(held), bits ^ payload.astype(bits.dtype), bits)
    return np.where(rng.random(shape) < 0.2, held, x)


def channels_last(x: Array) -> Array:
    """Channels last in memory, as many frameworks have them."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def backwards(x: Array) -> Array:
    """Every axis laid out from its end."""
    whole = (slice(None, None, -1),) * x.ndim
    return np.ascontiguousarray(x[whole])[whole]


def every_second(x: Array) -> Array:
    """Every second unit of a larger array."""
    larger = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    larger[..., ::2] = x
    return larger[..., ::2]


def inner(x: Array) -> Array:
    """The inside of a larger array, whose border is NaN."""
    return np.pad(x, 1, constant_values=np.asarray(np.nan, x.dtype))[(slice(1, -1),) * x.ndim]


def unaligned(x: Array) -> Array:
    """At an address that is no multiple of the dtype's size."""
    raw = np.empty(x.nbytes + 1, np.uint8)
    moved = raw[1:].view(x.dtype).reshape(x.shape)
    moved[...] = x
    return moved


def read_only(x: Array) -> Array:
    """Not to be written to."""
    locked = x.copy()
    locked.setflags(write=False)
    return locked


def fortran(x: Array) -> Array:
    """The first axis fastest."""
    return np.asfortranarray(x)


def broadcast(x: Array) -> Array:
    """One channel, repeated without memory of its own: other values than x where it has several channels."""
    return np.broadcast_to(x[:, :1], x.shape)


def one_sample(x: Array) -> Array:
    """One sample, repeated without memory of its own."""
    return np.broadcast_to(x[:1], x.shape)


def one_unit(x: Array) -> Array:
    """One number, repeated without memory of its own, as the gradient of a sum is."""
    return np.broadcast_to(x[:1, :1].reshape(2 * (1,) + (-1,) + (x.ndim - 3) * (1,))[:, :, :1], x.shape)


LAYOUTS = (channels_last, backwards, every_second, inner, fortran, unaligned, read_only)
REPEATED = (broadcast, one_sample, one_unit)  # whose values differ from those of x
