"""What drop_block makes of its input (rules R1, R7, R8, R9, R10): zeros, scale, dtype, shape, and x itself."""

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dropblock_core import sample_seeds
from dropblock_jax import Threshold, drop_block
from tests.shared.comparing import RENORMS, SEEDED, SHAPE, assert_equal

from .support import any_renorm, normal

NOTHING_KEPT: dict[str, Any] = {"keep_prob": 0.0, "block_size": 9, "seed": 0}  # one anchor and gamma 1, on any map


@pytest.mark.parametrize("held", [float("nan"), float("inf"), -float("inf"), -1.0, -0.0])
def test_r07_a_dropped_unit_is_plus_zero_whatever_it_held(held: float) -> None:
    dropped = drop_block(jnp.ones(SHAPE), **SEEDED) == 0
    assert 0 < dropped.sum() < dropped.size
    y = drop_block(jnp.where(dropped, held, 1.0), **SEEDED)
    assert (y[dropped] == 0).all()
    assert not jnp.signbit(y[dropped]).any()
    assert (y[~dropped] > 1).all()


def test_r07_nan_in_a_kept_unit_stays() -> None:
    dropped = drop_block(jnp.ones(SHAPE), **SEEDED) == 0
    y = drop_block(jnp.full(SHAPE, jnp.nan), **SEEDED)
    np.testing.assert_array_equal(jnp.isnan(y), ~dropped)


@any_renorm
def test_r10_nothing_kept_gives_zeros_and_a_gradient_of_zeros(renorm: str) -> None:
    @jax.jit
    def both(x: Any, dy: Any) -> Any:
        y, pull = jax.vjp(lambda x: drop_block(x, **NOTHING_KEPT, renorm=renorm), x)
        return y, *pull(dy)

    for held in (1.0, -jnp.inf, jnp.nan):
        for zeros in both(jnp.full(SHAPE, held), jnp.full(SHAPE, -held)):
            assert_equal(zeros, jnp.zeros(SHAPE))


def test_r10_a_map_that_keeps_nothing_leaves_the_others_alone() -> None:
    y = jax.jit(lambda x: drop_block(x, 0.5, 6, seed=1, renorm="map"))(jnp.ones((4, 6, 6, 5)))
    alive = np.asarray(y).any(axis=(1, 2), keepdims=True)
    assert 0 < alive.sum() < alive.size
    assert_equal(y, np.broadcast_to(alive, y.shape).astype(np.float32))


@pytest.mark.parametrize("renorm", ["tensor", "sample"])
def test_r08_the_scale_is_count_over_count_ones_of_the_scope(renorm: str) -> None:
    y = np.asarray(drop_block(jnp.ones(SHAPE), **SEEDED, renorm=renorm))
    axes = {"tensor": None, "sample": (1, 2, 3)}[renorm]
    kept = (y != 0).mean(axis=axes, keepdims=True, dtype=np.float64)
    # The scale is within 2 ulp, and an ulp is at most 2^-23 of it; the mean in float64 adds nothing that shows.
    np.testing.assert_allclose(y, (y != 0) / kept, rtol=2.01 * 2.0**-23, atol=0)


def test_r09_the_scale_does_not_overflow_in_half_precision() -> None:
    x = jnp.ones((2, 70, 70, 8), jnp.float16)  # 78,400 units: the count itself is beyond float16
    y = jax.jit(lambda x: drop_block(x, 0.9, 7, seed=0))(x)
    kept = int((y != 0).sum())
    assert kept >= 65_520
    assert y.max() == jnp.float32(x.size / kept).astype(jnp.float16)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_r09_a_product_in_half_precision_is_rounded_once(dtype: Any) -> None:
    x = normal(dtype=dtype)
    scales = drop_block(jnp.ones(SHAPE), **SEEDED)  # in float32, and 0 where dropped
    assert scales.max() != scales.max().astype(dtype)  # a scale that was rounded too would show
    assert_equal(drop_block(x, **SEEDED), (x.astype(jnp.float32) * scales).astype(dtype) + dtype(0))  # -0 to +0


def test_r09_the_scale_is_within_2_ulp_where_counts_are_beyond_float32() -> None:
    feat = (4099, 4099)  # an odd number of units above 2^24
    y = np.asarray(jax.jit(lambda x: drop_block(x, 0.999, 1, seed=3))(jnp.ones((1, *feat, 1))))[0, ..., 0]
    kept = np.count_nonzero(y)
    assert kept > 2**24
    seeds = sample_seeds(3, 1, 1, feat, 1, 1.0 - 0.999)[0, 0]
    np.testing.assert_array_equal(y == 0, seeds)
    exact = Fraction(feat[0] * feat[1], kept)
    assert abs(Fraction(float(y.max())) - exact) <= 2 * Fraction(1, 2**23)  # an ulp of a number in [1, 2)


@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (2, 4, 4, 0), (0, 4, 0)])
def test_r14_empty_batches_and_zero_channels_pass_through(shape: tuple[int, ...]) -> None:
    x = jnp.ones(shape)
    for renorm in RENORMS:
        for per_channel in (True, False):
            assert drop_block(x, 0.5, 3, seed=1, renorm=renorm, per_channel=per_channel) is x
    assert drop_block(x, Threshold.of(0.5, 3, 4), 3, seed=1) is x
    compiled = jax.jit(jax.value_and_grad(lambda x, keep_prob: drop_block(x, keep_prob, 3, seed=1).sum()))
    assert compiled(x, 0.5)[1].shape == shape


def test_r01_inference_and_keep_prob_1_return_x_itself() -> None:
    x = normal()
    key = jax.random.key(0)
    for y in (
        drop_block(x, 0.5, training=False),
        drop_block(x, 0.5, training=False, key=key),
        drop_block(x, Threshold.of(0.5, 7, (8, 9)), training=False),
        drop_block(x, 1.0, key=key),
        drop_block(x, 1, seed=4),
        drop_block(x, np.float32(1), seed=4),
        drop_block(x, jnp.float32(1), seed=4),
    ):
        assert y is x

    def inside(x: Any) -> Any:
        assert drop_block(x, 0.5, training=False) is x
        assert drop_block(x, 1.0, seed=4) is x
        return x

    jax.jit(inside)(x)


def test_r01_a_threshold_of_keep_prob_1_changes_nothing() -> None:
    x = normal().at[0, 0, 0].set(jnp.array([jnp.inf, jnp.nan, -0.0]))
    for renorm in ("tensor", "expected"):
        assert_equal(drop_block(x, Threshold.of(1.0, 3, (8, 9)), 3, seed=4, renorm=renorm), x)


def test_the_input_is_left_alone() -> None:
    x = normal()
    before = np.asarray(x).copy()
    drop_block(x, **SEEDED)
    np.testing.assert_array_equal(x, before)


def test_r09_the_strict_promotion_of_dtypes_is_met() -> None:
    with jax.numpy_dtype_promotion("strict"):  # which types meet is settled by the trace
        y = jax.eval_shape(lambda x: drop_block(x, **SEEDED), jnp.ones(SHAPE, jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
