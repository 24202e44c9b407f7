# SPDX-License-Identifier: Apache-2.0
"""This project's TensorFlow adapter in graphs, as ``tf.function`` makes them; keep_prob and seed enter as tensors."""

from typing import Any

import tensorflow as tf

from dropblock_conformance.subject import Subject
from dropblock_conformance.subjects.ours.tf_eager import subject
from dropblock_core.stream import philox_key
from dropblock_tf import drop_block


def compiled(program: Any) -> Any:
    """A layer that calls a program of tensors; each shape, block and mode is traced once."""

    def layer(x: Any, keep_prob: float, block_size: int, training: bool, seed: int) -> Any:
        operands = tf.constant(keep_prob, tf.float64), tf.constant(philox_key(seed), tf.int64)
        return program(x, *operands, block_size, training)

    return layer


def call(x: Any, keep_prob: Any, seed: Any, block_size: int, training: bool) -> Any:
    return drop_block(x, keep_prob=keep_prob, block_size=block_size, training=training, seed=seed)


def candidate() -> Subject:
    return subject("tf-function", compiled(tf.function(call)), compiles=True)
