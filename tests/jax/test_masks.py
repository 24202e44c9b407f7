"""The same seed gives NumPy's mask (rule R13), eagerly and compiled, for every option, dtype and order of axes."""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from jax import Array

import dropblock_core as core
from dropblock_jax import Threshold, drop_block
from tests.shared.comparing import DATA_FORMATS, RENORMS, assert_is_numpys, holding, in_order, numpys
from tests.shared.golden import golden_params, kind_of_map
from tests.shared.strategies import SEEDS, STREAMS, geometries, offsets

from .support import DTYPES, normal, seed_words

exhaustive = pytest.mark.exhaustive

KEEP_PROBS = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
OPTIONS = st.sampled_from([{}, {"calibrated": True}]) | st.floats(0, 4).map(lambda scale: {"gamma_scale": scale})
# Subnormals aside: XLA flushes them to zero on a CPU.
ELEMENTS = npst.from_dtype(np.dtype(np.float32), allow_subnormal=False)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """A call whose shape, most likely, no other has: its program is compiled for it alone."""
    segments = draw(geometries(largest_row=70))
    beyond = draw(st.tuples(*[st.integers(b, b + 3) for b in segments.block]))
    samples = draw(st.integers(1, 3))
    return {
        "feat": segments.feat, "samples": samples, "channels": draw(st.integers(1, 3)),
        "block_size": draw(st.sampled_from([segments.block, segments.block[-1], beyond])),
        "dtype": draw(st.sampled_from(DTYPES)), "data_format": draw(st.sampled_from(DATA_FORMATS)),
        "keep_prob": draw(KEEP_PROBS), "seed": draw(SEEDS), "compiled": draw(st.booleans()),
        "renorm": draw(st.sampled_from(RENORMS)), "per_channel": draw(st.booleans()),
        "stream": draw(STREAMS), "sample_offset": draw(offsets(samples)),
        "options": draw(OPTIONS),
    }  # fmt: skip


WIDE: dict[str, Any] = {
    "feat": (3, 70), "samples": 2, "channels": 2, "block_size": (2, 35), "dtype": jnp.float32, "keep_prob": 0.3,
    "data_format": "channels_last", "seed": 2**63 + 5, "compiled": True, "renorm": "map", "per_channel": True,
    "stream": 7, "sample_offset": 2**32 - 2, "options": {"gamma_scale": 0.5},
}  # fmt: skip
CUBES = WIDE | {"feat": (3, 4, 5), "block_size": 2, "data_format": "channels_first", "compiled": False}
LARGER_THAN_THE_MAP = WIDE | {"feat": (33,), "block_size": 40, "per_channel": False, "options": {"calibrated": True}}


@settings(max_examples=3)  # each is compiled
@example(case=WIDE, first=[np.nan, np.inf, -np.inf, -0.0])
@example(case=CUBES, first=[0.0])
@example(case=LARGER_THAN_THE_MAP, first=[0.0])
@given(case=cases(), first=st.lists(ELEMENTS, max_size=12))
def test_r13_the_mask_is_numpys_bit_for_bit(case: dict[str, Any], first: list[float]) -> None:
    shape = in_order(case["samples"], case["feat"], case["channels"], case["data_format"])
    x = jnp.asarray(holding(shape, case["dtype"], first))
    common = {name: case[name] for name in ("renorm", "per_channel", "data_format")} | case["options"]
    counters = {name: np.uint32(case[name]) for name in ("stream", "sample_offset")}

    def call(x: Array) -> Array:
        return drop_block(x, case["keep_prob"], case["block_size"], seed=case["seed"], **counters, **common)

    y = jax.jit(call)(x) if case["compiled"] else call(x)
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    counters = {name: case[name] for name in counters}
    assert_is_numpys(y, numpys(x, case["keep_prob"], case["block_size"], seed=case["seed"], **counters, **common))


# Programs that are compiled once here, for as many operands as it takes: every option, dtype and order at least once.
PROGRAMS: list[dict[str, Any]] = [
    {"feat": (14, 14), "block": (7, 7), "renorm": "tensor", "dtype": jnp.float32},
    {"feat": (8, 9), "block": (3, 3), "renorm": "sample", "dtype": jnp.float16, "data_format": "channels_first"},
    {"feat": (6, 40), "block": (2, 4), "renorm": "map", "dtype": jnp.bfloat16, "per_channel": False},
    {"feat": (67,), "block": (1,), "renorm": "expected", "dtype": jnp.float32},
    {"feat": (3, 4, 9), "block": (2, 4, 3), "renorm": "none", "dtype": jnp.float32, "data_format": "channels_first"},
]


