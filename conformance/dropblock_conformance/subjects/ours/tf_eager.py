# SPDX-License-Identifier: Apache-2.0
"""This project's TensorFlow adapter, called as it is; and what its other ways of running share."""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from dropblock_conformance.subject import DTYPES, Claims, Subject
from dropblock_conformance.subjects.bridges import tf as bridge
from dropblock_core import LinearSchedule
from dropblock_tf import drop_block

CLAIMS = Claims(spatial=(1, 2, 3), dtypes=DTYPES)


def schedule(keep_prob: float, steps: int) -> Iterator[float]:
    """A variable that a schedule sets, as a training loop has it."""
    linear, value = LinearSchedule(keep_prob, steps), tf.Variable(1.0, dtype=tf.float64)
    for step in range(steps + 1):
        value.assign(linear(step))
        yield float(value)


def subject(name: str, layer: Callable[..., Any], *, compiles: bool = False) -> Subject:
    """A layer ``(x, keep_prob, block_size, training, seed)`` of channels-last tensors."""
    return bridge.subject(name, layer, CLAIMS, schedule, compiles=compiles)


def pure(x: Any, keep_prob: float, block_size: int, training: bool, seed: int) -> Any:
    return drop_block(x, keep_prob=keep_prob, block_size=block_size, training=training, seed=seed)


def candidate() -> Subject:
    return subject("tf", pure)
