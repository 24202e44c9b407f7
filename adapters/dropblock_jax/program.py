# SPDX-License-Identifier: Apache-2.0
"""The compiled program: seeds, words, count and activations, in integers of 32 bits, on any of XLA's devices.

What differs from call to call (seed, threshold, stream, the samples' numbers) is an operand, so that one compilation
serves a whole schedule; sizes and rules are static.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.ad_checkpoint import checkpoint_name

from dropblock_core import words
from dropblock_core.renorm import scope_units
from dropblock_core.stream import Segments
from dropblock_jax.threshold import Threshold
from dropblock_jax.words import CpuWordSpace, on_its_platform

SEEDS, SCALE = "dropblock_seeds", "dropblock_scale"


@dataclass(frozen=True)
class ProgramSpec:
    """The static argument of :func:`drop`: the program is compiled once for each, and for each shape and dtype."""

    segments: Segments
    maps: int
    renorm: str
    channels_last: bool
    axis_name: Any = None

    @property
    def saved(self) -> tuple[str, ...]:
        """What is kept for the backward pass. Seeds that take more than a bit a unit are drawn again instead."""
        return (SEEDS, SCALE) if self.segments.seeds_fit else (SCALE,)


@partial(jax.jit, static_argnames="spec")
def drop(x: Array, key: Array, numbers: Array, threshold: Threshold, stream: Array, spec: ProgramSpec) -> Array:
    """Lines 5 to 8 of Algorithm 1, differentiable any number of times, forward and backward.

    `key` is uint32 ``[2]``; `numbers` are those of the samples, uint32 ``[samples]``. For the backward pass
    ``jax.checkpoint`` keeps only ``spec.saved``, and the mask is built again from it.
    """
    policy = jax.checkpoint_policies.save_only_these_names(*spec.saved)
    lines = jax.checkpoint(partial(_lines_5_to_8, spec=spec), policy=policy, prevent_cse=False)
    # What a user forbids in code of theirs (jax_numpy_rank_promotion="raise") is the custom of the word algebra.
    with jax.numpy_rank_promotion("allow"):
        return lines(x, key, numbers, threshold, stream)


def _lines_5_to_8(
    x: Array, key: Array, numbers: Array, threshold: Threshold, stream: Array, spec: ProgramSpec
) -> Array:
    operands = key, numbers, jnp.asarray(threshold.table), jnp.asarray(threshold.draws), stream
    seeds = checkpoint_name(on_its_platform(partial(_seeds, spec), *operands), SEEDS)  # line 5
    rows = on_its_platform(partial(_grown, spec), seeds)  # line 6
    wide = jnp.float64 if x.dtype == jnp.float64 else jnp.float32
    scale = checkpoint_name(_scale(rows, threshold, wide, spec), SCALE)
    y = (x.astype(wide) * scale).astype(x.dtype)  # line 8
    return jnp.where(_dropped(rows, spec), jnp.zeros((), x.dtype), y)  # line 7, selecting, as 0 * NaN is not 0


def _seeds(
    spec: ProgramSpec,
    space_of: type[CpuWordSpace],
    key: Array,
    numbers: Array,
    table: Array,
    draws: Array,
    stream: Array,
) -> Array:
    """A word of seeds for each segment, ``[samples, maps, G]``."""
    space = space_of.of(key[0], numbers[0], stream, table[0], draws)
    table = table[: spec.segments.length]
    seeds = words.drawn_words(space, (key[0], key[1]), numbers, spec.maps, spec.segments, table, stream)
    return jnp.where(draws, seeds, 0)


def _grown(spec: ProgramSpec, space_of: type[CpuWordSpace], seeds: Array) -> Array:
    """The dropped units, a bit each, in words along each row: ``[samples, maps, ...]``, or maps last."""
    space, dtype = space_of.of(seeds[0, 0, 0]), jnp.dtype(f"uint{spec.segments.row_bits}")

    def grow(seeds: Array) -> Array:
        anchors = words.anchor_words(space, seeds, spec.segments).astype(dtype)
        rows = words.grow(replace(space, dtype=dtype), anchors, spec.segments)
        return jnp.moveaxis(rows, 1, -1) if spec.channels_last else rows

    return space.grown(grow, seeds)


def _scale(rows: Array, threshold: Threshold, wide: Any, spec: ProgramSpec) -> Array:
    """Line 8's factor over the scope of rule R8, to broadcast against the activations."""
    if spec.renorm == "none":
        return jnp.ones((), wide)
    if spec.renorm == "expected":
        return jnp.asarray(threshold.factor, wide)
    space = words.WordSpace(jnp, jnp.uint32)
    rows = jnp.moveaxis(rows, -1, 1) if spec.channels_last else rows
    count = scope_units(spec.renorm, (*rows.shape[:2], *spec.segments.feat))
    high, low = words.count_bits(space, rows, spec.renorm)
    high, low = (limb.reshape(limb.shape[: 2 + len(spec.segments.feat)]) for limb in (high, low))
    if spec.axis_name is not None:
        high, low = lax.psum((high, low), spec.axis_name)
        high, low = high + (low >> 16), low & 0xFFFF
        count *= lax.axis_size(spec.axis_name)
    scale = words.counted_factor(space, count, high, low, wide)
    return jnp.moveaxis(scale, 1, -1) if spec.channels_last else scale


def _dropped(rows: Array, spec: ProgramSpec) -> Array:
    """One bool a unit, in the order of the activations. The compiler fuses it into the multiplication."""
    width = spec.segments.feat[-1]
    shifts = jnp.arange(min(width, 32), dtype=rows.dtype)
    rows, shifts = (rows[..., None, :], shifts[:, None]) if spec.channels_last else (rows[..., None], shifts)
    bits = (rows >> shifts) & 1
    axis = -2 if spec.channels_last else -1
    units = lax.collapse(bits, bits.ndim + axis - 1, bits.ndim + axis + 1)
    return lax.slice_in_dim(units, 0, width, axis=axis) != 0
