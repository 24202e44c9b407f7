# SPDX-License-Identifier: Apache-2.0
"""Masks from the NumPy reference: for eager calls on the CPU, and for maps whose size a graph does not know.

A mask takes many small operations, and eagerly TensorFlow dispatches each by itself. NumPy takes about a tenth of the
time.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dropblock_core.call import Call
from dropblock_core.mask import dropped_units
from dropblock_core.renorm import counted_factor
from dropblock_tf import program


def is_at_hand(x: Any) -> bool:
    """Whether `x` is where NumPy is: an eager tensor in the CPU's memory."""
    return tf.executing_eagerly() and tf.DeviceSpec.from_string(x.device).device_type == "CPU"


def drop_eagerly(x: Any, call: Call, key: Any, channels_last: bool) -> Any:
    """Lines 5 to 8 for an `x` that :func:`is_at_hand`."""
    bits, scale = _mask(call, _seed(key.numpy()), channels_last)
    shape = x.shape.as_list()
    shape[-1 if channels_last else 1] = call.maps
    return _lines_7_and_8(x, tf.constant(bits), tf.constant(scale), shape)


def drop_unknown_sizes(
    x: Any, keep_prob: Any, key: Any, sample_offset: Any, stream: Any, channels_last: bool, options: dict[str, Any]
) -> Any:
    """Lines 5 to 8 for activations `x` of unknown sizes; `options` are checked when the sizes are known."""

    def mask(shape: Any, keep_prob: Any, key: Any, sample_offset: Any, stream: Any) -> tuple[Any, Any]:
        call = Call.checked(
            _channels_first(shape.tolist(), channels_last),
            np.dtype(np.float32),
            1.0 if np.isnan(keep_prob) else float(np.clip(keep_prob, 0, 1)),
            sample_offset=int(sample_offset),
            stream=int(stream),
            **options,
        )
        return _mask(call, _seed(key), channels_last)

    arguments = tf.shape(x), tf.cast(keep_prob, tf.float64), key, sample_offset, stream
    bits, scale = tf.numpy_function(mask, arguments, [tf.uint8, tf.float64], stateful=False)
    bits.set_shape([None])
    scale.set_shape([None] * x.shape.rank)
    shape = tf.unstack(tf.shape(x))
    if not options["per_channel"]:
        shape[-1 if channels_last else 1] = 1
    return _lines_7_and_8(x, bits, scale, shape)


def _lines_7_and_8(x: Any, bits: Any, scale: Any, shape: Sequence[Any]) -> Any:
    """The mask in `bits` applied; `shape` is the mask's, and `scale` broadcasts to it."""
    scale = tf.cast(scale, tf.float64 if x.dtype == tf.float64 else tf.float32)

    @tf.custom_gradient
    def apply(x: Any) -> Any:
        units = tf.reshape(tf.bitwise.right_shift(bits[:, None], tf.constant(list(range(8)), tf.uint8)) & 1, [-1])
        dropped = tf.reshape(tf.cast(units, tf.bool)[: tf.reduce_prod(shape)], shape)
        y = program.apply(x, dropped, scale, channels_last=False)
        return tf.ensure_shape(y, x.shape), apply

    return apply(x)


def _mask(call: Call, seed: int, channels_last: bool) -> tuple[Any, Any]:
    """The dropped units, a bit each, and line 8's factor, both in the order of the activations."""
    dropped = dropped_units(call.batch(seed))
    scale: Any = call.fixed_scale
    if scale is None:
        scale = counted_factor(dropped, call.renorm, call.count)
    scale = np.reshape(scale, np.shape(scale) or (1,) * dropped.ndim)
    if channels_last:
        dropped, scale = np.moveaxis(dropped, 1, -1), np.moveaxis(scale, 1, -1)
    return np.packbits(dropped, bitorder="little"), scale


def _seed(key: Any) -> int:
    return int(key[0]) | int(key[1]) << 32


def _channels_first(shape: Sequence[Any], channels_last: bool) -> tuple[Any, ...]:
    if not channels_last:
        return tuple(shape)
    samples, *feat, channels = shape
    return (samples, channels, *feat)
