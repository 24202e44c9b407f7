"""What becomes of the values (rules R1, R7, R9, R10 and R14): eagerly, in a graph and compiled by XLA."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dropblock_tf import drop_block
from tests.shared.comparing import RENORMS, SEEDED, SHAPE, assert_equal
from tests.shared.grid import grid

from .support import any_program, any_way, eagerly, in_graph, in_xla, normal


@any_way
def test_r07_a_dropped_unit_is_plus_zero_whatever_it_held(way: Any) -> None:
    call = way(lambda x: drop_block(x, **SEEDED))
    dropped = np.asarray(call(tf.ones(SHAPE))) == 0
    assert 0 < dropped.sum() < dropped.size
    for held in (np.nan, np.inf, -np.inf, -1.0, -0.0):
        y = np.asarray(call(tf.constant(np.where(dropped, held, 1.0), tf.float32)))
        assert (y[dropped] == 0).all()
        assert not np.signbit(y[dropped]).any()
        assert (y[~dropped] > 1).all()
    np.testing.assert_array_equal(np.isnan(call(tf.fill(SHAPE, np.nan))), ~dropped)


@grid(way=[in_graph, eagerly, in_xla], renorm=["tensor", "map", "expected"])
def test_r10_nothing_kept_gives_zeros_and_a_gradient_of_zeros(way: Any, renorm: str) -> None:
    def both(x: Any, dy: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = drop_block(x, 0.0, 9, seed=0, renorm=renorm)  # one anchor and gamma 1
        return y, tape.gradient(y, x, dy)

    call = way(both)
    for held in (1.0, -np.inf, np.nan):
        for zeros in call(tf.fill(SHAPE, np.float32(held)), tf.fill(SHAPE, np.float32(-held))):
            assert_equal(zeros, np.zeros(SHAPE, np.float32))


def test_r10_a_map_that_keeps_nothing_leaves_the_others_alone() -> None:
    y = np.asarray(drop_block(tf.ones((4, 6, 6, 5)), 0.5, 6, seed=1, renorm="map"))
    alive = y.any(axis=(1, 2), keepdims=True)
    assert 0 < alive.sum() < alive.size
    assert_equal(y, np.broadcast_to(alive, y.shape).astype(np.float32))


@any_way
def test_r09_the_scale_does_not_overflow_in_half_precision(way: Any) -> None:
    x = tf.ones((2, 70, 70, 8), tf.float16)  # 78,400 units: the count itself is beyond float16
    y = np.asarray(way(lambda x: drop_block(x, 0.9, 7, seed=0))(x))
    kept = np.count_nonzero(y)
    assert kept >= 65_520
    assert y.max() == np.float16(np.float32(y.size / kept))


@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (2, 4, 4, 0), (0, 4, 0)])
def test_r14_empty_batches_and_zero_channels_pass_through(shape: tuple[int, ...]) -> None:
    x = tf.ones(shape)
    for renorm in RENORMS:
        for per_channel in (True, False):
            assert drop_block(x, 0.5, 3, seed=1, renorm=renorm, per_channel=per_channel) is x


@any_program
def test_r14_an_empty_batch_passes_through_a_program_that_does_not_know_it(way: Any) -> None:
    @way
    def gradient(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = drop_block(x, 0.5, 3, seed=1)
        return y, tape.gradient(y, x)

    call = gradient.get_concrete_function(tf.TensorSpec([None, 4, 4, 3]))
    for result in call(tf.ones([0, 4, 4, 3])):
        assert result.shape == (0, 4, 4, 3)


def test_r01_inference_and_keep_prob_1_return_x_itself() -> None:
    x = normal()
    generator = tf.random.Generator.from_seed(1)
    before = generator.state.numpy()

    def returned() -> list[Any]:
        return [
            drop_block(x, 0.5, training=False),
            drop_block(x, 0.5, training=False, generator=generator),
            drop_block(x, 1.0, generator=generator),
            drop_block(x, 1, seed=4),
            drop_block(x, np.float32(1), seed=4),
            drop_block(x, 1.0, renorm="expected"),
        ]

    for y in [*returned(), drop_block(x, tf.constant(1.0), seed=4), drop_block(x, tf.Variable(1.0), seed=4)]:
        assert y is x
    np.testing.assert_array_equal(generator.state.numpy(), before)

    @tf.function(autograph=False)
    def inside(x: Any) -> Any:
        assert drop_block(x, 0.5, training=False) is x
        assert drop_block(x, 1.0, seed=4) is x
        assert drop_block(x, tf.constant(0.5), training=False) is x
        return x

    inside(x)
