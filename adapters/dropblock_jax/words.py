# SPDX-License-Identifier: Apache-2.0
"""The word algebra inside XLA, in three ways: a CPU, a TPU and a GPU each run another one fast.

On a CPU unrolled loops cost compilation and gain nothing. A TPU runs every loop by itself, a GPU none whose rounds are
unknown (:class:`words.FixedDraws`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp
from jax import Array, lax

from dropblock_core import words


def on_its_platform(lines: Callable[..., Any], *operands: Any) -> Any:
    """``lines(space, *operands)`` with the words of the platform that the program is compiled for."""
    return lax.platform_dependent(
        *operands,
        cpu=partial(lines, CpuWordSpace),
        tpu=partial(lines, TpuWordSpace),
        default=partial(lines, GpuWordSpace),
    )


@dataclass(frozen=True)
class CpuWordSpace(words.WordSpace):
    """Words whose loops are XLA's.

    `zero` is made of all operands. Inside ``shard_map`` the state of a loop varies over the mesh after the first round,
    so it must from the start; `zero` makes it so.
    """

    zero: Any = None

    @classmethod
    def of(cls, *operands: Array) -> Self:
        return cls(jnp, jnp.uint32, zero=sum(operand.astype(jnp.uint32) for operand in operands) & 0)

    def cut(self, x: Array) -> Array:
        return x  # past the last bit nothing is left in an unsigned integer

    def loop(
        self, going: Callable[..., Any], body: Callable[..., Any], state: tuple[Any, ...], at_most: int
    ) -> tuple[Any, ...]:
        return lax.while_loop(lambda state: going(*state), lambda state: body(*state), self._tied(state))

    def repeat(self, times: int, body: Callable[..., tuple[Any, ...]], state: tuple[Any, ...]) -> tuple[Any, ...]:
        # Unrolled, the generator takes most of the time of compilation, and runs no faster.
        return self.counted(times // 2, lambda *state: body(*body(*state)), state)

    def counted(self, times: int, body: Callable[..., tuple[Any, ...]], state: tuple[Any, ...]) -> tuple[Any, ...]:
        return lax.fori_loop(0, times, lambda _, state: body(*state), self._tied(state))

    def gap(self, u: Array, table: Array) -> Array:
        return jnp.sum(u[..., None] < table, axis=-1, dtype=self.dtype)

    def grown(self, grow: Callable[[Array], Array], seeds: Array) -> Array:
        """``grow(seeds)``, written once. XLA would otherwise grow the blocks anew for each unit that reads them."""
        # It does not fuse across a loop, so this is one: it runs once, or not at all if there is no seed.
        empty = jnp.zeros_like(jax.eval_shape(grow, seeds))
        some = jnp.any(seeds != 0)
        return self.loop(
            lambda waits, rows: waits, lambda waits, rows: (waits & False, grow(seeds)), (some, empty), at_most=1
        )[1]

    def _tied(self, state: tuple[Array, ...]) -> tuple[Array, ...]:
        return jax.tree.map(lambda leaf: leaf | self.zero.astype(leaf.dtype), state)


class TpuWordSpace(CpuWordSpace):
    """Words in few large operations: only the seeds are drawn in a loop, which ends with the last of them."""

    def repeat(self, times: int, body: Callable[..., tuple[Any, ...]], state: tuple[Any, ...]) -> tuple[Any, ...]:
        return words.WordSpace.repeat(self, times, jax.jit(body), state)  # unrolled, and traced once

    def gap(self, u: Array, table: Array) -> Array:
        return _compared(u, table)

    def held(self, *made: Array) -> tuple[Array, ...]:
        return tuple(lax.optimization_barrier(made))

    def grown(self, grow: Callable[[Array], Array], seeds: Array) -> Array:
        return self.held(grow(seeds))[0]


class GpuWordSpace(words.FixedDraws, TpuWordSpace):
    """Words without a loop that the host would have to watch."""


@jax.jit
def _compared(u: Array, table: Array) -> Array:
    """:meth:`words.WordSpace.gap`, an operation a threshold: a reduction would be a kernel of its own."""
    return sum((u < threshold).astype(u.dtype) for threshold in table)
