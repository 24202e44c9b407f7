# SPDX-License-Identifier: Apache-2.0
"""The part of the array API that `dropblock_core.words` uses, over TensorFlow: the word algebra runs here unchanged.

Words are int64, which every device and every kernel has; many kernels lack uint32.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

int64 = tf.int64


class Array:
    """A tensor with the operators that its own class lacks, and a shape whose unknown sizes are scalars."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor

    @property
    def shape(self) -> tuple[Any, ...]:
        sizes = self.tensor.shape.as_list()
        if None not in sizes:
            return tuple(sizes)
        dynamic = tf.shape(self.tensor)
        return tuple(dynamic[axis] if size is None else size for axis, size in enumerate(sizes))

    @property
    def ndim(self) -> int:
        return int(self.tensor.shape.rank)

    def __getitem__(self, index: Any) -> "Array":
        return Array(self.tensor[index])

    def __add__(self, other: Any) -> "Array":
        return Array(self.tensor + raw(other, self))

    def __sub__(self, other: Any) -> "Array":
        return Array(self.tensor - raw(other, self))

    def __mul__(self, other: Any) -> "Array":
        return Array(self.tensor * raw(other, self))

    def __and__(self, other: Any) -> "Array":
        return Array(self.tensor & raw(other, self))

    def __or__(self, other: Any) -> "Array":
        return Array(self.tensor | raw(other, self))

    def __xor__(self, other: Any) -> "Array":
        return Array(self.tensor ^ raw(other, self))

    def __lshift__(self, other: Any) -> "Array":
        return Array(tf.bitwise.left_shift(self.tensor, raw(other, self)))

    def __rshift__(self, other: Any) -> "Array":
        return Array(tf.bitwise.right_shift(self.tensor, raw(other, self)))

    def __lt__(self, other: Any) -> "Array":
        return Array(self.tensor < raw(other, self))


def raw(x: Any, like: Array) -> Any:
    """The tensor of an Array, or a number as one of the dtype of `like`."""
    return x.tensor if isinstance(x, Array) else tf.constant(x, like.tensor.dtype)


def asarray(x: Any, *, dtype: Any, device: None = None) -> Array:
    return Array(tf.cast(x.tensor, dtype) if isinstance(x, Array) else tf.convert_to_tensor(x, dtype))


def arange(stop: Any, *, dtype: Any, device: None = None) -> Array:
    return Array(tf.range(tf.cast(stop, dtype), dtype=dtype))


def zeros(shape: Sequence[Any], *, dtype: Any, device: None = None) -> Array:
    return Array(tf.zeros(shape, dtype))


def astype(x: Array, dtype: Any) -> Array:
    return Array(tf.cast(x.tensor, dtype))


def broadcast_to(x: Array, shape: Sequence[Any]) -> Array:
    return Array(tf.broadcast_to(x.tensor, shape))


def reshape(x: Array, shape: Sequence[Any]) -> Array:
    return Array(tf.reshape(x.tensor, shape))


def permute_dims(x: Array, axes: Sequence[int]) -> Array:
    return Array(tf.transpose(x.tensor, axes))


def stack(arrays: Sequence[Array], axis: int = 0) -> Array:
    return Array(tf.stack([x.tensor for x in arrays], axis))


def concat(arrays: Sequence[Array], axis: int = 0) -> Array:
    return Array(tf.concat([x.tensor for x in arrays], axis))


def any(x: Array) -> Array:
    return Array(tf.reduce_any(x.tensor))
