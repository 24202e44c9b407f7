"""A keep_prob without a value (rules R12 and R13): one trace for a whole schedule, and the integers of the host."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import dropblock_core as core
from dropblock_core.stream import Segments, threshold_word, thresholds
from dropblock_tf import LinearSchedule, drop_block
from dropblock_tf.threshold import Threshold
from tests.shared.comparing import assert_equal, assert_is_numpys, numpys
from tests.shared.grid import grid
from tests.shared.running import Traces

from .support import eagerly, in_graph, in_xla, normal

VALUES = [0.0, 1e-9, 0.1, 0.37, 0.5, 0.9, 0.95, 1 - 2.0**-20, 1 - 2.0**-33, 1.0]


@cache
def by_keep_prob(way: Callable[..., Any], renorm: str) -> Any:
    """The program of several tests: XLA takes seconds to compile what makes the integers of a keep_prob."""
    return way(lambda x, keep_prob: drop_block(x, keep_prob, 3, seed=4, renorm=renorm))


@grid(way=[in_graph, in_xla], renorm=["tensor", "map"])
def test_r13_a_keep_prob_without_a_value_gives_numpys_mask(way: Any, renorm: str) -> None:
    x = normal()
    for keep_prob in VALUES:
        y = by_keep_prob(way, renorm)(x, tf.constant(keep_prob, tf.float64))
        assert_is_numpys(y, np.asarray(numpys(x, keep_prob, 3, seed=4, renorm=renorm)))


@grid(way=[in_graph, in_xla, eagerly], geometry=[((14, 14), (7, 7)), ((8, 9), (3, 3)), ((3, 4, 5), (2, 2, 2))])
def test_r13_a_keep_prob_without_a_value_gives_the_hosts_integers(way: Any, geometry: Any) -> None:
    feat, block = geometry
    segments = Segments.of(feat, block)
    call = way(lambda keep_prob: Threshold.symbolic(keep_prob, segments, 1.0))
    ratio = core.gamma(0.0, block, feat)  # may be capped at 1: it only places the values
    halves = [1 - (n + 0.5) / 2**32 / ratio for n in (1, 2, 7, 1000, 12345678)]  # gammas about half-way between two t
    drawn = np.random.default_rng(0).random(10).tolist()
    for keep_prob in [*VALUES, *halves, *np.nextafter(halves, 0), *np.nextafter(halves, 1), *drawn]:
        gamma = core.gamma(float(keep_prob), block, feat)
        got = call(tf.constant(keep_prob, tf.float64))
        assert bool(got.draws) == (gamma > 0)
        if gamma > 0:
            assert got.table.numpy().tolist() == thresholds(threshold_word(gamma), 32)


@pytest.mark.parametrize("way", [in_graph, pytest.param(in_xla, marks=pytest.mark.exhaustive)])
def test_one_trace_serves_a_whole_schedule(way: Any) -> None:
    schedule = LinearSchedule(keep_prob=0.5, steps=19)
    keep_prob = tf.Variable(1.0, dtype=tf.float64)
    counted = Traces(lambda x: drop_block(x, keep_prob, 3, seed=4))
    call, x = way(counted), normal()
    for step in range(20):
        keep_prob.assign(schedule(step))
        assert_is_numpys(call(x), np.asarray(numpys(x, schedule(step), 3, seed=4)))
    assert counted.count == 1


def test_a_schedule_may_be_computed_in_the_graph() -> None:
    counted = Traces(lambda x, step: drop_block(x, 1.0 - tf.cast(step, tf.float64) / 8 * 0.5, 3, seed=4))
    call, x = in_graph(counted), normal()
    for step in range(9):
        assert_is_numpys(call(x, tf.constant(step)), np.asarray(numpys(x, 1 - step / 8 * 0.5, 3, seed=4)))
    assert counted.count == 1


@pytest.mark.parametrize("way", [in_graph, pytest.param(in_xla, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_a_keep_prob_of_any_floating_dtype_is_the_number_it_holds(way: Any, dtype: Any) -> None:
    x, keep_prob = normal(), tf.constant(0.7, dtype)
    y = way(lambda x, keep_prob: drop_block(x, keep_prob, 3, seed=4))(x, keep_prob)
    assert_is_numpys(y, numpys(x, float(keep_prob.numpy()), 3, seed=4))


@grid(way=[in_graph, in_xla], renorm=["tensor", "expected"])
def test_r14_a_keep_prob_without_a_value_is_clamped_and_nan_drops_nothing(way: Any, renorm: str) -> None:
    x, call = normal(), by_keep_prob(way, renorm)
    for keep_prob, clamped in ((1.5, 1.0), (np.inf, 1.0), (-0.5, 0.0), (-np.inf, 0.0)):
        y = call(x, tf.constant(keep_prob, tf.float64))
        assert_is_numpys(y, np.asarray(numpys(x, clamped, 3, seed=4, renorm=renorm)))
    assert_equal(call(x, tf.constant(np.nan, tf.float64)), x)


def test_r14_maps_of_unknown_size_clamp_as_well() -> None:
    x = normal()
    call = in_graph(lambda x, keep_prob: drop_block(x, keep_prob, 3, seed=4)).get_concrete_function(
        tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([], tf.float64)
    )
    for keep_prob, clamped in ((1.5, 1.0), (-0.5, 0.0), (0.6, 0.6), (np.nan, 1.0)):
        y = call(x, tf.constant(keep_prob, tf.float64))
        assert_is_numpys(y, np.asarray(numpys(x, clamped, 3, seed=4)))
