"""The same seed gives NumPy's mask (rule R13): eagerly, in a graph, compiled by XLA, and where sizes are unknown."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from dropblock_tf import drop_block
from tests.shared.comparing import (
    DATA_FORMATS,
    RENORMS,
    SEEDED,
    assert_is_numpys,
    holding,
    in_order,
    numpys,
)
from tests.shared.golden import golden_params, kind_of_map
from tests.shared.strategies import SEEDS, STREAMS, geometries, offsets

from .support import DTYPES, in_graph, in_xla, normal, seed_words, with_gradient

KEEP_PROBS = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
OPTIONS = st.sampled_from([{}, {"calibrated": True}]) | st.floats(0, 4).map(lambda scale: {"gamma_scale": scale})
# Subnormals aside: TensorFlow flushes them to zero.
ELEMENTS = npst.from_dtype(np.dtype(np.float32), allow_subnormal=False)


def holding_tensor(shape: tuple[int, ...], dtype: Any, first: Any) -> Any:
    return tf.constant(holding(shape, dtype.as_numpy_dtype, first))


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    segments = draw(geometries(largest_row=70))
    beyond = draw(st.tuples(*[st.integers(b, b + 3) for b in segments.block]))
    samples = draw(st.integers(0, 3))
    return {
        "feat": segments.feat, "samples": samples, "channels": draw(st.integers(1, 3)),
        "block_size": draw(st.sampled_from([segments.block, segments.block[-1], beyond])),
        "dtype": draw(st.sampled_from(DTYPES)), "data_format": draw(st.sampled_from(DATA_FORMATS)),
        "keep_prob": draw(KEEP_PROBS), "seed": draw(SEEDS),
        "renorm": draw(st.sampled_from(RENORMS)), "per_channel": draw(st.booleans()),
        "stream": draw(STREAMS), "sample_offset": draw(offsets(samples)),
        "options": draw(OPTIONS),
    }  # fmt: skip


WIDE: dict[str, Any] = {
    "feat": (3, 70), "samples": 2, "channels": 2, "block_size": (2, 35), "dtype": tf.float32, "keep_prob": 0.3,
    "data_format": "channels_last", "seed": 2**63 + 5, "renorm": "map", "per_channel": True,
    "stream": 7, "sample_offset": 2**32 - 2, "options": {"gamma_scale": 0.5},
}  # fmt: skip
CUBES = WIDE | {"feat": (3, 4, 5), "block_size": 2, "data_format": "channels_first", "dtype": tf.float64}
LARGER_THAN_THE_MAP = WIDE | {"feat": (33,), "block_size": 40, "per_channel": False, "options": {"calibrated": True}}
LINES = WIDE | {"feat": (100,), "block_size": 1, "dtype": tf.bfloat16, "renorm": "sample"}


@settings(max_examples=40)
@example(case=WIDE, first=[np.nan, np.inf, -np.inf, -0.0])
@example(case=CUBES, first=[0.0])
@example(case=LARGER_THAN_THE_MAP, first=[0.0])
@example(case=LINES, first=[np.nan])
@given(case=cases(), first=st.lists(ELEMENTS, max_size=12))
def test_r13_the_mask_is_numpys_bit_for_bit(case: dict[str, Any], first: list[float]) -> None:
    x = holding_tensor(
        in_order(case["samples"], case["feat"], case["channels"], case["data_format"]), case["dtype"], first
    )
    options = {
        name: case[name] for name in ("seed", "renorm", "per_channel", "data_format", "stream", "sample_offset")
    } | case["options"]
    y = drop_block(x, case["keep_prob"], case["block_size"], **options)
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    assert_is_numpys(y, numpys(x, case["keep_prob"], case["block_size"], **options))


# Programs that are traced once here, for as many operands as it takes: every option, dtype and order at least once. A
# keep_prob of None is an operand as well.
PROGRAMS: list[dict[str, Any]] = [
    {"feat": (14, 14), "block": 7, "renorm": "tensor", "dtype": tf.float32, "keep_prob": None},
    {"feat": (8, 9), "block": 3, "renorm": "sample", "dtype": tf.float16, "keep_prob": None, "first": True},
    {"feat": (6, 40), "block": (2, 4), "renorm": "map", "dtype": tf.bfloat16, "keep_prob": 0.7, "shared": True},
    {"feat": (67,), "block": 1, "renorm": "expected", "dtype": tf.float32, "keep_prob": None, "gamma_scale": 0.75},
    {"feat": (3, 4, 9), "block": (2, 4, 3), "renorm": "none", "dtype": tf.float64, "keep_prob": 0.4, "solved": True},
]
ODD = {"feat": (5, 7), "samples": 3, "keep_prob": 0.5, "seed": 5, "stream": 1, "offset": 2}


def options_of(plan: dict[str, Any]) -> dict[str, Any]:
    return {
        "renorm": plan["renorm"],
        "data_format": DATA_FORMATS[plan.get("first", False)],
        "per_channel": not plan.get("shared", False),
        "calibrated": plan.get("solved", False),
        "gamma_scale": plan.get("gamma_scale", 1.0),
    }


@cache
def program(number: int, way: Callable[..., Any], sizes: str) -> Any:
    """One program, its activations of known sizes, of an unknown number of samples, or of a known rank only."""
    plan = PROGRAMS[number]

    def call(x: Any, keep_prob: Any, seed: Any, stream: Any, sample_offset: Any) -> Any:
        keep_prob = keep_prob if plan["keep_prob"] is None else plan["keep_prob"]
        counters = {"seed": seed, "stream": stream, "sample_offset": sample_offset}
        y = drop_block(x, keep_prob, plan["block"], **counters, **options_of(plan))
        assert y.shape.as_list() == x.shape.as_list()
        return y

    samples = 3 if sizes == "known" else None
    feat = tuple(None for _ in plan["feat"]) if sizes == "unknown" else plan["feat"]
    shape: Any = in_order(samples, feat, 2, options_of(plan)["data_format"])  # type: ignore[arg-type]
    numbers = [tf.TensorSpec([], tf.float64), tf.TensorSpec([2], tf.int64), *[tf.TensorSpec([], tf.int64)] * 2]
    return way(call).get_concrete_function(tf.TensorSpec(shape, plan["dtype"]), *numbers)


def check_program(number: int, way: Callable[..., Any], sizes: str, operands: dict[str, Any]) -> None:
    plan = PROGRAMS[number]
    options = options_of(plan)
    keep_prob = operands["keep_prob"] if plan["keep_prob"] is None else plan["keep_prob"]
    x = holding_tensor(
        in_order(operands["samples"], operands["feat"], 2, options["data_format"]), plan["dtype"], operands["first"]
    )
    counters = {"seed": operands["seed"], "stream": operands["stream"], "sample_offset": operands["offset"]}
    y = program(number, way, sizes)(
        x,
        tf.constant(operands["keep_prob"], tf.float64),
        seed_words(counters["seed"]),
        tf.constant(counters["stream"], tf.int64),
        tf.constant(counters["sample_offset"], tf.int64),
    )
    assert_is_numpys(y, numpys(x, keep_prob, plan["block"], **counters, **options))


def operands(feat: Any, samples: st.SearchStrategy[int]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({
        "feat": feat, "samples": samples, "keep_prob": KEEP_PROBS, "seed": SEEDS, "stream": STREAMS,
        "offset": offsets(4), "first": st.lists(ELEMENTS, max_size=12),
    })  # fmt: skip


any_plan = pytest.mark.parametrize("number", range(len(PROGRAMS)))


# XLA takes seconds to compile one of these: here, that of half precision alone.
@pytest.mark.parametrize(
    ("number", "way"),
    [
        pytest.param(number, way, marks=[pytest.mark.exhaustive] if way is in_xla and number != 1 else [])
        for number in range(len(PROGRAMS))
        for way in (in_graph, in_xla)
    ],
)
@settings(max_examples=12)
@given(data=st.data())
def test_r13_one_program_has_numpys_mask_for_all_its_operands(number: int, way: Any, data: st.DataObject) -> None:
    drawn = data.draw(operands(st.just(PROGRAMS[number]["feat"]), st.just(3)))
    check_program(number, way, "known", drawn)


@pytest.mark.parametrize("number", [1, 2, *(pytest.param(n, marks=pytest.mark.exhaustive) for n in (0, 3, 4))])
@settings(max_examples=12)
@given(data=st.data())
def test_r13_a_graph_may_leave_the_number_of_samples_open(number: int, data: st.DataObject) -> None:
    drawn = data.draw(operands(st.just(PROGRAMS[number]["feat"]), st.integers(0, 4)))
    check_program(number, in_graph, "batch", drawn)


@pytest.mark.parametrize("number", [2])
def test_r13_xla_compiles_anew_for_another_number_of_samples(number: int) -> None:
    for samples in (1, 4):
        drawn = {"samples": samples, "feat": PROGRAMS[number]["feat"], "first": [np.nan], "offset": 9}
        check_program(number, in_xla, "batch", ODD | drawn)


@any_plan
@settings(max_examples=15)
@given(data=st.data())
def test_r13_a_graph_may_leave_all_sizes_but_the_channels_open(number: int, data: st.DataObject) -> None:
    feat = st.tuples(*[st.integers(1, 40 if len(PROGRAMS[number]["feat"]) < 3 else 9)] * len(PROGRAMS[number]["feat"]))
    drawn = data.draw(operands(feat, st.integers(0, 4)))
    check_program(number, in_graph, "unknown", drawn)


@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("renorm", ["tensor", "map", "expected"])
def test_r13_eagerly_on_another_device_than_numpys_the_operations_give_its_mask(
    monkeypatch: pytest.MonkeyPatch, renorm: str, data_format: str
) -> None:
    monkeypatch.setattr("dropblock_tf.host.is_at_hand", lambda x: False)
    monkeypatch.setattr("dropblock_tf.host.drop_eagerly", None)
    options: dict[str, Any] = {**SEEDED, "renorm": renorm, "data_format": data_format}
    x = normal(in_order(2, (8, 9), 3, data_format))
    y, dx = with_gradient(**options)(x, x)
    assert_is_numpys(y, numpys(x, **options))
    assert_is_numpys(dx, numpys(x, **options))


@pytest.mark.parametrize("golden", golden_params("seeds.json", once=kind_of_map))
def test_r13_the_mask_is_that_of_the_golden_seeds(golden: dict[str, Any]) -> None:
    shape = (golden["samples"], golden["maps"], *golden["feat_size"])
    dropped = np.zeros(shape, bool)
    for sample, channel, *anchor in golden["seeds"]:
        block = [slice(a, a + b) for a, b in zip(anchor, golden["block_size"], strict=True)]
        dropped[sample, channel, *block] = True
    options = {name: golden[name] for name in ("sample_offset", "stream", "gamma_scale")}
    y = drop_block(
        tf.ones(shape), golden["keep_prob"], tuple(golden["block_size"]), seed=int(golden["seed"]),
        data_format="channels_first", **options,
    )  # fmt: skip
    np.testing.assert_array_equal(np.asarray(y) == 0, dropped)


@pytest.mark.parametrize("width", [1, 8, 9, 16, 17, 32, 33, 64, 65])
def test_r13_rows_that_just_fill_a_word_and_just_do_not(width: int) -> None:
    x, block_size = normal((2, 2, width, 2)), (1, width // 2 + 1)
    y = drop_block(x, 0.3, block_size, seed=6)
    assert_is_numpys(y, numpys(x, 0.3, block_size, seed=6))
    assert (y.numpy() == 0).any()


@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("renorm", ["sample", "map"])
def test_r08_maps_of_unknown_size_are_counted_by_their_scope(renorm: str, data_format: str) -> None:
    options = {**SEEDED, "renorm": renorm, "data_format": data_format}
    shape = in_order(2, (8, 9), 3, data_format)
    spec = tf.TensorSpec(in_order(None, (None, None), 3, data_format))
    y = in_graph(lambda x: drop_block(x, **options)).get_concrete_function(spec)(normal(shape))
    assert_is_numpys(y, numpys(normal(shape), **options))


def test_r13_a_seed_is_an_int_or_its_two_words() -> None:
    x = normal()
    for seed in (0, 4, 2**32, 2**64 - 1):
        expected = numpys(x, 0.6, 3, seed=seed)
        words = seed_words(seed)
        signed = tf.constant(np.asarray(words).astype(np.uint32).view(np.int32))
        for kind in (seed, np.uint64(seed), words, tf.cast(words, tf.uint32), signed):
            assert_is_numpys(drop_block(x, 0.6, 3, seed=kind), expected)


def test_what_converts_to_a_tensor_is_one() -> None:
    x = np.asarray(normal())
    before = x.copy()
    expected = numpys(x, **SEEDED)
    for kind in (x, tf.Variable(x), x.tolist()):
        y = drop_block(kind, **SEEDED)
        assert tf.is_tensor(y)
        assert_is_numpys(y, expected)
    np.testing.assert_array_equal(x, before)
