# SPDX-License-Identifier: Apache-2.0
"""This project's JAX adapter, called as it is; and what its other ways of running share."""

from collections.abc import Callable, Iterator

import jax

from dropblock_conformance.subject import Claims, Subject
from dropblock_conformance.subjects.bridges import jax as bridge
from dropblock_jax import LinearSchedule, drop_block

# float64 needs a switch that concerns the whole process.
CLAIMS = Claims(spatial=(1, 2, 3), dtypes=("float32", "float16", "bfloat16"))


def schedule(keep_prob: float, steps: int) -> Iterator[float]:
    """On the host, as a training loop has it that sets a Threshold each step."""
    return map(LinearSchedule(keep_prob, steps), range(steps + 1))


def subject(
    name: str, layer: Callable[..., jax.Array], schedule: Callable[[float, int], Iterator[float]] = schedule
) -> Subject:
    """A layer ``(x, keep_prob, block_size, training, seed)`` of channels-last arrays."""
    return bridge.subject(name, layer, CLAIMS, schedule)


def pure(x: jax.Array, keep_prob: float, block_size: int, training: bool, seed: int) -> jax.Array:
    return drop_block(x, keep_prob=keep_prob, block_size=block_size, training=training, seed=seed)


def candidate() -> Subject:
    return subject("jax", pure)
