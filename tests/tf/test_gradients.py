"""The gradient is the mask times the scale (rule R7), at any order; and what is kept for it."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dropblock_core.stream import Segments
from dropblock_tf import drop_block
from dropblock_tf.program import MaskSpec, _bytes
from tests.shared.comparing import DATA_FORMATS, SEEDED, SHAPE, assert_equal
from tests.shared.grid import grid

from .support import eagerly, in_graph, in_xla, normal, scales, with_gradient

# For the backward pass the seeds of the first are kept, those of the second drawn again, of the others the rows kept.
BLOCKS = {
    "seeds": ((2, 14, 14, 3), {"keep_prob": 0.6, "block_size": 3, "seed": 4}),
    "again": ((2, 14, 14, 3), {"keep_prob": 0.6, "block_size": 1, "seed": 4}),
    "rows of a byte": ((2, 14, 8, 3), {"keep_prob": 0.6, "block_size": 3, "seed": 4}),
    "rows of bytes": ((2, 5, 40, 3), {"keep_prob": 0.6, "block_size": 3, "seed": 4}),
    "rows of a word": ((2, 5, 6, 32, 3), {"keep_prob": 0.6, "block_size": 3, "seed": 4}),
}


def test_seeds_are_kept_where_they_take_at_most_a_bit_a_unit() -> None:
    def keeps(feat: tuple[int, ...], block: tuple[int, ...]) -> bool:
        return Segments.of(feat, block).seeds_fit

    for feat, block in [((14, 14), (7, 7)), ((14, 14), (3, 3)), ((8, 9), (3, 3)), ((64,), (33,)), ((3, 70), (1, 39))]:
        segments = Segments.of(feat, block)
        assert keeps(feat, block) == (32 * segments.per_map <= np.prod(feat))
    assert keeps((14, 14), (7, 7))  # 64 anchors, in two words, for 196 units
    assert keeps((14, 14), (3, 3))
    assert not keeps((14, 14), (1, 1))  # two rows of 14 to a word: seven words
    assert not keeps((4, 4), (2, 2))  # one word for 16 units
    assert keeps((32,), (1,))
    assert not keeps((33,), (1,))


def test_rows_are_kept_where_whole_bytes_of_them_take_a_bit_a_unit() -> None:
    for width in range(1, 73):
        spec = MaskSpec(Segments.of((3, width), (3, 1)), 1, "tensor", True, False)
        assert spec.keeps_rows == (width % 8 == 0)
        if spec.keeps_rows:
            kept = _bytes(tf.zeros([2, 1, 3, -(-width // 32)], f"uint{spec.segments.row_bits}"), spec)
            assert 8 * kept.dtype.size * np.prod(kept.shape) == 2 * 3 * width


# XLA meets one case in this test and another in each of the two further down.
@grid(way=[in_graph, eagerly, in_xla], case=BLOCKS, renorm=["tensor", "map"])
def test_the_gradient_is_mask_times_scale_exactly(way: Any, renorm: str, case: str) -> None:
    geometry, options = BLOCKS[case]
    options = options | {"renorm": renorm}
    x, dy = normal(geometry), normal(geometry, seed=1)
    y, dx = way(with_gradient(**options))(x, dy)
    factor = scales(x, **options)
    assert 0 < np.count_nonzero(factor) < factor.size
    np.testing.assert_array_equal(dx, np.where(factor == 0, 0, dy * factor))
    np.testing.assert_array_equal(y, np.where(factor == 0, 0, x * factor))
    assert not np.signbit(np.asarray(dx)[factor == 0]).any()


@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("per_channel", [True, False])
def test_the_gradient_knows_the_order_of_axes_and_shared_masks(data_format: str, per_channel: bool) -> None:
    options = {**SEEDED, "data_format": data_format, "per_channel": per_channel, "renorm": "map"}
    x, dy = normal((2, 9, 8, 7)), normal((2, 9, 8, 7), seed=1)
    _, dx = with_gradient(**options)(x, dy)
    factor = scales(x, **options)
    np.testing.assert_array_equal(dx, np.where(factor == 0, 0, dy * factor))


@grid(way=[in_graph, eagerly, in_xla], case=sorted(BLOCKS, key="rows of bytes".__ne__))
def test_second_derivatives(way: Any, case: str) -> None:
    geometry, options = BLOCKS[case]
    x = normal(geometry)

    def twice(x: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(drop_block(x, **options) ** 3)
            first = inner.gradient(loss, x)
        return first, outer.gradient(first, x)

    first, second = way(twice)(x)
    factor = scales(x, **options).astype(float)
    np.testing.assert_allclose(first, 3 * factor**3 * np.asarray(x) ** 2, rtol=1e-6)
    np.testing.assert_allclose(second, 6 * factor**3 * np.asarray(x), rtol=1e-6)


def test_gradients_of_maps_of_unknown_size() -> None:
    x, dy = normal(), normal(seed=1)
    spec = tf.TensorSpec([None, None, None, 3])

    def twice(x: Any, dy: Any) -> Any:
        with tf.GradientTape() as outer:
            outer.watch([x, dy])
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = drop_block(x, **SEEDED)
            dx = inner.gradient(y, x, dy)
        return dx, outer.gradient(dx, dy)

    dx, ddy = in_graph(twice).get_concrete_function(spec, spec)(x, dy)
    factor = scales(x, **SEEDED)
    np.testing.assert_array_equal(dx, np.where(factor == 0, 0, dy * factor))
    np.testing.assert_array_equal(ddy, factor)


@grid(way=[in_graph, in_xla], case=sorted(BLOCKS, key="again".__ne__))
def test_without_a_seed_the_gradient_has_the_mask_of_its_own_call(way: Any, case: str) -> None:
    geometry, options = BLOCKS[case]
    both = way(with_gradient(**(options | {"seed": None})))
    x = tf.ones(geometry)
    for _ in range(3):
        assert_equal(*both(x, x))


@grid(way=[in_graph, eagerly, in_xla], dtype=[tf.bfloat16, tf.float16])
def test_mixed_precision_gives_the_dtype_of_the_input_and_rounds_once(way: Any, dtype: Any) -> None:
    x, dy = normal(dtype=dtype), normal(dtype=dtype, seed=1)
    y, dx = way(with_gradient(**SEEDED))(x, dy)
    assert y.dtype == dx.dtype == dtype
    factor = scales(normal(), **SEEDED)  # float32
    for got, by in ((y, x), (dx, dy)):
        exact = np.where(factor == 0, 0, np.asarray(by).astype(np.float32) * factor)
        assert_equal(got, exact.astype(dtype.as_numpy_dtype))


def test_gradients_flow_through_a_layer_below() -> None:
    weights, images = tf.Variable(normal((3, 3, 2, 3))), normal((2, 8, 9, 2))

    @in_graph
    def gradient() -> Any:
        with tf.GradientTape() as tape:
            y = drop_block(tf.nn.conv2d(images, weights, 1, "SAME"), **SEEDED)
            loss = tf.reduce_sum(y)
        return tape.gradient(loss, weights)

    factor = tf.constant(scales(tf.ones(SHAPE), **SEEDED))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.nn.conv2d(images, weights, 1, "SAME") * factor)
    np.testing.assert_allclose(gradient(), tape.gradient(loss, weights), rtol=1e-5, atol=1e-5)


@grid(way=[in_graph, eagerly, in_xla], renorm=["tensor", "expected"])
def test_a_variable_as_keep_prob_has_no_gradient_and_hinders_none(way: Any, renorm: str) -> None:
    weights, keep_prob = tf.Variable(normal((1, 1, 3, 3))), tf.Variable(0.6, dtype=tf.float64)

    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            y = drop_block(tf.nn.conv2d(x, weights, 1, "SAME"), keep_prob, 3, seed=4, renorm=renorm)
            loss = tf.reduce_sum(y)
        first, none = tape.gradient(loss, [weights, keep_prob])
        assert none is None
        return first

    factor = tf.constant(scales(tf.ones(SHAPE), **SEEDED, renorm=renorm))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.nn.conv2d(normal(), weights, 1, "SAME") * factor)
    np.testing.assert_allclose(way(step)(normal()), tape.gradient(loss, weights), rtol=1e-4, atol=1e-4)


def test_forward_mode_and_whole_jacobians() -> None:
    x, dx = normal((1, 4, 4, 1)), normal((1, 4, 4, 1), seed=1)
    options = {"keep_prob": 0.6, "block_size": 2, "seed": 4}
    factor = scales(x, **options)
    with tf.autodiff.ForwardAccumulator(x, dx) as accumulator:
        y = drop_block(x, **options)
    np.testing.assert_array_equal(accumulator.jvp(y), np.where(factor == 0, 0, dx * factor))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = drop_block(x, **options)
    np.testing.assert_array_equal(np.reshape(tape.jacobian(y, x), (16, 16)), np.diag(factor.ravel()))
