"""What the tests of the JAX adapter share, and no other backend has: its arrays, seeds and compiled functions."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from dropblock_core.stream import philox_key
from tests.shared.comparing import RENORMS, SHAPE
from tests.shared.running import Traces

DTYPES = [jnp.float32, jnp.float16, jnp.bfloat16]

any_renorm = pytest.mark.parametrize("renorm", RENORMS)


def normal(shape: tuple[int, ...] = SHAPE, dtype: Any = jnp.float32, seed: int = 0) -> Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def seed_words(seed: int) -> np.ndarray[Any, Any]:
    """A seed as an array: low word, high word."""
    return np.array(philox_key(seed), np.uint32)


def traced(function: Callable[..., Any]) -> tuple[Callable[..., Any], Traces]:
    """`function` compiled, and what counts its traces."""
    counter = Traces(function)
    return jax.jit(counter), counter