@cache
def program(number: int) -> Any:
    plan = PROGRAMS[number]
    options = {name: plan[name] for name in ("renorm", "data_format", "per_channel") if name in plan}

    def call(x: Array, threshold: Threshold, seed: Array, stream: Array, sample_offset: Array) -> Array:
        return drop_block(x, threshold, plan["block"], seed=seed, stream=stream, sample_offset=sample_offset, **options)

    return jax.jit(call), options


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
@settings(max_examples=40)
@given(
    keep_prob=KEEP_PROBS, seed=SEEDS, stream=STREAMS, sample_offset=offsets(3), first=st.lists(ELEMENTS, max_size=12),
    options=OPTIONS,
)  # fmt: skip
def test_r13_one_program_has_numpys_mask_for_all_its_operands(
    number: int, keep_prob: float, seed: int, stream: int, sample_offset: int, first: list[float], options: Any
) -> None:
    compiled, fixed = program(number)
    plan = PROGRAMS[number]
    shape = in_order(3, plan["feat"], 2, fixed.get("data_format", "channels_last"))
    x = jnp.asarray(holding(shape, plan["dtype"], first))
    threshold = Threshold.of(keep_prob, plan["block"], plan["feat"], **options)
    y = compiled(x, threshold, seed_words(seed), np.uint32(stream), np.uint32(sample_offset))
    counters = {"seed": seed, "stream": stream, "sample_offset": sample_offset}
    expected = numpys(x, keep_prob, plan["block"], **counters, **fixed, **options)
    assert_is_numpys(y, np.asarray(x) if expected is x else expected)
    assert compiled._cache_size() == 1


@pytest.mark.parametrize("golden", golden_params("seeds.json", once=kind_of_map))
def test_r13_the_mask_is_that_of_the_golden_seeds(golden: dict[str, Any]) -> None:
    shape = (golden["samples"], golden["maps"], *golden["feat_size"])
    dropped = np.zeros(shape, bool)
    for sample, channel, *anchor in golden["seeds"]:
        block = [slice(a, a + b) for a, b in zip(anchor, golden["block_size"], strict=True)]
        dropped[sample, channel, *block] = True
    counters = {name: np.uint32(golden[name]) for name in ("sample_offset", "stream")}
    options = {"gamma_scale": golden["gamma_scale"], "data_format": "channels_first", **counters}
    call = partial(drop_block, block_size=tuple(golden["block_size"]), seed=int(golden["seed"]), **options)
    y = jax.jit(lambda x: call(x, golden["keep_prob"]))(jnp.ones(shape))
    np.testing.assert_array_equal(np.asarray(y) == 0, dropped)


@pytest.mark.parametrize("width", [9, 17, 33, 65, *(pytest.param(n, marks=exhaustive) for n in (1, 8, 16, 32, 64))])
def test_r13_rows_that_just_fill_a_word_and_just_do_not(width: int) -> None:
    x, block_size = normal((2, 2, width, 2)), (1, width // 2 + 1)
    y = jax.jit(lambda x: drop_block(x, 0.3, block_size, seed=6))(x)
    assert_is_numpys(y, numpys(x, 0.3, block_size, seed=6))
    assert (y == 0).any()


def test_r13_a_seed_is_an_int_or_its_two_words_here_or_traced() -> None:
    x = normal()
    traced = jax.jit(lambda x, seed: drop_block(x, 0.6, 3, seed=seed))
    for seed in (0, 4, 2**32, 2**64 - 1):
        expected = numpys(x, 0.6, 3, seed=seed)
        words = seed_words(seed)
        for kind in (seed, np.uint64(seed), words, jnp.asarray(words)):
            assert_is_numpys(drop_block(x, 0.6, 3, seed=kind), expected)
        assert_is_numpys(traced(x, words), expected)
    assert traced._cache_size() == 1


def test_r13_float64_is_numpys_where_jax_has_it() -> None:
    with jax.enable_x64(True):
        x = normal(dtype=jnp.float64)
        y = drop_block(x, 0.6, 3, seed=4)
        assert y.dtype == jnp.float64
        assert_is_numpys(y, numpys(x, 0.6, 3, seed=4))


def test_a_numpy_array_is_an_array() -> None:
    x = np.asarray(normal())
    before = x.copy()
    y = drop_block(x, 0.6, 3, seed=4)
    assert isinstance(y, jax.Array)
    assert_is_numpys(y, core.drop_block(x.transpose(0, 3, 1, 2), 0.6, 3, seed=4).transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("name", ["stream", "sample_offset"])
@pytest.mark.parametrize("value", [2**31, 2**32 - 2])
def test_r13_a_word_of_the_counter_is_any_int_of_32_bits(name: str, value: int) -> None:
    x, word = normal(), {name: value}
    assert_is_numpys(drop_block(x, 0.6, 3, seed=4, **word), numpys(x, 0.6, 3, seed=4, **word))
