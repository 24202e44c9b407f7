# SPDX-License-Identifier: Apache-2.0
"""Lines 5 to 8 of Algorithm 1 in TensorFlow's operations: eagerly, in a graph, and compiled by XLA."""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from dropblock_core import words
from dropblock_core.renorm import scope_axes, scope_units
from dropblock_core.stream import Segments
from dropblock_tf import namespace
from dropblock_tf.namespace import Array
from dropblock_tf.threshold import Threshold
from dropblock_tf.words import words_here


@dataclass(frozen=True)
class MaskSpec:
    """What :func:`drop` has to know about a mask, besides tensors."""

    segments: Segments
    maps: int
    renorm: str
    channels_last: bool
    across_replicas: bool

    @property
    def keeps_rows(self) -> bool:
        """Whether the rows are kept for the backward pass: if they fill whole bytes, they take one bit a unit."""
        return self.segments.feat[-1] % 8 == 0


def drop(x: Any, key: Any, numbers: Any, threshold: Threshold, stream: Any, spec: MaskSpec) -> Any:
    """Lines 5 to 8; `key` is int64 ``[2]``, `numbers` those of the samples, int64 ``[samples]``."""

    def seeds() -> Any:
        table = Array(threshold.table[: spec.segments.length])
        lanes = Array(key[0]), Array(key[1])
        drawn = words.drawn_words(
            words_here(), lanes, Array(numbers), spec.maps, spec.segments, table, Array(stream)
        ).tensor
        return tf.cast(tf.where(threshold.draws, drawn, 0), tf.uint32)  # line 5

    drawn = seeds()
    rows = _grown(drawn, spec)  # line 6
    scale = _scale(rows, threshold, tf.float64 if x.dtype == tf.float64 else tf.float32, spec)

    # What the backward pass is given: rows, else seeds, else nothing, and then it draws the seeds again.
    kept = _bytes(rows, spec) if spec.keeps_rows else drawn if spec.segments.seeds_fit else None

    @tf.custom_gradient
    def lines_7_and_8(x: Any) -> Any:
        return apply(x, _units(rows, spec), scale, spec.channels_last), again

    @tf.custom_gradient
    def again(dy: Any) -> Any:
        rows = kept if spec.keeps_rows else _grown(seeds() if kept is None else kept, spec)
        return apply(dy, _units(rows, spec), scale, spec.channels_last), again

    return lines_7_and_8(x)


def count_kept(x: Any, spec: MaskSpec) -> None:
    """Have the units of `x`, all kept, counted by the other replicas, which wait for this one."""
    _over_replicas(tf.zeros([], tf.int64), _count(x, spec))


def _count(x: Any, spec: MaskSpec) -> Any:
    """count(M) of line 8 over its scope, for samples along the first axis of `x`; int64."""
    samples = tf.cast(tf.shape(x)[0], tf.int64)
    return tf.cast(scope_units(spec.renorm, (samples, spec.maps, *spec.segments.feat)), tf.int64)


def _over_replicas(*numbers: Any) -> Any:
    """Each of `numbers` summed over the replicas, as scalars: all of them must send the same shapes."""
    scalars = [tf.reshape(number, []) for number in numbers]
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, scalars)


def _grown(seeds: Any, spec: MaskSpec) -> Any:
    """The dropped units, a bit each, in words along each row: ``[samples, maps, ...]``, or maps last."""

    space = words_here(tf.as_dtype(f"uint{spec.segments.row_bits}"))

    def grow() -> Array:
        anchors = words.anchor_words(words_here(), Array(tf.cast(seeds, tf.int64)), spec.segments)
        return words.grow(space, namespace.astype(anchors, space.dtype), spec.segments)

    *outer, width = spec.segments.feat
    empty = tf.zeros([tf.shape(seeds)[0], spec.maps, *outer, -(-width // 32)], space.dtype)
    return space.grown(grow, Array(empty), tf.reduce_any(seeds != 0)).tensor


def _bytes(rows: Any, spec: MaskSpec) -> Any:
    """Rows of a multiple of 8 units as bytes, without the padding of their last word."""
    if rows.dtype == tf.uint8:
        return rows
    *outer, width = spec.segments.feat
    in_bytes = tf.bitcast(rows, tf.uint8)  # every device is little-endian: the first byte holds the first 8 units
    return tf.reshape(in_bytes, [-1, spec.maps, *outer, rows.shape[-1] * rows.dtype.size])[..., : width // 8]


def _scale(rows: Any, threshold: Threshold, wide: Any, spec: MaskSpec) -> Any:
    """Line 8's factor over the scope of rule R8, to broadcast against ``[samples, channels, *spatial]``."""
    if spec.renorm == "none":
        return tf.ones([], wide)
    if spec.renorm == "expected":
        return tf.cast(threshold.factor, wide)
    bits = tf.cast(tf.raw_ops.PopulationCount(x=rows), tf.int64)
    dropped = tf.reduce_sum(bits, scope_axes(spec.renorm, rows.shape.rank), keepdims=True)
    count = _count(rows, spec)
    if spec.across_replicas:
        dropped, count = _over_replicas(dropped, count)
    ones = tf.cast(count - dropped, tf.float64)
    scale = tf.cast(tf.where(ones > 0, tf.cast(count, tf.float64) / tf.maximum(ones, 1.0), 0.0), wide)
    return tf.reshape(scale, []) if spec.renorm == "tensor" else scale


def _units(rows: Any, spec: MaskSpec) -> Any:
    """One bool a unit, ``[samples, maps, *feat]``, or maps last."""
    *outer, width = spec.segments.feat
    bits = tf.constant([1 << bit for bit in range(min(width, 8 * rows.dtype.size))], rows.dtype)
    if spec.channels_last:
        rows, bits = tf.transpose(rows, [0, *range(2, rows.shape.rank), 1])[..., None, :], bits[:, None]
        units = tf.reshape(rows & bits != 0, [-1, *outer, rows.shape[-3] * bits.shape[0], spec.maps])
        return units[..., :width, :]
    units = tf.reshape(rows[..., None] & bits != 0, [-1, spec.maps, *outer, rows.shape[-1] * bits.shape[0]])
    return units[..., :width]


def apply(x: Any, dropped: Any, scale: Any, channels_last: bool) -> Any:
    """Lines 7 and 8: every unit scaled in the wide type and rounded once, every dropped one +0."""
    if channels_last and scale.shape.rank:
        scale = tf.experimental.numpy.moveaxis(scale, 1, -1)
    y = tf.cast(tf.cast(x, scale.dtype) * scale, x.dtype)
    return tf.where(dropped, tf.zeros([], x.dtype), y)  # selecting, as 0 * NaN is not 0
