"""drop_block's numbers (rule R9): exact counts, the scale, half precision, dtypes, layouts, hostile arrays."""

from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropblock_core import algorithm1, drop_block, gamma, sample_seeds
from dropblock_core.call import Call
from dropblock_core.stream import Segments
from tests.shared.strategies import SEEDS, geometries

from .support import seldom_jax


@settings(max_examples=60)
@given(
    segments=geometries(),
    seed=SEEDS,
    keep_prob=st.floats(0, 0.99),
    renorm=st.sampled_from(["tensor", "sample", "map"]),
    dtype=st.sampled_from(["f4", "f8"]),
)
def test_r09_scale_is_the_exact_ratio_to_2_ulp(
    segments: Segments, seed: int, keep_prob: float, renorm: str, dtype: str
) -> None:
    y = drop_block(np.ones((2, 2, *segments.feat), dtype), keep_prob, segments.block, seed=seed, renorm=renorm)
    for scope in y.reshape({"tensor": 1, "sample": 2, "map": 4}[renorm], -1):
        if scope.any():
            exact = Fraction(scope.size, np.count_nonzero(scope))
            assert abs(Fraction(float(scope.max())) - exact) <= 2 * Fraction(float(np.spacing(y.dtype.type(exact))))
            assert set(scope.tolist()) <= {0.0, float(scope.max())}


@seldom_jax
def test_r09_scale_is_exact_beyond_the_integers_of_float32(library: ModuleType) -> None:
    # 2^19 + 1 maps of 33 units, dropped whole or not at all: 2^24 + 2^19 + 33 units, odd, of which some tens are
    # kept. As a difference of two counts that float32 has rounded, it would be off by one in some hundreds.
    maps, units = 2**19 + 1, 33
    x = library.asarray(np.ones((1, maps, units), np.float32))
    y = np.asarray(drop_block(x, 0.0, units, gamma_scale=1 - 2.0**-15, seed=0))
    kept = np.count_nonzero(y)
    assert kept == 15 * units
    assert y.max() == pytest.approx(maps * units / kept, rel=2 * 2.0**-23)


def test_r09_a_count_beyond_32_bits_reaches_the_scale(library: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the mask had 2^33 units, of which these are the only ones dropped: memory for the rest would be 32 GiB.
    monkeypatch.setattr(Call, "count", 2**33)
    x = library.asarray(np.ones((2, 3, 8, 8), np.float32))
    y = np.asarray(drop_block(x, 0.6, 3, seed=4, stream=33))  # arguments of which no other test has a count
    np.testing.assert_allclose(y[y != 0], 2**33 / (2**33 - np.count_nonzero(y == 0)), rtol=3 * 2.0**-23)


def in_half(library: ModuleType, x: np.ndarray[Any, Any]) -> Any:
    """`x` as the library's float16 array."""
    if library.__name__ == "array_api_strict":
        pytest.skip("the standard has no float16")
    return library.asarray(x.astype(np.float16))


@seldom_jax
def test_r09_more_kept_units_than_half_precision_can_count(library: ModuleType) -> None:
    x = np.ones((2, 3, 120, 120))  # 86,400 units; in float16 a count is infinite from 65,520 on
    y = np.asarray(drop_block(in_half(library, x), 0.9, 7, seed=0))
    kept = np.count_nonzero(y)
    assert kept >= 65_520
    assert y.dtype == np.float16
    assert set(y.ravel().tolist()) == {0.0, float(np.float16(x.size / kept))}


def test_r09_half_precision_is_scaled_in_float32_and_rounded_once(library: ModuleType) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float16)
    for seed in range(5):
        y = np.asarray(drop_block(in_half(library, x), 0.6, 3, seed=seed))
        kept = y != 0
        exact = x.astype(float) * kept * (kept.size / kept.sum())
        assert y.dtype == np.float16
        # Half an ulp of float16, 2^-11, beside the 2.5 ulp of float32 that R9 leaves. A scale in float16 doubles it.
        np.testing.assert_allclose(y.astype(float), exact, rtol=2.0**-11 + 3 * 2.0**-23)


@pytest.mark.parametrize("name", ["array_api_strict", "torch"])
def test_r09_float64_is_scaled_in_float64_in_other_libraries(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 8))
    y = np.asarray(drop_block(pytest.importorskip(name).asarray(x), 0.6, 3, seed=4))
    kept = y != 0
    np.testing.assert_allclose(y, x * kept * (kept.size / kept.sum()), rtol=3 * 2.0**-52)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_r09_output_has_the_dtype_and_shape_of_the_input(library: ModuleType, dtype: str) -> None:
    x = library.asarray(np.ones((2, 3, 5), dtype))
    if str(x.dtype).rsplit(".", 1)[-1] != dtype:
        pytest.skip("this library has no float64")  # JAX, as it is configured by default
    y = drop_block(x, 0.5, 2, seed=0)
    assert (y.dtype, tuple(y.shape)) == (x.dtype, (2, 3, 5))
    assert type(y) is type(x)


