"""The compiled program: seeds, words, count and activations, in integers of 32 bits, on any of XLA's devices.

What differs from call to call (seed, threshold, stream, the samples' numbers) is an operand, so that one compilation
serves a whole schedule; sizes and rules are static.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.ad_checkpoint import checkpoint_name

from dropblock_core import words
from dropblock_core.renorm import scope_units
from dropblock_core.stream import Segments
from dropblock_jax.threshold import Threshold

SEEDS, SCALE = "dropblock_seeds", "dropblock_scale"


@dataclass(frozen=True)
class Words(words.Words):
    """Words whose loop is XLA's.

    `zero` is made of all operands: inside ``shard_map`` the state of a loop must vary over the mesh from the start, as
    what its body makes of it does.
    """

    zero: Any = None

    @classmethod
    def of(cls, *operands: Array) -> Self:
        return cls(jnp, jnp.uint32, zero=sum(operand.astype(jnp.uint32) for operand in operands) & 0)

    def cut(self, x: Array) -> Array:
        return x  # past the last bit nothing is left in an unsigned integer

    def loop(self, going: Callable[..., Any], body: Callable[..., Any], state: tuple[Any, ...]) -> tuple[Any, ...]:
        return lax.while_loop(lambda state: going(*state), lambda state: body(*state), self._tied(state))

    def repeat(self, times: int, body: Callable[..., tuple[Any, ...]], state: tuple[Any, ...]) -> tuple[Any, ...]:
        # In one piece, the generator takes most of the time to compile, and no less to run on a CPU.
        return lax.fori_loop(0, times // 2, lambda _, state: body(*body(*state)), self._tied(state))

    def gap(self, u: Array, table: Array) -> Array:
        return jnp.sum(u[..., None] < table, axis=-1, dtype=self.dtype)

    def _tied(self, state: tuple[Array, ...]) -> tuple[Array, ...]:
        return jax.tree.map(lambda leaf: leaf | self.zero.astype(leaf.dtype), state)


@dataclass(frozen=True)
class Plan:
    """What the program is compiled for, besides shapes and dtypes."""

    segments: Segments
    maps: int
    renorm: str
    channels_last: bool
    axis_name: Any = None

    @property
    def saved(self) -> tuple[str, ...]:
        """What the backward pass is given: the seeds where they take at most a bit a unit, else it draws them anew."""
        return (SEEDS, SCALE) if self.segments.seeds_fit else (SCALE,)


@partial(jax.jit, static_argnames="plan", inline=True)
def drop(x: Array, key: Array, numbers: Array, threshold: Threshold, stream: Array, plan: Plan) -> Array:
    """Lines 5 to 8 of Algorithm 1, differentiable any number of times, forward and backward.

    `key` is uint32 ``[2]``; `numbers` are those of the samples, uint32 ``[samples]``. Of all that lies between `x` and
    the result, ``jax.checkpoint`` keeps for the backward pass what `plan` says: the mask is built again from it.
    """
    policy = jax.checkpoint_policies.save_only_these_names(*plan.saved)
    lines = jax.checkpoint(partial(_lines_5_to_8, plan=plan), policy=policy, prevent_cse=False)
    return lines(x, key, numbers, threshold, stream)


def _lines_5_to_8(x: Array, key: Array, numbers: Array, threshold: Threshold, stream: Array, plan: Plan) -> Array:
    segments = plan.segments
    table = jnp.asarray(threshold.table)[: segments.length]
    space = Words.of(key[0], numbers[0], stream, table[0], jnp.asarray(threshold.draws))
    seeds = words.drawn_words(space, (key[0], key[1]), numbers, plan.maps, segments, table, stream)
    seeds = checkpoint_name(jnp.where(threshold.draws, seeds, 0), SEEDS)  # line 5
    rows = _rows(space, seeds, plan)  # line 6
    wide = jnp.float64 if x.dtype == jnp.float64 else jnp.float32
    scale = checkpoint_name(_scale(space, rows, threshold, wide, plan), SCALE)
    y = (x.astype(wide) * scale).astype(x.dtype)  # line 8
    return jnp.where(_dropped(rows, plan), jnp.zeros((), x.dtype), y)  # line 7, selecting, as 0 * NaN is not 0


def _rows(space: Words, seeds: Array, plan: Plan) -> Array:
    """The dropped units, a bit each, in words along each row: ``[samples, maps, ...]``, or maps last."""

    dtype = jnp.dtype(f"uint{plan.segments.row_bits}")

    def grow() -> Array:
        anchors = words.anchor_words(space, seeds, plan.segments).astype(dtype)
        rows = words.dilate(replace(space, dtype=dtype), anchors, plan.segments)
        return jnp.moveaxis(rows, 1, -1) if plan.channels_last else rows

    # Left to itself, XLA would grow the blocks once more at each unit that looks at a word. A loop that runs once, if
    # there is anything to grow, ends before the words are looked at.
    empty = jnp.zeros_like(jax.eval_shape(grow))
    some = jnp.any(seeds != 0)
    _, rows = space.loop(lambda waits, rows: waits, lambda waits, rows: (waits & False, grow()), (some, empty))
    return rows


def _scale(space: Words, rows: Array, threshold: Threshold, wide: Any, plan: Plan) -> Array:
    """Line 8's factor over the scope of rule R8, to broadcast against the activations."""
    if plan.renorm == "none":
        return jnp.ones((), wide)
    if plan.renorm == "expected":
        return jnp.asarray(threshold.factor, wide)
    rows = jnp.moveaxis(rows, -1, 1) if plan.channels_last else rows
    count = scope_units(plan.renorm, (*rows.shape[:2], *plan.segments.feat))
    high, low = words.count_bits(space, rows, plan.renorm)
    high, low = (limb.reshape(limb.shape[: 2 + len(plan.segments.feat)]) for limb in (high, low))
    if plan.axis_name is not None:
        high, low = lax.psum((high, low), plan.axis_name)
        high, low = high + (low >> 16), low & 0xFFFF
        count *= lax.axis_size(plan.axis_name)
    scale = words.counted_factor(space, count, high, low, wide)
    return jnp.moveaxis(scale, 1, -1) if plan.channels_last else scale


def _dropped(rows: Array, plan: Plan) -> Array:
    """One bool a unit, in the order of the activations. The compiler fuses it into the multiplication."""
    width = plan.segments.feat[-1]
    shifts = jnp.arange(min(width, 32), dtype=rows.dtype)
    rows, shifts = (rows[..., None, :], shifts[:, None]) if plan.channels_last else (rows[..., None], shifts)
    bits = (rows >> shifts) & 1
    axis = -2 if plan.channels_last else -1
    units = lax.collapse(bits, bits.ndim + axis - 1, bits.ndim + axis + 1)
    return lax.slice_in_dim(units, 0, width, axis=axis) != 0
