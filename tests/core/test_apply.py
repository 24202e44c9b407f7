"""drop_block: what it keeps, drops and scales (rules R6, R7, R8, R10), in NumPy and in every array library."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from dropblock_core import algorithm1, block_mask, drop_block, expected_keep, gamma, sample_seeds
from dropblock_core.stream import Segments
from tests.shared.grid import grid
from tests.shared.strategies import SEEDS, STREAMS, geometries, offsets

from .support import but_jax

RENORMS = ["tensor", "sample", "map", "expected", "none"]
KEEP_PROBS = st.floats(0, 1, exclude_max=True)

# One shape for most tests, and few for the rest: JAX compiles each operation anew for each shape.
SHAPE, BLOCK = (2, 3, 8, 8), (3, 3)
FEW_GEOMETRIES = st.sampled_from(
    [
        Segments.of(SHAPE[2:], BLOCK),
        Segments.of((70,), (5,)),
        Segments.of((3, 40), (3, 4)),
        Segments.of((3, 4, 5), (2, 2, 1)),
    ]
)

# What rule R9 leaves to a library: 2 ulp of float32 for the scale and half an ulp for the product, with their cross
# terms. An ulp is at most 2^-23 of the number.
FLOAT32_RTOL = 2.5 * 2.0**-23 + 2.0**-44


def mask_of(
    shape: tuple[int, ...], keep_prob: float, block: tuple[int, ...], seed: int, *, per_channel: bool = True
) -> np.ndarray[Any, Any]:
    """The mask M that a call must use, True = kept."""
    samples, channels, *feat = shape
    g = gamma(keep_prob, block, tuple(feat))
    seeds = sample_seeds(seed, samples, channels if per_channel else 1, tuple(feat), block, g)
    return np.broadcast_to(block_mask(seeds, block, tuple(feat)), shape)


def exact_scale(kept: np.ndarray[Any, Any], renorm: str, expected: float) -> np.ndarray[Any, Any]:
    """Line 8's factor in float64, broadcastable to the mask (rule R8)."""
    if renorm in ("none", "expected"):
        return np.full((1,) * kept.ndim, 1.0 if renorm == "none" else 1 / expected if expected else 0.0)
    axes = tuple(range({"tensor": 0, "sample": 1, "map": 2}[renorm], kept.ndim))
    return np.asarray(kept.size / np.maximum(kept.mean(axis=axes, keepdims=True) * kept.size, 1))


@settings(max_examples=60)
@given(
    data=st.data(), segments=geometries(largest_row=20), keep_prob=KEEP_PROBS, seed=SEEDS, stream=STREAMS,
    dtype=st.sampled_from(["f2", "f4", "f8"]),
)  # fmt: skip
def test_r13_drop_block_is_algorithm_1_bit_for_bit(
    data: st.DataObject, segments: Segments, keep_prob: float, seed: int, stream: int, dtype: str
) -> None:
    feat, block = segments.feat, segments.block
    x = np.random.default_rng(seed).normal(size=(2, 2, *feat)).astype(dtype)
    # Zeros of both signs, subnormals, the largest, infinity and NaN among them.
    x.flat[:20] = data.draw(npst.arrays(dtype, min(20, x.size), elements=npst.from_dtype(x.dtype)))
    offset = data.draw(offsets(2))
    g = gamma(keep_prob, block, feat)
    seeds = sample_seeds(seed, 2, 2, feat, block, g, sample_offset=offset, stream=stream)
    with np.errstate(all="ignore"):  # x may hold infinity or NaN, or overflow when scaled
        literal = algorithm1(x, block, g, "training", seeds)
        fast = drop_block(x, keep_prob, block, seed=seed, sample_offset=offset, stream=stream)
    assert fast.dtype == literal.dtype == x.dtype
    np.testing.assert_array_equal(fast, literal)
    np.testing.assert_array_equal(np.signbit(fast), np.signbit(literal))


any_call = given(
    segments=FEW_GEOMETRIES, keep_prob=KEEP_PROBS, seed=SEEDS, stream=STREAMS, sample_offset=offsets(2),
    per_channel=st.booleans(), renorm=st.sampled_from(RENORMS), calibrated=st.booleans(),
)  # fmt: skip


