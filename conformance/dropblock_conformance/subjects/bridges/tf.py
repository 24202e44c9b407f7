# SPDX-License-Identifier: Apache-2.0
"""Between NumPy's arrays, channels first, and TensorFlow's tensors, channels last: a layer as a Subject."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from dropblock_conformance.subject import Array, Claims, Subject


def channels_last(x: Array) -> Any:
    return tf.constant(np.moveaxis(x, 1, -1))


def channels_first(y: Any) -> Array:
    return np.moveaxis(y.numpy(), -1, 1)


def subject(
    name: str,
    layer: Callable[..., Any],
    claims: Claims,
    schedule: Callable[[float, int], Iterable[float]] | None = None,
    *,
    compiles: bool = False,
) -> Subject:
    """A layer of tensors: ``layer(x, keep_prob, block_size, training, seed)``."""

    def call(x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
        return channels_first(layer(channels_last(x), keep_prob, block_size, training, seed))

    def grad(x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        activations = channels_last(x)
        with tf.GradientTape() as tape:
            tape.watch(activations)
            y = layer(activations, keep_prob, block_size, True, seed)
        return channels_first(y), channels_first(tape.gradient(y, activations, channels_last(dy)))

    return Subject(name, call, claims, grad, schedule, compiles)
