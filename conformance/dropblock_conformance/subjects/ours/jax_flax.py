# SPDX-License-Identifier: Apache-2.0
"""This project's layer for Flax NNX, seeded through its rngs, as a part of a jitted step."""

from functools import partial
from typing import Any

import jax
from flax import nnx

from dropblock_conformance.subject import Subject
from dropblock_conformance.subjects.bridges.jax import key_of
from dropblock_conformance.subjects.ours.jax_eager import subject
from dropblock_jax import Threshold
from dropblock_jax.flax import DropBlock


def layer(x: jax.Array, keep_prob: float, block_size: int, training: bool, seed: int) -> Any:
    return _step(x, Threshold.of(keep_prob, block_size, x.shape[1:-1]), key_of(seed), block_size, training)


@partial(jax.jit, static_argnames=("block_size", "training"))
def _step(x: jax.Array, threshold: Threshold, key: jax.Array, block_size: int, training: bool) -> Any:
    return DropBlock(threshold, block_size, deterministic=not training, rngs=nnx.Rngs(dropout=key))(x)


def candidate() -> Subject:
    return subject("flax", layer)
