"""Rematerialisation (rule R13): whoever runs a call again, forward and backward pass have one mask."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from flax import linen, nnx
from jax import Array

import dropblock_jax.equinox
import dropblock_jax.flax
import dropblock_jax.linen
from dropblock_jax import drop_block
from tests.shared.comparing import SHAPE, assert_equal

ONES, KEY = jnp.ones(SHAPE), jax.random.key(1)


def function(remat: Any) -> Any:
    return remat(lambda x: drop_block(x, 0.6, 3, key=KEY))


def of_nnx(remat: Any) -> Any:
    call = remat(lambda layer, x: layer(x))
    # Flax changes a layer's state only at the level of differentiation where it was made.
    return lambda x: call(dropblock_jax.flax.DropBlock(0.6, 3, rngs=nnx.Rngs(1)), x)


def of_linen(remat: Any) -> Any:
    layer = remat(dropblock_jax.linen.DropBlock)(0.6, 3, deterministic=False)
    return lambda x: layer.apply({}, x, rngs={"dropout": KEY})


def of_equinox(remat: Any) -> Any:
    layer = dropblock_jax.equinox.DropBlock(0.6, 3, axis_name="samples")
    call = remat(lambda x, key: layer(x, key=key))
    keys = jax.random.split(KEY, len(ONES))
    mapped = jax.vmap(call, axis_name="samples")
    return lambda x: jnp.moveaxis(mapped(jnp.moveaxis(x, -1, 1), keys), 1, -1)


PATHS = {
    "jax.checkpoint": (function, jax.checkpoint),
    "jax.checkpoint of checkpoint": (function, lambda f: jax.checkpoint(jax.checkpoint(f))),
    "a policy that saves all": (
        function,
        lambda f: jax.checkpoint(f, policy=jax.checkpoint_policies.everything_saveable),
    ),
    "nnx.remat": (of_nnx, nnx.remat),
    "linen.remat": (of_linen, linen.remat),
    "eqx.filter_checkpoint": (of_equinox, eqx.filter_checkpoint),
}


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("path", PATHS)
def test_r13_both_passes_have_one_mask(path: str, compiled: bool) -> None:
    made, remat = PATHS[path]

    def both(x: Array) -> tuple[Array, Array]:
        call: Callable[[Array], Array] = made(remat)
        y, pull = jax.vjp(call, x)
        return y, pull(jnp.ones_like(y))[0]

    y, dx = (jax.jit(both) if compiled else both)(ONES)
    assert 0 < (y == 0).sum() < y.size
    assert_equal(dx, y)  # of ones: the mask times the scale