def test_r09_float64_is_scaled_in_float64_in_numpy() -> None:
    y = drop_block(np.ones((1, 7, 9)), 0.7, 2, seed=0)
    assert y.max() == y.size / np.count_nonzero(y)
    assert y.max() != np.float32(y.max())


def test_r09_other_byte_orders_and_wider_floats_keep_their_dtype() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)
    expected = drop_block(x, 0.7, 2, seed=1)
    for dtype in (">f4", ">f8", np.longdouble):
        y = drop_block(x.astype(dtype), 0.7, 2, seed=1)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, expected, rtol=2.0**-22)


@pytest.mark.parametrize(("dtype", "large"), [("f2", 6e4), ("f4", 3e38), ("f8", 1.7e308)])
def test_r09_a_product_out_of_range_is_infinity(dtype: str, large: float) -> None:
    x = np.full((1, 4, 20), large, dtype)
    with np.errstate(over="ignore"):
        y = drop_block(x, 0.5, 1, seed=0)
    assert set(y.ravel().tolist()) == {0.0, np.inf}


LAYOUTS = {
    "contiguous": lambda x: x,
    "fortran": np.asfortranarray,
    "channels last": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "swapped axes": lambda x: np.ascontiguousarray(x.swapaxes(2, 3)).swapaxes(2, 3),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_r09_memory_layout_is_preserved_and_changes_nothing(layout: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 6)).astype(np.float32)
    view = LAYOUTS[layout](x)
    y = drop_block(view, 0.7, 2, seed=1)
    assert y.strides == view.strides
    np.testing.assert_array_equal(y, drop_block(x, 0.7, 2, seed=1))


VIEWS = {
    "reversed": lambda x: x[::-1, :, ::-1, ::-1],
    "every second": lambda x: np.repeat(x, 2, axis=3)[..., ::2],
    "broadcast": lambda x: np.broadcast_to(x[:1, :1], x.shape),
    "a field of records": lambda x: np.rec.fromarrays([x, x], names="a,b")["a"],
    "unaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
}


@pytest.mark.parametrize("view", VIEWS)
def test_r13_strided_views_give_what_their_copy_gives(view: str) -> None:
    x = VIEWS[view](np.random.default_rng(0).normal(size=(2, 3, 5, 6)).astype(np.float32))
    y = drop_block(x, 0.7, 2, seed=1)
    np.testing.assert_array_equal(y, drop_block(np.ascontiguousarray(x), 0.7, 2, seed=1))
    assert type(y) is np.ndarray
    assert y.flags.writeable


@pytest.mark.parametrize("per_channel", [True, False])
def test_r09_memory_layout_is_preserved_in_torch(per_channel: bool) -> None:
    torch = pytest.importorskip("torch")
    plain = torch.ones(2, 3, 5, 6)
    for x in (plain.to(memory_format=torch.channels_last), plain.mT.contiguous().mT):
        y = drop_block(x, 0.7, 2, seed=1, per_channel=per_channel)
        assert y.stride() == x.stride()
        torch.testing.assert_close(y, drop_block(plain, 0.7, 2, seed=1, per_channel=per_channel), rtol=0, atol=0)


def test_read_only_input_works_and_is_unchanged() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 6))
    before = x.copy()
    x.flags.writeable = False
    y = drop_block(x, 0.7, 2, seed=1)
    np.testing.assert_array_equal(x, before)
    assert y.flags.writeable
    assert not np.shares_memory(x, y)


def test_input_is_unchanged_in_every_library(library: ModuleType) -> None:
    before = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    x = library.asarray(before.copy())
    drop_block(x, 0.6, 3, seed=4)
    np.testing.assert_array_equal(np.asarray(x), before)


def test_r09_bfloat16_is_algorithm_1_bit_for_bit() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x: Any = np.random.default_rng(0).normal(size=(2, 3, 120, 120)).astype(ml_dtypes.bfloat16)
    literal = algorithm1(x, 7, 0.0, "training", sample_seeds(1, 2, 3, 120, 7, gamma(0.9, 7, 120)))
    fast = drop_block(x, 0.9, 7, seed=1)
    assert literal.dtype == fast.dtype == x.dtype
    np.testing.assert_array_equal(fast.view(np.uint16), literal.view(np.uint16))
