"""JAX under jit, beside a max-pool DropBlock as reduce_window makes it, and dropout."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from dropblock_core import gamma
from dropblock_jax import drop_block
from tests.bench.cases import CASES, FLOOR, OURS, Backend, Case, Contenders, Target

REDUCE_WINDOW, DROPOUT = "reduce_window formulation", "bernoulli dropout"
Layer = Callable[[Array, Array], Array]  # of activations [samples, *spatial, channels] and a key


def layers_of(case: Case) -> dict[str, Layer]:
    keep_prob, block = case.keep_prob, case.block
    feat = case.shape[2:]

    def reduce_window(x: Array, key: Array) -> Array:
        """A random number an anchor, and a maximum over windows."""
        valid = [f - block + 1 for f in feat]
        seeds = jax.random.bernoulli(key, gamma(keep_prob, block, feat), (x.shape[0], *valid, x.shape[-1]))
        window, padding = (1, block, block, 1), [(0, 0), (block - 1,) * 2, (block - 1,) * 2, (0, 0)]
        mask = 1 - lax.reduce_window(seeds.astype(x.dtype), 0.0, lax.max, window, (1,) * 4, padding)
        return x * mask * (mask.size / mask.sum())

    def dropout(x: Array, key: Array) -> Array:
        return jnp.where(jax.random.bernoulli(key, keep_prob, x.shape), x / keep_prob, 0)

    return {
        OURS: lambda x, key: drop_block(x, keep_prob=keep_prob, block_size=block, key=key),
        FLOOR: lambda x, key: x * 1.1,
        DROPOUT: dropout,
        REDUCE_WINDOW: reduce_window,
    }


def channels_last(x: np.ndarray[Any, Any]) -> Array:
    return jnp.asarray(np.moveaxis(x, 1, -1))


def forward(x: np.ndarray[Any, Any], case: Case) -> Contenders:
    activations, key = channels_last(x), jax.random.key(0)
    programs = {name: jax.jit(layer) for name, layer in layers_of(case).items()}
    return {name: lambda run=run: jax.block_until_ready(run(activations, key)) for name, run in programs.items()}


def both(x: np.ndarray[Any, Any], case: Case) -> Contenders:
    activations, key = channels_last(x), jax.random.key(0)
    dy = jnp.ones_like(activations)

    def with_derivative(layer: Layer) -> Any:
        def run(x: Array, key: Array, dy: Array) -> Any:
            y, vjp = jax.vjp(lambda x: layer(x, key), x)
            return y, vjp(dy)

        return jax.jit(run)

    programs = {name: with_derivative(layer) for name, layer in layers_of(case).items()}
    return {name: lambda run=run: jax.block_until_ready(run(activations, key, dy)) for name, run in programs.items()}


BLOCKS = [Target(REDUCE_WINDOW, at_least=5.0), Target(DROPOUT, at_least=3.0)]
TARGETS = {case: BLOCKS for case in CASES[:3]}
BACKENDS = [Backend("forward", forward, TARGETS), Backend("forward + backward", both, TARGETS)]
