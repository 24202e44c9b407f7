# SPDX-License-Identifier: Apache-2.0
"""Between NumPy's arrays, channels first, and JAX's, channels last: a layer as a Subject."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dropblock_conformance.subject import Array, Claims, Subject

# Linux gives a process 65,530 memory maps, and the programs of each kind of call take some.
MOST_KINDS = 500


def channels_last(x: Array) -> jax.Array:
    return jnp.asarray(np.moveaxis(x, 1, -1))


def channels_first(y: jax.Array) -> Array:
    return np.moveaxis(np.asarray(y), -1, 1)


def key_of(seed: int) -> jax.Array:
    """A key of 64 bits, where ``jax.random.key`` takes 32 unless told otherwise."""
    key: jax.Array = jax.random.wrap_key_data(jnp.array([seed >> 32, seed % 2**32], jnp.uint32))
    return key


def subject(
    name: str,
    layer: Callable[..., jax.Array],
    claims: Claims,
    schedule: Callable[[float, int], Iterable[float]] | None = None,
) -> Subject:
    """A layer of arrays: ``layer(x, keep_prob, block_size, training, seed)``."""
    kinds: set[tuple[Any, ...]] = set()

    def call(x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
        kinds.add((x.shape, x.dtype, block_size, training))
        if len(kinds) == MOST_KINDS:
            kinds.clear()
            jax.clear_caches()  # type: ignore[no-untyped-call]
        return channels_first(layer(channels_last(x), keep_prob, block_size, training, seed))

    def grad(x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        y, vjp = jax.vjp(lambda x: layer(x, keep_prob, block_size, True, seed), channels_last(x))
        return channels_first(y), channels_first(*vjp(channels_last(dy)))

    return Subject(name, call, claims, grad, schedule, compiles=True)
