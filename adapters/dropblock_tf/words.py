# SPDX-License-Identifier: Apache-2.0
"""The word algebra in TensorFlow: its loops, and kernels of its own for products and gaps."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dropblock_core import words
from dropblock_core.stream import MASK32
from dropblock_tf import namespace, xla
from dropblock_tf.namespace import Array


def words_here(dtype: tf.DType = tf.int64) -> "TensorFlowWordSpace":
    """Words for where the program that is being built will run."""
    space = XlaGpuWordSpace if xla.compiles_for_a_gpu() else TensorFlowWordSpace
    return space(namespace, dtype)


class TensorFlowWordSpace(words.WordSpace):
    """Words whose loops are TensorFlow's."""

    def loop(
        self, going: Callable[..., Any], body: Callable[..., Any], state: tuple[Any, ...], at_most: int
    ) -> tuple[Any, ...]:
        def unwrapped(*state: Any) -> tuple[Any, ...]:
            return tuple(x.tensor for x in body(*map(Array, state)))

        start = tuple(x.tensor for x in state)
        shapes = tuple(x.shape for x in start)
        end = tf.while_loop(lambda *state: going(*map(Array, state)).tensor, unwrapped, start, shape_invariants=shapes)
        return tuple(map(Array, end))

    def repeat(self, times: int, body: Callable[..., tuple[Any, ...]], state: tuple[Any, ...]) -> tuple[Any, ...]:
        if tf.executing_eagerly():
            return super().repeat(times, body, state)
        # Unrolled, the generator would take XLA minutes to compile for a CPU.
        return self.counted(times // 2, lambda *state: body(*body(*state)), state)

    def product(self, a: Array, m: int) -> tuple[Array, Array]:
        product = a * m  # it may wrap to a negative number, but its 64 bits are still the two words
        return (product >> 32) & MASK32, product & MASK32

    def cut(self, x: Array) -> Array:
        return x if self.dtype.is_unsigned else super().cut(x)

    def gap(self, u: Array, table: Array) -> Array:
        ascending, draws = tf.reverse(table.tensor, [0])[None], tf.reshape(u.tensor, [1, -1])
        reached = tf.raw_ops.UpperBound(sorted_inputs=ascending, values=draws, out_type=tf.int64)
        return Array(table.shape[0] - tf.reshape(reached, tf.shape(u.tensor)))

    def grown(self, grow: Callable[[], Array], empty: Array, some: Any) -> Array:
        """``grow()`` if there are `some` seeds, else `empty`, written once: XLA would grow the blocks for each unit."""
        # It does not fuse across a loop, so this is one: it runs once, or not at all.
        never = Array(tf.constant(False))
        return self.loop(
            lambda waits, rows: waits, lambda waits, rows: (never, grow()), (Array(some), empty), at_most=1
        )[1]

    def counted(self, times: int, body: Callable[..., Any], state: tuple[Any, ...]) -> tuple[Any, ...]:
        done = Array(tf.constant(0, tf.int64))
        _, *end = TensorFlowWordSpace.loop(
            self, lambda done, *_: done < times, lambda done, *state: (done + 1, *body(*state)), (done, *state), times
        )
        return tuple(end)


class XlaGpuWordSpace(words.FixedDraws, TensorFlowWordSpace):
    """Words without a loop that the host would have to watch, for XLA on a GPU."""

    def repeat(self, times: int, body: Callable[..., tuple[Any, ...]], state: tuple[Any, ...]) -> tuple[Any, ...]:
        return words.WordSpace.repeat(self, times, body, state)

    def gap(self, u: Array, table: Array) -> Array:
        return words.WordSpace.gap(self, u, table)

    def held(self, *made: Array) -> tuple[Array, ...]:
        return tuple(map(Array, xla.held([array.tensor for array in made])))

    def grown(self, grow: Callable[[], Array], empty: Array, some: Any) -> Array:
        return self.held(grow())[0]
