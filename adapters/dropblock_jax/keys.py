# SPDX-License-Identifier: Apache-2.0
"""Where the 64 bits of a mask come from: a number, an array that may be traced, or one of JAX's keys."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dropblock_core import arrays, validate
from dropblock_core.stream import philox_key


def check(key: Any, seed: Any, *, needed: bool) -> None:
    """Refuse what `words_of` could not take, and, where a mask is needed, neither a key nor a seed."""
    validate.one_source(key=key, seed=seed)
    if key is not None:
        _check_key(key)
    elif isinstance(seed, (jax.Array, np.ndarray)) and (seed.ndim or arrays.is_traced(seed)):
        if seed.shape != (2,) or seed.dtype != np.uint32:
            raise TypeError(
                f"seed is an array of shape {seed.shape} and dtype {seed.dtype}: as an array, a seed is two uint32, "
                "its low word and its high word"
            )
    elif seed is not None:
        validate.seed_word(seed)
    elif needed:
        raise ValueError(
            "key=None and seed=None: a JAX function draws nothing of itself; pass key=jax.random.key(...), split for "
            "each call, or seed= for a fixed mask (training=False needs neither)"
        )


def words_of(key: Any, seed: Any) -> Any:
    """The two words of Philox's key, uint32 ``[2]``, from exactly one of `key` and `seed`."""
    if key is not None:
        return jax.random.bits(key, (2,), jnp.uint32)
    if isinstance(seed, (jax.Array, np.ndarray)) and seed.ndim:
        return seed
    return np.array(philox_key(validate.seed_word(seed)), np.uint32)


def _check_key(key: Any) -> None:
    """One key, new-style or raw."""
    is_key = isinstance(key, jax.Array) and (
        jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or (key.dtype == np.uint32 and key.ndim > 0)
    )
    if not is_key:
        raise TypeError(
            f"{validate.shown('key', key)} is no key of JAX: make one with jax.random.key(...), or pass seed= for a "
            "fixed mask"
        )
    keys = key.shape if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key.shape[:-1]
    if keys:
        raise ValueError(
            f"key has shape {key.shape}, which is several keys: pass one of them, or use jax.vmap over them"
        )
