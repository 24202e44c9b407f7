"""tf.recompute_grad runs a function again in the backward pass: it meets the same mask, or is refused (rule R13)."""

from typing import Any

import pytest
import tensorflow as tf

from dropblock_tf import drop_block
from tests.shared.comparing import SHAPE, assert_equal

from .support import any_way, eagerly, in_graph

SAYS = r"seed=None inside tf\.recompute_grad.* draw the seed outside.* pass seed=, with a stream= for each call"


def recomputed(function: Any, *others: Any) -> Any:
    """`function` of ones and `others` under tf.recompute_grad, and its gradient by the ones."""

    def both() -> Any:
        x = tf.ones(SHAPE)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.recompute_grad(function)(x, *others)
        return y, tape.gradient(y, x)

    return both


@any_way
@pytest.mark.parametrize("block_size", [3, 1])  # the backward pass of the second draws from the seed again
def test_r13_a_seed_from_outside_gives_both_passes_one_mask(way: Any, block_size: int) -> None:
    def two_layers(x: Any, seed: Any) -> Any:
        return drop_block(drop_block(x, 0.8, block_size, seed=seed), 0.8, block_size, seed=seed, stream=1)

    seed = tf.random.uniform([2], maxval=2**32, dtype=tf.int64, seed=1)
    y, dx = way(recomputed(two_layers, seed))()
    assert 0 < tf.reduce_sum(tf.cast(y == 0, tf.int32)) < tf.size(y)
    assert_equal(dx, y)  # of ones: the mask times the scale


@any_way
@pytest.mark.parametrize("own", [True, False])
def test_r13_a_mask_without_a_seed_is_refused_before_anything_is_drawn(way: Any, own: bool) -> None:
    generator = tf.random.Generator.from_seed(7)
    before = generator.state.numpy()
    with pytest.raises(ValueError, match=SAYS):
        way(recomputed(lambda x: drop_block(x, 0.6, 3, generator=generator if own else None)))()
    assert_equal(generator.state.numpy(), before)


def test_r13_a_program_first_called_in_the_recomputed_function_is_refused() -> None:
    with pytest.raises(ValueError, match=SAYS):
        recomputed(in_graph(lambda x: drop_block(x, 0.6, 3)))()


@pytest.mark.parametrize("way", [eagerly, in_graph])
def test_r01_where_nothing_is_drawn_nothing_is_refused(way: Any) -> None:
    for arguments in ({"training": False}, {"keep_prob": 1.0}):
        y, dx = way(recomputed(lambda x, a=arguments: drop_block(x, **a)))()
        assert_equal(y, tf.ones(SHAPE))
        assert_equal(dx, tf.ones(SHAPE))


def test_other_gradients_of_the_users_own_draw_as_ever() -> None:
    @tf.custom_gradient
    def straight(x: Any) -> Any:
        return drop_block(x, 0.6, 3), lambda dy: dy

    assert tf.reduce_any(straight(tf.ones(SHAPE)) == 0)
