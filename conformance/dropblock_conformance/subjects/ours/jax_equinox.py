# SPDX-License-Identifier: Apache-2.0
"""This project's layer for Equinox, mapped over the batch in a jitted step, with a count over all of the batch."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from dropblock_conformance.subject import Subject
from dropblock_conformance.subjects.bridges.jax import key_of
from dropblock_conformance.subjects.ours.jax_eager import subject
from dropblock_jax import Threshold
from dropblock_jax.equinox import DropBlock


def layer(x: jax.Array, keep_prob: float, block_size: int, training: bool, seed: int) -> Any:
    threshold = Threshold.of(keep_prob, block_size, x.shape[1:-1])
    return _step(DropBlock(threshold, block_size, inference=not training, axis_name="batch"), x, key_of(seed))


@eqx.filter_jit
def _step(dropblock: DropBlock, x: jax.Array, key: jax.Array) -> Any:
    keys = jax.random.split(key, x.shape[0])
    y = jax.vmap(lambda x, key: dropblock(x, key=key), axis_name="batch")(jnp.moveaxis(x, -1, 1), keys)
    return jnp.moveaxis(y, 1, -1)


def candidate() -> Subject:
    return subject("equinox", layer)
