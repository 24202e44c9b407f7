"""This project's JAX adapter, called as it is; and what its other ways of running share."""

import itertools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from dropblock_conformance.subject import Array, Claims, Subject
from dropblock_jax import LinearSchedule, drop_block

# float64 needs a switch that concerns the whole process.
CLAIMS = Claims(spatial=(1, 2, 3), dtypes=("float32", "float16", "bfloat16"))


def subject(name: str, layer: Callable[..., jax.Array], claims: Claims = CLAIMS) -> Subject:
    """A layer ``(x, keep_prob, block_size, training, seed)`` for channels-last arrays behind NumPy's channels-first."""

    calls = itertools.count(1)

    def call(x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
        # Linux gives a process 65,530 memory maps, and each compiled program takes some.
        if next(calls) % 1000 == 0:
            jax.clear_caches()  # type: ignore[no-untyped-call]
        return channels_first(layer(channels_last(x), keep_prob, block_size, training, seed))

    def grad(x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        y, vjp = jax.vjp(lambda x: layer(x, keep_prob, block_size, True, seed), channels_last(x))
        return channels_first(y), channels_first(*vjp(channels_last(dy)))

    return Subject(name, call, claims, grad, schedule, compiles=True)


def channels_last(x: Array) -> jax.Array:
    return jnp.asarray(np.moveaxis(x, 1, -1))


def channels_first(y: jax.Array) -> Array:
    return np.moveaxis(np.asarray(y), -1, 1)


def key_of(seed: int) -> jax.Array:
    """A key of 64 bits, where ``jax.random.key`` takes 32 unless told otherwise."""
    key: jax.Array = jax.random.wrap_key_data(jnp.array([seed >> 32, seed % 2**32], jnp.uint32))
    return key


def schedule(keep_prob: float, steps: int) -> Iterator[float]:
    values = jax.jit(LinearSchedule(keep_prob, steps))
    return (float(values(step)) for step in range(steps + 1))


def pure(x: jax.Array, keep_prob: float, block_size: int, training: bool, seed: int) -> jax.Array:
    return drop_block(x, keep_prob, block_size, training=training, seed=seed)


def candidate() -> Subject:
    return subject("jax", pure)