@but_jax
@settings(max_examples=7)
@any_call
def test_r13_every_library_gives_the_mask_of_numpy(library: ModuleType, **call: Any) -> None:
    assert_mask_is_numpys(library, **call)


@settings(max_examples=2)  # each is compiled operation by operation
@any_call
def test_r13_jax_gives_the_mask_of_numpy(**call: Any) -> None:
    assert_mask_is_numpys(pytest.importorskip("jax.numpy"), **call)


def assert_mask_is_numpys(library: ModuleType, segments: Segments, keep_prob: float, **options: Any) -> None:
    x = np.random.default_rng(0).uniform(1, 2, (2, 3, *segments.feat)).astype(np.float32)
    expected = drop_block(x, keep_prob, segments.block, **options)
    y = np.asarray(drop_block(library.asarray(x), keep_prob, segments.block, **options))
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y == 0, expected == 0)
    # Both are within R9's tolerance of the exact value.
    np.testing.assert_allclose(y, expected, rtol=2 * FLOAT32_RTOL)


@grid(renorm=RENORMS, per_channel=[True, False])
def test_r08_scales_by_the_count_of_its_scope(library: ModuleType, renorm: str, per_channel: bool) -> None:
    x = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    kept = mask_of(SHAPE, 0.6, BLOCK, 5, per_channel=per_channel)
    y = drop_block(library.asarray(x), 0.6, BLOCK, seed=5, per_channel=per_channel, renorm=renorm)
    expected = expected_keep(gamma(0.6, BLOCK, SHAPE[2:]), BLOCK, SHAPE[2:])
    np.testing.assert_allclose(np.asarray(y), x * kept * exact_scale(kept, renorm, expected), rtol=FLOAT32_RTOL)


def test_r08_tensor_is_the_default(library: ModuleType) -> None:
    x = library.asarray(np.ones(SHAPE, np.float32))
    tensor = drop_block(x, 0.8, 3, seed=1, renorm="tensor")
    np.testing.assert_array_equal(np.asarray(drop_block(x, 0.8, 3, seed=1)), np.asarray(tensor))


def test_r08_expected_is_0_where_nothing_can_be_kept(library: ModuleType) -> None:
    x = library.asarray(np.ones(SHAPE, np.float32))
    assert expected_keep(gamma(0.0, 1, SHAPE[2:]), 1, SHAPE[2:]) == 0
    assert not np.asarray(drop_block(x, 0.0, 1, seed=0, renorm="expected")).any()


def test_r06_masks_are_independent_per_sample_and_channel() -> None:
    y = drop_block(np.ones((6, 5, 12, 12), np.float32), 0.7, 3, seed=2)
    assert len({(mask == 0).tobytes() for mask in y.reshape(30, 12, 12)}) == 30


def test_r06_channels_share_the_mask_of_a_sample_on_request(library: ModuleType) -> None:
    x = library.asarray(np.ones(SHAPE, np.float32))
    dropped = np.asarray(drop_block(x, 0.6, BLOCK, seed=2, per_channel=False)) == 0
    np.testing.assert_array_equal(~dropped, mask_of(SHAPE, 0.6, BLOCK, 2, per_channel=False))
    assert (dropped == dropped[:, :1]).all()
    assert (dropped[0] != dropped[1]).any()


@grid(held=[np.nan, np.inf, -np.inf, -1.0, -0.0], renorm=RENORMS)
def test_r07_a_dropped_unit_is_plus_zero_whatever_it_held(library: ModuleType, held: float, renorm: str) -> None:
    kept = mask_of(SHAPE, 0.6, BLOCK, 4)
    x = np.where(kept, 1, held).astype(np.float32)
    y = np.asarray(drop_block(library.asarray(x), 0.6, BLOCK, seed=4, renorm=renorm))
    assert (y[~kept] == 0).all()
    assert not np.signbit(y[~kept]).any()
    assert (y[kept] >= 1).all()


