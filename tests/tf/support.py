"""What the tests of the TensorFlow adapter share, and no other backend has: its tensors, seeds and programs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dropblock_core.stream import philox_key
from dropblock_tf import drop_block
from tests.shared.comparing import SHAPE

DTYPES = [tf.float32, tf.float16, tf.bfloat16, tf.float64]


def eagerly(call: Callable[..., Any]) -> Callable[..., Any]:
    return call


def in_graph(call: Callable[..., Any]) -> Callable[..., Any]:
    return tf.function(call, autograph=False)


def in_xla(call: Callable[..., Any]) -> Callable[..., Any]:
    return tf.function(call, autograph=False, jit_compile=True)


any_way = pytest.mark.parametrize("way", [eagerly, in_graph, in_xla])
any_program = pytest.mark.parametrize("way", [in_graph, in_xla])


def normal(shape: tuple[int, ...] = SHAPE, dtype: Any = tf.float32, seed: int = 0) -> Any:
    return tf.cast(np.random.default_rng(seed).normal(size=shape), dtype)


def seed_words(seed: int) -> Any:
    """A seed as a tensor: low word, high word."""
    return tf.constant(philox_key(seed), tf.int64)


def scales(x: Any, **options: Any) -> np.ndarray[Any, Any]:
    """mask * scale, as the adapter multiplies by it."""
    return np.asarray(drop_block(tf.ones(x.shape, x.dtype), **options))


def with_gradient(**options: Any) -> Any:
    def both(x: Any, dy: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = drop_block(x, **options)
        return y, tape.gradient(y, x, dy)

    return both
