"""This project's layer for Equinox, mapped over the batch as Equinox people do, with a count over all of it."""

from typing import Any

import jax
import jax.numpy as jnp

from dropblock_conformance.subject import Subject
from dropblock_conformance.subjects.jax_eager import key_of, subject
from dropblock_jax.equinox import DropBlock


def layer(x: jax.Array, keep_prob: float, block_size: int, training: bool, seed: int) -> Any:
    dropblock = DropBlock(keep_prob, block_size, inference=not training, axis_name="batch")
    keys = jax.random.split(key_of(seed), x.shape[0])
    y = jax.vmap(lambda x, key: dropblock(x, key=key), axis_name="batch")(jnp.moveaxis(x, -1, 1), keys)
    return jnp.moveaxis(y, 1, -1)


def candidate() -> Subject:
    return subject("equinox", layer)
