"""Where the masks come from (rule R13): the global generator, one of the user's own, a seed, a stream."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import dropblock_core as core
from dropblock_core.stream import Segments, threshold_word
from dropblock_tf import drop_block
from dropblock_tf.threshold import Threshold
from tests.shared.comparing import SEEDED, SHAPE, assert_equal, assert_is_numpys, numpys
from tests.shared.running import Traces

from .support import any_program, any_way, eagerly, in_graph, normal, seed_words


@any_way
def test_each_call_draws_a_mask_of_its_own(way: Any) -> None:
    x = tf.ones(SHAPE)
    call = way(lambda x: drop_block(x, 0.6, 3))
    masks = {(np.asarray(call(x)) == 0).tobytes() for _ in range(5)}
    assert len(masks) == 5


@any_program
def test_two_calls_in_one_program_draw_masks_of_their_own(way: Any) -> None:
    x = tf.ones(SHAPE)
    one, other = way(lambda x: (drop_block(x, 0.6, 3), drop_block(x, 0.6, 3)))(x)
    assert (np.asarray(one) != np.asarray(other)).any()


# Compiled by XLA, no stateful draw of TensorFlow's heeds it, tf.nn.dropout's neither.
@pytest.mark.parametrize("way", [eagerly, in_graph])
def test_the_global_seed_reproduces_a_run(way: Any) -> None:
    x = tf.ones(SHAPE)

    def run(seed: int) -> list[Any]:
        tf.random.set_seed(seed)
        call = way(lambda x: drop_block(x, 0.6, 3))
        return [np.asarray(call(x)) for _ in range(3)]

    one, again, other = run(1), run(1), run(2)
    for step in range(3):
        assert_equal(again[step], one[step])
        assert (other[step] != one[step]).any()


@any_way
def test_a_generator_reproduces_a_run_and_moves_on(way: Any) -> None:
    x = tf.ones(SHAPE)
    generator = tf.random.Generator.from_seed(7)
    call = way(lambda x: drop_block(x, 0.6, 3, generator=generator))
    runs = []
    for _ in range(2):
        generator.reset_from_seed(7)
        runs.append([np.asarray(call(x)) for _ in range(3)])
    for one, again in zip(*runs, strict=True):
        assert_equal(one, again)
    assert (runs[0][0] != runs[0][1]).any()
    generator.reset_from_seed(8)
    assert (np.asarray(call(x)) != runs[0][0]).any()


def test_a_generator_s_state_can_be_saved() -> None:
    x, generator = tf.ones(SHAPE), tf.random.Generator.from_seed(7)
    drop_block(x, 0.6, 3, generator=generator)
    saved = generator.state.numpy()
    ahead = drop_block(x, 0.6, 3, generator=generator)
    assert_equal(drop_block(x, 0.6, 3, generator=tf.random.Generator.from_state(saved, "philox")), ahead)


def test_a_seed_draws_nothing_from_tensorflow() -> None:
    x = tf.ones(SHAPE)
    tf.random.set_seed(3)
    expected = tf.random.uniform([4])
    tf.random.set_seed(3)
    drop_block(x, **SEEDED)
    drop_block(x, 0.6, 3, seed=seed_words(4))
    assert_equal(tf.random.uniform([4]), expected)


@any_program
def test_a_seed_may_be_two_words_that_the_program_is_given(way: Any) -> None:
    counted = Traces(lambda x, seed: drop_block(x, 0.6, 3, seed=seed))
    call, x = way(counted), normal()
    for seed in (0, 4, 2**32, 2**64 - 1):
        assert_is_numpys(call(x, seed_words(seed)), numpys(x, 0.6, 3, seed=seed))
    assert counted.count == 1


def test_a_seed_may_be_a_variable_that_the_step_moves() -> None:
    seed, x = tf.Variable([4, 0], dtype=tf.int64), normal()

    @in_graph
    def step(x: Any) -> Any:
        y = drop_block(x, 0.6, 3, seed=seed)
        seed.assign_add([1, 0])
        return y

    for number in range(4, 7):
        assert_is_numpys(step(x), numpys(x, 0.6, 3, seed=number))


def test_streams_tell_layers_apart() -> None:
    x = tf.ones(SHAPE)
    masks = {(np.asarray(drop_block(x, **SEEDED, stream=stream)) == 0).tobytes() for stream in range(5)}
    assert len(masks) == 5


@any_program
def test_r13_shards_of_a_batch_have_the_masks_of_the_whole(way: Any) -> None:
    x = normal((6, 8, 9, 3))
    whole = numpys(x, **SEEDED, renorm="sample")
    call = way(lambda x, first: drop_block(x, **SEEDED, renorm="sample", sample_offset=first))
    shards = [call(x[first : first + 2], tf.constant(first)) for first in (0, 2, 4)]
    assert_is_numpys(tf.concat(shards, 0), whole)


@pytest.mark.parametrize("way", [{}, {"jit_compile": True}], ids=["graph", "xla"])
def test_r13_compilers_do_not_reorder_eq_1(way: dict[str, bool]) -> None:
    segments, keep_prob, scale = Segments.of((67,), (5,)), 0.9999993888195604, 0.3  # within an ulp of a rounding half
    program = tf.function(lambda k: Threshold.symbolic(k, segments, scale).table[0], **way)
    t = threshold_word(core.gamma(keep_prob, 5, (67,), gamma_scale=scale))
    assert int(program(tf.constant(keep_prob, tf.float64))) == 2**32 - t
