# SPDX-License-Identifier: Apache-2.0
"""The word algebra inside XLA: its loops, and a comparison with all thresholds at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import jax
import jax.numpy as jnp
from jax import Array, lax

from dropblock_core import words


@dataclass(frozen=True)
class JaxWordSpace(words.WordSpace):
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

    def loop(self, going: Callable[..., Any], body: Callable[..., Any], state: tuple[Any, ...]) -> tuple[Any, ...]:
        return lax.while_loop(lambda state: going(*state), lambda state: body(*state), self._tied(state))

    def repeat(self, times: int, body: Callable[..., tuple[Any, ...]], state: tuple[Any, ...]) -> tuple[Any, ...]:
        # Unrolled, the generator takes most of the time of compilation, and runs no faster on a CPU.
        return lax.fori_loop(0, times // 2, lambda _, state: body(*body(*state)), self._tied(state))

    def gap(self, u: Array, table: Array) -> Array:
        return jnp.sum(u[..., None] < table, axis=-1, dtype=self.dtype)

    def _tied(self, state: tuple[Array, ...]) -> tuple[Array, ...]:
        return jax.tree.map(lambda leaf: leaf | self.zero.astype(leaf.dtype), state)
