"""What a program does: schedules in one trace, gradients, what it holds for them, XLA's operations, randomness."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import dropblock_core as core
from dropblock_core.stream import Segments, threshold_word, thresholds
from dropblock_tf import LinearSchedule, drop_block
from dropblock_tf.program import Plan, _bytes
from dropblock_tf.threshold import Threshold
from tests.shared.comparing import DATA_FORMATS, SEEDED, SHAPE, assert_equal, assert_is_numpys, numpys
from tests.shared.running import Traces

from .support import any_program, any_way, eagerly, in_graph, in_xla, normal, seed_words

# --- schedules ------------------------------------------------------------------------------------------------------

VALUES = [0.0, 1e-9, 0.1, 0.37, 0.5, 0.9, 0.95, 1 - 2.0**-20, 1 - 2.0**-33, 1.0]


@any_program
@pytest.mark.parametrize("renorm", ["tensor", "map"])
def test_r13_a_keep_prob_without_a_value_gives_numpys_mask(way: Any, renorm: str) -> None:
    x = normal()
    call = way(lambda x, keep_prob: drop_block(x, keep_prob, 3, seed=4, renorm=renorm))
    for keep_prob in VALUES:
        y = call(x, tf.constant(keep_prob, tf.float64))
        assert_is_numpys(y, np.asarray(numpys(x, keep_prob, 3, seed=4, renorm=renorm)))


@any_way
@pytest.mark.parametrize(("feat", "block"), [((14, 14), (7, 7)), ((8, 9), (3, 3)), ((3, 4, 5), (2, 2, 2))])
def test_r13_a_keep_prob_without_a_value_gives_the_hosts_integers(way: Any, feat: Any, block: Any) -> None:
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


@any_program
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


@any_program
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_a_keep_prob_of_any_floating_dtype_is_the_number_it_holds(way: Any, dtype: Any) -> None:
    x, keep_prob = normal(), tf.constant(0.7, dtype)
    y = way(lambda x, keep_prob: drop_block(x, keep_prob, 3, seed=4))(x, keep_prob)
    assert_is_numpys(y, numpys(x, float(keep_prob.numpy()), 3, seed=4))


@any_program
@pytest.mark.parametrize("renorm", ["tensor", "expected"])
def test_r14_a_keep_prob_without_a_value_is_clamped_and_nan_drops_nothing(way: Any, renorm: str) -> None:
    x = normal()
    call = way(lambda x, keep_prob: drop_block(x, keep_prob, 3, seed=4, renorm=renorm))
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


# --- gradients ------------------------------------------------------------------------------------------------------


def scales(x: Any, **options: Any) -> np.ndarray[Any, Any]:
    """mask * scale, as the adapter multiplies by it."""
    return np.asarray(drop_block(tf.ones(x.shape, x.dtype), **options))


def with_gradient(**options: Any) -> Any:
    def both(x: Any, dy: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = drop_block(x, **options)
        return y, tape.gradient(y, x, dy)

    return both


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
        return Plan(Segments.of(feat, block), 1, "tensor", True, False).keeps_seeds

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
        plan = Plan(Segments.of((3, width), (3, 1)), 1, "tensor", True, False)
        assert plan.keeps_rows == (width % 8 == 0)
        if plan.keeps_rows:
            kept = _bytes(tf.zeros([2, 1, 3, -(-width // 32)], plan.row_dtype), plan)
            assert 8 * kept.dtype.size * np.prod(kept.shape) == 2 * 3 * width


@any_way
@pytest.mark.parametrize("renorm", ["tensor", "map"])
@pytest.mark.parametrize("case", BLOCKS)
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


@any_way
@pytest.mark.parametrize("case", BLOCKS)
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


@any_program
@pytest.mark.parametrize("case", BLOCKS)
def test_without_a_seed_the_gradient_has_the_mask_of_its_own_call(way: Any, case: str) -> None:
    geometry, options = BLOCKS[case]
    both = way(with_gradient(**(options | {"seed": None})))
    x = tf.ones(geometry)
    for _ in range(3):
        assert_equal(*both(x, x))


@any_way
@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
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


@any_way
@pytest.mark.parametrize("renorm", ["tensor", "expected"])
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


# --- where a program may call it ------------------------------------------------------------------------------------


def test_it_works_inside_tensorflow_s_own_constructions() -> None:
    x = normal()
    each = numpys(x, 0.6, 3, seed=4, renorm="sample")
    first = numpys(x[:1], 0.6, 3, seed=4)

    def sample(a: Any) -> Any:
        return drop_block(a[None], 0.6, 3, seed=4)[0]

    def chosen(x: Any, drop: Any) -> Any:
        return tf.cond(drop, lambda: drop_block(x, **SEEDED, renorm="sample"), lambda: x)

    def recomputed(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.recompute_grad(lambda x: drop_block(x, **SEEDED, renorm="sample"))(x)
        return y, tape.gradient(y, x)

    for mapped in (tf.map_fn(sample, x), tf.vectorized_map(sample, x)):
        assert_is_numpys(mapped[:1], first)
    assert_is_numpys(in_graph(chosen)(x, tf.constant(True)), each)
    assert_equal(in_graph(chosen)(x, tf.constant(False)), x)
    y, dx = recomputed(x)
    assert_is_numpys(y, each)
    assert_equal(dx, scales(x, **SEEDED, renorm="sample"))
    dataset = tf.data.Dataset.from_tensors(x).map(lambda x: drop_block(x, **SEEDED, renorm="sample"))
    assert_is_numpys(next(iter(dataset)), each)


def test_a_saved_model_drops_the_same_blocks(tmp_path: Path) -> None:
    module, x = tf.Module(), normal()
    module.call = tf.function(
        lambda x: drop_block(x, **SEEDED), autograph=False, input_signature=[tf.TensorSpec([None, *SHAPE[1:]])]
    )
    tf.saved_model.save(module, str(tmp_path))
    assert_is_numpys(tf.saved_model.load(str(tmp_path)).call(x), numpys(x, **SEEDED))


# --- XLA ------------------------------------------------------------------------------------------------------------


def operations_of(text: str) -> set[str]:
    """Those of XLA's text of a program; a result is one array, or a tuple of them."""
    return set(re.findall(r" = (?:\(.*?\)|\S+) ([a-z][a-z0-9-]*)\(", text))


@pytest.mark.parametrize("shape", [(2, 40, 8), (2, 14, 14, 8), (2, 5, 6, 7, 8)], ids=str)
def test_xla_makes_no_windows_scatters_or_sorts(shape: tuple[int, ...]) -> None:
    x = tf.ones(shape)
    both = in_xla(with_gradient(keep_prob=0.9, block_size=3, seed=4))
    text = both.experimental_get_compiler_ir(x, x)(stage="hlo")
    operations = operations_of(text)
    assert {"while", "select", "multiply", "popcnt"} <= operations
    assert not {"reduce-window", "select-and-scatter", "scatter", "sort", "convolution", "custom-call"} & operations


def test_the_search_for_operations_finds_a_window() -> None:
    pool = in_xla(lambda x: tf.nn.max_pool2d(x, 3, 1, "SAME"))
    text = pool.experimental_get_compiler_ir(tf.ones(SHAPE))(stage="hlo")
    assert "reduce-window" in operations_of(text)


# --- where the masks come from --------------------------------------------------------------------------------------


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
