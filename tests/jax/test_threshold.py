"""From keep_prob to integers: a Threshold of the host has NumPy's bits, a traced keep_prob has the law (rule R13)."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import Array

from dropblock_core import expected_keep, gamma
from dropblock_core.stream import Segments, threshold_word, thresholds
from dropblock_jax import LinearSchedule, Threshold, drop_block
from tests.shared.comparing import SEEDED, SHAPE, assert_equal, assert_is_numpys, numpys
from tests.shared.golden import golden_params
from tests.shared.grid import grid

from .support import normal, traced

FEAT, BLOCK = (8, 9), (3, 3)
SEGMENTS = Segments.of(FEAT, BLOCK)
# Maps and blocks; with a scale above 1, the gamma of a block of one unit passes 1.
GEOMETRIES = [(FEAT, BLOCK), ((14, 14), (7, 7)), ((64, 64), (16, 16)), ((33,), (1,)), ((5, 6, 7), (2, 3, 3))]
SCALES = [1.0, 0.25, 2.5]


@cache
def in_program(number: int, scale: float = 1.0) -> Callable[[Array], tuple[Array, Array, Array]]:
    """From an array of keep_probs to the first of each table, whether there are draws, and the factor."""
    feat, block = GEOMETRIES[number]
    segments = Segments.of(feat, block)

    def of(keep_prob: Array) -> tuple[Array, Array, Array]:
        table, draws, factor = Threshold.traced(keep_prob, segments, scale)
        return table[0], draws, factor

    return jax.jit(jax.vmap(of))


@cache
def by_keep_prob() -> Callable[[Array, Array], Array]:
    return jax.jit(lambda x, keep_prob: drop_block(x, keep_prob, 3, seed=4))


# --- the operand that the host makes --------------------------------------------------------------------------------


@pytest.mark.parametrize("golden", golden_params("thresholds.json"))
def test_r13_the_table_is_the_golden_one(golden: dict[str, Any]) -> None:
    t = Threshold.of_gamma(float.fromhex(golden["gamma"]), SEGMENTS)
    assert np.asarray(t.table).tolist()[: len(golden["T"])] == golden["T"]
    assert t.draws


@pytest.mark.parametrize("options", [{}, {"calibrated": True}, {"gamma_scale": 0.25}], ids=str)
def test_r13_of_computes_what_the_call_itself_would(options: dict[str, Any]) -> None:
    for feat, block in GEOMETRIES:
        g = gamma(0.3, block, feat, **options)
        t = Threshold.of(0.3, block, feat, **options)
        assert np.asarray(t.table).tolist() == thresholds(threshold_word(g), 32)
        assert float(t.factor) == 1 / expected_keep(g, block, feat)
        assert (t.draws.dtype, bool(t.draws)) == (np.bool_, True)
    assert not Threshold.of(1.0, 3, 8).draws
    assert Threshold.of(0.3, 7, 14).table.tolist() == Threshold.of(0.3, (7, 7), (14, 14)).table.tolist()


def test_r03_of_clips_the_block_to_the_map() -> None:
    assert Threshold.of(0.5, 9, (4, 5)).table.tolist() == Threshold.of(0.5, (4, 5), (4, 5)).table.tolist()


@pytest.mark.parametrize("renorm", ["tensor", "expected"])
def test_r13_one_compilation_serves_every_threshold_with_numpys_bits(renorm: str) -> None:
    x = normal()
    call, traces = traced(lambda x, threshold: drop_block(x, threshold, 3, seed=4, renorm=renorm))
    for keep_prob in (0.0, 0.25, 0.9, 1 - 2.0**-40, 1.0):
        for options in ({}, {"gamma_scale": 0.5}, {"calibrated": True}):
            expected = np.asarray(numpys(x, keep_prob, 3, seed=4, renorm=renorm, **options))
            assert_is_numpys(call(x, Threshold.of(keep_prob, 3, FEAT, **options)), expected)
    assert traces.count == 1


def test_vmap_over_thresholds_gives_each_its_mask() -> None:
    x = normal()
    each = [Threshold.of(keep_prob, 3, FEAT) for keep_prob in (0.2, 0.9, 1.0)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
    one = jax.jit(lambda threshold: drop_block(x, threshold, 3, seed=4))
    assert_equal(jax.jit(jax.vmap(one))(stacked), jnp.stack([one(threshold) for threshold in each]))


# --- a keep_prob that is traced -------------------------------------------------------------------------------------


@grid(number=range(len(GEOMETRIES)), scale=SCALES)
def test_r13_the_traced_gamma_is_the_hosts_to_float32s_rounding(number: int, scale: float) -> None:
    feat, block = GEOMETRIES[number]
    rng = np.random.default_rng(0)
    near = 1 - np.float32(2.0) ** -np.arange(1, 25, dtype=np.float32)
    keep_probs = np.concatenate([rng.uniform(size=200), near, [0.0, 1.0, 1e-7, 0.1, 0.9]]).astype(np.float32)
    first, draws, _ = (np.asarray(leaf) for leaf in in_program(number, scale)(jnp.asarray(keep_probs)))
    for keep_prob, q, drawn in zip(keep_probs, first, draws, strict=True):
        g = gamma(float(keep_prob), block, feat, gamma_scale=scale)
        exact = threshold_word(g)
        assert drawn == (g > 0)
        if g == 0:
            continue
        # The ratio, the difference and their product round once each, by 2^-24; the two integers by half each. Where
        # one of the two is capped at 1, the other is as near to it.
        assert abs((2**32 - int(q)) - exact) <= 3.1 * 2.0**-24 * exact + 1, keep_prob


def test_r13_a_traced_gamma_that_is_not_0_is_at_least_the_smallest() -> None:
    assert threshold_word(gamma(0.5, BLOCK, FEAT, gamma_scale=2.0**-40)) == 1
    first, draws, _ = in_program(0, 2.0**-40)(jnp.array([0.5, 1.0]))
    assert draws.tolist() == [True, False]
    assert int(first[0]) == 2**32 - 1


@cache
def tables() -> Callable[[Array], Array]:
    segments = Segments.of((33,), (1,))  # gamma is 1 - keep_prob
    return jax.jit(lambda keep_prob: Threshold.traced(keep_prob, segments, 1.0).table)


@settings(max_examples=50)
@given(keep_prob=st.sampled_from([0.0, 2.0**-32, 2.0**-16, 0.5, 1 - 2.0**-24, 1.0]) | st.floats(0, 1, width=32))
def test_r13_the_traced_table_is_the_hosts_from_its_first_threshold_on(keep_prob: float) -> None:
    table = np.asarray(tables()(np.float32(keep_prob))).tolist()
    assert table == thresholds(2**32 - table[0], 32)


def test_r14_a_traced_keep_prob_is_clamped_and_nan_drops_nothing() -> None:
    values = jnp.array([1.0, 1.5, jnp.inf, jnp.nan, 0.0, -0.0, -1.0, -jnp.inf])
    nothing, as_0 = slice(0, 4), slice(4, 8)
    first, draws, factor = in_program(0)(values)
    assert not draws[nothing].any()
    assert draws[as_0].all()
    assert (factor[nothing] == 1).all()
    assert len(set(first[as_0].tolist())) == len(set(factor[as_0].tolist())) == 1
    x = normal()
    for keep_prob in values[nothing]:
        assert_equal(by_keep_prob()(x, keep_prob), x)
    for keep_prob in values[as_0]:
        assert_equal(by_keep_prob()(x, keep_prob), by_keep_prob()(x, values[4]))
    assert 0 < (by_keep_prob()(x, values[4]) == 0).sum() < x.size


def test_r10_a_traced_gamma_of_1_gives_zeros() -> None:
    def call(x: Array, keep_prob: Array) -> list[Array]:
        return [drop_block(x, keep_prob, 9, seed=4, renorm=renorm) for renorm in ("tensor", "expected", "none")]

    for zeros in jax.jit(call)(jnp.full(SHAPE, jnp.inf), 0.0):
        assert_equal(zeros, jnp.zeros(SHAPE))


@pytest.mark.parametrize("number", [0, 1])
def test_r11_the_traced_factor_is_1_over_the_expected_keep(number: int) -> None:
    feat, block = GEOMETRIES[number]
    keep_probs = np.linspace(0, 1, 33, dtype=np.float32)
    _, _, factors = in_program(number)(jnp.asarray(keep_probs))
    exact = [1 / expected_keep(gamma(float(p), block, feat), block, feat) for p in keep_probs]
    # n * log(1 - gamma) is at most 3.3 here, with seven roundings of 2^-24 in all; exp, the sum over at most 16 values
    # of n, and two quotients round some twenty times more: below 2^-18 together.
    np.testing.assert_allclose(factors, exact, rtol=2.0**-18, atol=0)


def test_a_traced_scalar_of_any_floating_dtype_will_do() -> None:
    first, _, _ = in_program(0)(jnp.array([0.5]))
    for dtype in (jnp.bfloat16, jnp.float16):
        assert in_program(0)(jnp.array([0.5], dtype))[0] == first
        assert jax.eval_shape(by_keep_prob(), normal(), dtype(0.5)).shape == SHAPE


def test_r13_a_traced_keep_prob_has_numpys_bits_where_float32_holds_gamma() -> None:
    x = normal()  # a block of one unit has the ratio 1
    call = jax.jit(lambda x, keep_prob: drop_block(x, keep_prob, 1, seed=4, gamma_scale=0.5))
    for keep_prob in (0.0, 0.25, 0.5):
        assert_is_numpys(call(x, keep_prob), numpys(x, keep_prob, 1, seed=4, gamma_scale=0.5))


def test_vmap_over_keep_probs_gives_each_its_mask() -> None:
    x, keep_probs = normal(), jnp.array([0.0, 0.5, 0.9, 1.0, jnp.nan])
    mapped = jax.jit(jax.vmap(by_keep_prob(), in_axes=(None, 0)))(x, keep_probs)
    assert_equal(mapped, jnp.stack([by_keep_prob()(x, keep_prob) for keep_prob in keep_probs]))


# --- schedules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedule", [LinearSchedule(0.6, 20), optax.linear_schedule(1.0, 0.6, 20)], ids=["ours", "optax"]
)
def test_r12_a_schedule_inside_the_program_is_compiled_once(schedule: Callable[[Array], Array]) -> None:
    x = normal()
    step, traces = traced(lambda x, step: jax.grad(lambda x: drop_block(x, schedule(step), 3, seed=4).sum())(x))
    values = jax.jit(jax.vmap(schedule))(jnp.arange(21))
    dropped = []
    for number in range(21):
        dx = step(x, number)
        assert_equal(dx, by_keep_prob()(jnp.ones(SHAPE), values[number]))  # the mask times the scale
        dropped.append(int((dx == 0).sum()))
    assert traces.count == 1
    assert dropped[0] == 0
    assert len(set(dropped)) > 5


def test_r12_a_schedule_on_the_host_is_compiled_once_and_has_numpys_bits() -> None:
    x, schedule = normal(), LinearSchedule(0.6, 20)
    step, traces = traced(lambda x, threshold: drop_block(x, threshold, 3, seed=4))
    for number in range(21):
        y = step(x, Threshold.of(schedule(number), 3, FEAT))
        assert_is_numpys(y, np.asarray(numpys(x, schedule(number), 3, seed=4)))
    assert traces.count == 1
    assert_is_numpys(y, numpys(x, **SEEDED))


@pytest.mark.parametrize(
    ("keep_prob", "steps", "start"), [(0.9, 7, 1.0), (0.1, 1000, 0.9), (1.0, 3, 1 / 3), (0.7, 1, 0.7)]
)
def test_r12_a_traced_schedule_is_the_hosts_to_float32(keep_prob: float, steps: int, start: float) -> None:
    schedule = LinearSchedule(keep_prob, steps, start)
    numbers = np.unique(np.concatenate([np.arange(0, steps + 3, max(1, steps // 50)), [steps - 1, steps, 10**9]]))
    values = np.asarray(jax.jit(jax.vmap(schedule))(jnp.asarray(numbers)))
    assert values.dtype == np.float32
    assert values[0] == np.float32(start)
    assert (values[numbers >= steps] == np.float32(keep_prob)).all()
    direction = np.sign(keep_prob - start)
    assert (np.diff(values) * direction >= 0).all()
    host = np.array([schedule(int(number)) for number in numbers])
    # step / steps, the difference of the ends, their product, the difference from the start: four roundings of 2^-24
    # of numbers up to 1, and the start itself.
    np.testing.assert_allclose(values, host, rtol=0, atol=5 * 2.0**-24)
    assert_equal(jax.jit(schedule)(jnp.float32(0)), np.float32(start))


def test_r12_a_traced_schedule_of_0_steps_is_keep_prob_throughout() -> None:
    values = jax.jit(jax.vmap(LinearSchedule(0.9, 0)))(jnp.arange(3))
    assert_equal(values, np.full(3, 0.9, np.float32))