@pytest.mark.parametrize("held", [np.inf, np.finfo(np.float32).max], ids=["infinity", "largest"])
@pytest.mark.parametrize(("keep_prob", "renorm"), [(0.5, "tensor"), (0.5, "none"), (0.0, "expected")])
def test_r07_what_a_dropped_unit_held_gives_no_warning(held: float, keep_prob: float, renorm: str) -> None:
    # Warnings are errors here: inf * 0 or an overflow of what is dropped anyway would fail.
    kept = mask_of((1, 2, 40), keep_prob, (1,), 0)
    x = np.where(kept, 1, held).astype(np.float32)
    assert not drop_block(x, keep_prob, 1, seed=0, renorm=renorm)[~kept].any()


def test_r07_nan_in_a_kept_unit_stays(library: ModuleType) -> None:
    kept = mask_of(SHAPE, 0.6, BLOCK, 4)
    y = np.asarray(drop_block(library.asarray(np.full(kept.shape, np.nan, np.float32)), 0.6, BLOCK, seed=4))
    np.testing.assert_array_equal(np.isnan(y), kept)


@pytest.mark.parametrize("renorm", RENORMS)
def test_r10_nothing_kept_gives_zeros(library: ModuleType, renorm: str) -> None:
    # One anchor and gamma 1: the block is the map, whatever the seed.
    for x in (np.ones(SHAPE, np.float32), np.full(SHAPE, np.nan, np.float32)):
        y = np.asarray(drop_block(library.asarray(x), 0.0, 8, seed=0, renorm=renorm))
        np.testing.assert_array_equal(y, np.zeros_like(x))
        assert not np.signbit(y).any()


def test_r10_a_sample_or_map_that_keeps_nothing_leaves_the_others_alone(library: ModuleType) -> None:
    kept = mask_of(SHAPE, 0.5, (8, 8), 1)  # a block the size of the map
    alive = kept.any(axis=(2, 3))
    assert 0 < alive.sum() < alive.size
    y = drop_block(library.asarray(np.ones(SHAPE, np.float32)), 0.5, 8, seed=1, renorm="map")
    np.testing.assert_array_equal(np.asarray(y), kept.astype(np.float32))


def gradient(name: str, x: np.ndarray[Any, Any], **arguments: Any) -> np.ndarray[Any, Any]:
    """The gradient of the sum of `drop_block` by the library's own differentiation."""
    if name == "torch":
        torch = pytest.importorskip("torch")
        leaf = torch.tensor(x, requires_grad=True)
        drop_block(leaf, **arguments).sum().backward()
        return np.asarray(leaf.grad)
    jax = pytest.importorskip("jax")
    return np.asarray(jax.grad(lambda a: drop_block(a, **arguments).sum())(jax.numpy.asarray(x)))


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_r07_gradient_is_mask_times_scale_whatever_a_dropped_unit_held(name: str) -> None:
    kept = mask_of(SHAPE, 0.6, BLOCK, 4)
    dx = gradient(name, np.where(kept, 1, np.nan).astype(np.float32), keep_prob=0.6, block_size=BLOCK, seed=4)
    np.testing.assert_allclose(dx, kept * (kept.size / kept.sum()), rtol=FLOAT32_RTOL)


@pytest.mark.parametrize("name", ["torch", "jax"])
@pytest.mark.parametrize("renorm", RENORMS)
def test_r10_nothing_kept_gives_a_zero_gradient(name: str, renorm: str) -> None:
    x = np.full(SHAPE, np.nan, np.float32)
    assert not gradient(name, x, keep_prob=0.0, block_size=8, seed=0, renorm=renorm).any()


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_fresh_memory_is_never_read(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 9, 9)).astype(dtype)
    expected = drop_block(x, 0.7, 3, seed=6)
    empty, empty_like = np.empty, np.empty_like

    def poisoned(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        array.fill(np.nan if array.dtype.kind == "f" else 113)
        return array

    monkeypatch.setattr(np, "empty", lambda *args, **kwargs: poisoned(empty(*args, **kwargs)))
    monkeypatch.setattr(np, "empty_like", lambda *args, **kwargs: poisoned(empty_like(*args, **kwargs)))
    np.testing.assert_array_equal(drop_block(x, 0.7, 3, seed=6), expected)
