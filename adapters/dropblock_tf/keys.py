# SPDX-License-Identifier: Apache-2.0
"""Where the 64 bits of a mask come from: a number, a tensor, or TensorFlow's own generators."""

from typing import Any

import tensorflow as tf

from dropblock_core import callers, validate
from dropblock_core.stream import MASK32, philox_key

# The functions inside tf.recompute_grad that call the user's.
RECOMPUTING = "tensorflow.python.ops.custom_gradient.recompute_grad."


def words_of(seed: Any, generator: Any) -> Any:
    """The two words of Philox's key, int64 ``[2]``."""
    if generator is not None:
        return tf.cast(generator.uniform_full_int([2], tf.uint32), tf.int64)
    if seed is None:
        # As tf.nn.dropout draws: tf.random.set_seed holds, and a program draws anew at each call.
        return tf.random.uniform([2], maxval=2**32, dtype=tf.int64)
    if tf.is_tensor(seed) and seed.shape.rank:
        return tf.cast(seed, tf.int64) & MASK32
    return tf.constant(philox_key(validate.seed_word(seed)), tf.int64)


def not_recomputed(seed: Any) -> None:
    """ValueError where the bits would be drawn again for the backward pass, and be others."""
    if seed is None and callers.innermost(RECOMPUTING):
        raise ValueError(
            "seed=None inside tf.recompute_grad (or keras.remat, which calls it): the backward pass would draw another "
            "mask, and the gradients would be wrong; draw the seed outside, as in "
            "tf.random.uniform([2], maxval=2**32, dtype=tf.int64), hand it to the function as an argument, and pass "
            "seed=, with a stream= for each call"
        )


def check(seed: Any, generator: Any) -> None:
    """Refuse what `words_of` could not take, before anything is drawn."""
    validate.one_source(seed=seed, generator=generator)
    if generator is not None and not isinstance(generator, tf.random.Generator):
        raise TypeError(
            f"{validate.shown('generator', generator)} is a {type(generator).__name__}: pass a tf.random.Generator"
        )
    if not tf.is_tensor(seed):
        if seed is not None:
            validate.seed_word(seed)
    elif seed.shape.as_list() != [2] or seed.dtype not in (tf.int32, tf.uint32, tf.int64):
        raise TypeError(
            f"seed is a tensor of shape {seed.shape} and dtype {seed.dtype.name}: as a tensor, a seed is two words of "
            "32 bits, the low one and the high one, in int32, uint32 or int64"
        )
