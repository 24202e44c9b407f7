# SPDX-License-Identifier: Apache-2.0
"""This project's JAX adapter inside ``jax.jit``: keep_prob as a Threshold and the seed as an array, both operands."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import numpy as np

from dropblock_conformance.subject import Subject
from dropblock_conformance.subjects.ours.jax_eager import subject
from dropblock_core.stream import philox_key
from dropblock_jax import LinearSchedule, Threshold, drop_block


def compiled(x: jax.Array, keep_prob: float, block_size: int, training: bool, seed: int) -> Any:
    threshold = Threshold.of(keep_prob, block_size, x.shape[1:-1])
    return _program(x, threshold, np.array(philox_key(seed), np.uint32), block_size, training)


@partial(jax.jit, static_argnames=("block_size", "training"))
def _program(x: jax.Array, threshold: Threshold, seed: jax.Array, block_size: int, training: bool) -> Any:
    return drop_block(x, keep_prob=threshold, block_size=block_size, training=training, seed=seed)


def traced(keep_prob: float, steps: int) -> Iterator[float]:
    """Within the step that is compiled."""
    values = jax.jit(LinearSchedule(keep_prob, steps))
    return (float(values(step)) for step in range(steps + 1))


def candidate() -> Subject:
    return subject("jax-jit", compiled, traced)
