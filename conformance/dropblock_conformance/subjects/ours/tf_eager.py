"""This project's TensorFlow adapter, called as it is; and what its other ways of running share."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from dropblock_conformance.subject import DTYPES, Array, Claims, Subject
from dropblock_core import LinearSchedule
from dropblock_tf import drop_block


def subject(name: str, layer: Callable[..., Any], *, compiles: bool = False) -> Subject:
    """A layer ``(x, keep_prob, block_size, training, seed)`` of channels-last tensors behind channels-first arrays."""

    def call(x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
        return channels_first(layer(channels_last(x), keep_prob, block_size, training, seed))

    def grad(x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        activations = channels_last(x)
        with tf.GradientTape() as tape:
            tape.watch(activations)
            y = layer(activations, keep_prob, block_size, True, seed)
        return channels_first(y), channels_first(tape.gradient(y, activations, channels_last(dy)))

    return Subject(name, call, Claims(spatial=(1, 2, 3), dtypes=DTYPES), grad, schedule, compiles)


def channels_last(x: Array) -> Any:
    return tf.constant(np.moveaxis(x, 1, -1))


def channels_first(y: Any) -> Array:
    return np.moveaxis(y.numpy(), -1, 1)


def schedule(keep_prob: float, steps: int) -> Iterator[float]:
    """A variable that a schedule sets, as a training loop has it."""
    linear, value = LinearSchedule(keep_prob, steps), tf.Variable(1.0, dtype=tf.float64)
    for step in range(steps + 1):
        value.assign(linear(step))
        yield float(value)


def pure(x: Any, keep_prob: float, block_size: int, training: bool, seed: int) -> Any:
    return drop_block(x, keep_prob, block_size, training=training, seed=seed)


def candidate() -> Subject:
    return subject("tf", pure)
