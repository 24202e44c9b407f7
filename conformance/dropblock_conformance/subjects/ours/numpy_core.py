# SPDX-License-Identifier: Apache-2.0
"""The NumPy reference, through the same door as everybody else."""

from collections.abc import Iterator
from typing import Any

from dropblock_conformance.subject import DTYPES, Array, Claims, Subject
from dropblock_core import LinearSchedule, drop_block


def call(x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
    y: Array = drop_block(x, keep_prob=keep_prob, block_size=block_size, training=training, seed=seed)
    return y


def grad(x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
    """For a fixed seed A x M x scale is linear in A and diagonal, so its gradient applies the same map to dy."""
    return call(x, training=True, **arguments), call(dy, training=True, **arguments)


def schedule(keep_prob: float, steps: int) -> Iterator[float]:
    linear = LinearSchedule(keep_prob, steps)
    return (linear(step) for step in range(steps + 1))


def candidate() -> Subject:
    return Subject("numpy", call, Claims(spatial=(1, 2, 3), dtypes=DTYPES), grad, schedule)
