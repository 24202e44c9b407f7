"""This project's layer for Flax NNX, seeded through its rngs."""

from typing import Any

import jax
from flax import nnx

from dropblock_conformance.subject import Subject
from dropblock_conformance.subjects.jax_eager import key_of, subject
from dropblock_jax.flax import DropBlock


def layer(x: jax.Array, keep_prob: float, block_size: int, training: bool, seed: int) -> Any:
    return DropBlock(keep_prob, block_size, deterministic=not training, rngs=nnx.Rngs(dropout=key_of(seed)))(x)


def candidate() -> Subject:
    return subject("flax", layer)
