"""What the tests of the JAX adapter share, and no other backend has: its arrays, seeds and compiled functions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from dropblock_core.stream import philox_key
from dropblock_jax import drop_block
from tests.shared.comparing import RENORMS, SEEDED, SHAPE
from tests.shared.running import Traces

DTYPES = [jnp.float32, jnp.float16, jnp.bfloat16]

any_renorm = pytest.mark.parametrize("renorm", RENORMS)


def normal(shape: tuple[int, ...] = SHAPE, dtype: Any = jnp.float32, seed: int = 0) -> Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


# A program takes most of a second to compile, so these two serve many tests.
@jax.jit
def seeded(x: Array) -> Array:
    return drop_block(x, **SEEDED)


@jax.jit
def keyed(x: Array, key: Array) -> Array:
    return drop_block(x, SEEDED["keep_prob"], SEEDED["block_size"], key=key)


def seed_words(seed: int) -> np.ndarray[Any, Any]:
    """A seed as an array: low word, high word."""
    return np.array(philox_key(seed), np.uint32)


def traced(function: Callable[..., Any]) -> tuple[Callable[..., Any], Traces]:
    """`function` compiled, and what counts its traces."""
    counter = Traces(function)
    return jax.jit(counter), counter
