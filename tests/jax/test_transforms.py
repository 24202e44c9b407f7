"""drop_block under JAX's transformations: every derivative is the mask times the scale, and little is saved for it."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, lax

from dropblock_jax import drop_block
from tests.shared.comparing import SEEDED, SHAPE, assert_equal

from .support import any_renorm, keyed, normal, seeded

KEYED: dict[str, Any] = {"keep_prob": 0.6, "block_size": 3}


@cache
def forward_and_backward(renorm: str = "tensor") -> Callable[[Array, Array], tuple[Array, Array]]:
    """From `x` and `dy` to `y` and `dx`, compiled."""

    def both(x: Array, dy: Array) -> tuple[Array, Array]:
        y, pull = jax.vjp(lambda x: drop_block(x, **SEEDED, renorm=renorm), x)
        return y, *pull(dy)

    return jax.jit(both)


# --- derivatives ----------------------------------------------------------------------------------------------------


@any_renorm
def test_r07_the_gradient_is_the_mask_times_the_scale(renorm: str) -> None:
    both, x, dy = forward_and_backward(renorm), normal(), normal(seed=1)
    y, dx = both(x, dy)
    factor, _ = both(jnp.ones(SHAPE), dy)  # the mask times the scale: 1 is scaled without rounding
    assert len({*factor.ravel().tolist()}) >= 2
    assert_equal(y, jnp.where(factor == 0, 0, x * factor))
    assert_equal(dx, jnp.where(factor == 0, 0, dy * factor))


def test_r07_every_way_to_a_derivative_gives_the_same() -> None:
    x, v = normal(), normal(seed=1)
    y, expected = forward_and_backward()(x, v)

    def everything(x: Array, v: Array) -> dict[str, Array]:
        _, push = jax.linearize(seeded, x)
        return {
            "grad": jax.grad(lambda x: jnp.vdot(seeded(x), v))(x),
            "jvp": jax.jvp(seeded, (x,), (v,))[1],
            "linearize": push(v),
            "transposed": jax.linear_transpose(push, x)(v)[0],
        }

    for name, derivative in jax.jit(everything)(x, v).items():
        assert_equal(derivative, expected, name)
    primal, pull = jax.vjp(lambda x: drop_block(x, **SEEDED), x)  # outside a program
    assert_equal(primal, y)
    assert_equal(pull(v)[0], expected)


@pytest.mark.parametrize("held", [float("nan"), float("inf"), -1.0])
def test_r07_the_gradient_of_a_dropped_unit_is_plus_zero_whatever_comes(held: float) -> None:
    both, ones = forward_and_backward(), jnp.ones(SHAPE)
    factor, _ = both(ones, ones)
    hostile = jnp.where(factor == 0, held, 1.0)
    for x in (ones, hostile):
        for result in both(x, hostile):
            assert_equal(result, factor)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16], ids=lambda dtype: dtype.__name__)
def test_r09_half_types_multiply_in_float32_and_round_once_both_ways(dtype: Any) -> None:
    both, x, dy = forward_and_backward(), normal(dtype=dtype), normal(dtype=dtype, seed=1)
    y, dx = both(x, dy)
    wide = both(x.astype(jnp.float32), dy.astype(jnp.float32))
    for narrow, exact in zip((y, dx), wide, strict=True):
        assert_equal(narrow, exact.astype(dtype))


def test_gradients_of_gradients_go_on() -> None:
    def second(x: Array, v: Array) -> tuple[Array, Array]:
        slope = jax.grad(lambda x: (seeded(x) ** 3).sum())
        return jax.grad(lambda x: jnp.vdot(slope(x), v))(x), jax.jvp(slope, (x,), (v,))[1]

    x, v = normal(), normal(seed=1)
    factor, _ = forward_and_backward()(jnp.ones(SHAPE), v)
    # d/dx of 3 (s x)^2 s along v: on either side at most eight roundings of 2^-24.
    for result in jax.jit(second)(x, v):
        np.testing.assert_allclose(result, 6 * factor**3 * x * v, rtol=16.1 * 2.0**-24, atol=0)


# --- maps, loops ----------------------------------------------------------------------------------------------------


def test_vmap_over_a_batch_shares_the_mask_and_over_seeds_does_not() -> None:
    batch = normal((3, *SHAPE))
    assert_equal(jax.jit(jax.vmap(seeded))(batch), jnp.stack([seeded(x) for x in batch]))
    words = jnp.array([[3, 0], [4, 0], [0, 2**31]], jnp.uint32)
    one = jax.jit(lambda x, seed: drop_block(x, **KEYED, seed=seed))
    each = [one(x, seed) for x, seed in zip(batch, words, strict=True)]
    assert_equal(jax.jit(jax.vmap(one))(batch, words), jnp.stack(each))


def test_vmap_over_offsets_and_streams_gives_each_its_mask() -> None:
    x, counters = normal(), jnp.array([0, 5, 2**32 - 2], jnp.uint32)

    @jax.jit
    def call(counter: Array) -> Array:
        return drop_block(x, **SEEDED, sample_offset=counter, stream=counter)

    assert_equal(jax.jit(jax.vmap(call))(counters), jnp.stack([call(counter) for counter in counters]))


def test_vmap_of_grad_gives_each_examples_gradient() -> None:
    x, dy = normal((3, *SHAPE)), normal((3, *SHAPE), seed=1)
    words = jnp.array([[3, 0], [4, 0], [0, 2**31]], jnp.uint32)
    slope = jax.grad(lambda x, seed, dy: jnp.vdot(drop_block(x, **KEYED, seed=seed), dy))
    one = jax.jit(slope)
    each = [one(*example) for example in zip(x, words, dy, strict=True)]
    assert_equal(jax.jit(jax.vmap(slope))(x, words, dy), jnp.stack(each))


def test_scan_draws_a_mask_a_step() -> None:
    x, keys = normal(), jax.random.split(jax.random.key(1), 4)
    last, masks = lax.scan(lambda carry, key: (keyed(carry, key),) * 2, x, keys)
    carry = x
    for key, y in zip(keys, masks, strict=True):
        carry = keyed(carry, key)
        assert_equal(y, carry)
    assert_equal(last, carry)


def test_a_scan_differentiates() -> None:
    x, keys = normal(), jax.random.split(jax.random.key(1), 3)
    last = jax.jit(jax.grad(lambda x: lax.scan(lambda x, key: (keyed(x, key), None), x, keys)[0].sum()))(x)
    first, second, third = (keyed(jnp.ones(SHAPE), key) for key in keys)
    assert_equal(last, first * (second * third))  # in the order of the backward pass


# --- recomputation, and what is saved -------------------------------------------------------------------------------


def test_r13_recomputation_meets_the_same_mask() -> None:
    def loss(x: Array, key: Array) -> Array:
        return (keyed(jnp.sin(x), key) ** 2).sum()

    x, key = normal(), jax.random.key(3)
    plain = jax.jit(jax.grad(loss))(x, key)
    assert_equal(jax.jit(jax.grad(jax.checkpoint(loss)))(x, key), plain)
    np.testing.assert_array_equal(plain == 0, keyed(x, key) == 0)


def saved(x: Array, keep_prob: float, block_size: int, **options: Any) -> list[Any]:
    def forward(x: Array) -> Any:
        return jax.vjp(lambda x: drop_block(x, keep_prob, block_size, key=jax.random.key(0), **options), x)[1]

    return jax.tree.leaves(jax.eval_shape(forward, x))


def bytes_of(leaves: list[Any]) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def test_a_gradient_outside_jit_is_one_program_each_way() -> None:
    """Operation by operation it would compile for more than a second for each shape, and take four times as long."""
    program = jax.make_jaxpr(jax.grad(lambda x: drop_block(x, 0.7, 3, seed=5).sum()))(jnp.ones((2, 8, 9, 3)))
    drawing = [eqn.primitive.name for eqn in program.eqns if eqn.primitive.name not in ("iota", "add")]
    assert drawing == ["jit", "reduce_sum", "broadcast_in_dim", "jit"]


FEW_WORDS = 4 * 48  # bytes: the thresholds, at most 32 words, the key, the stream, the scale


def test_the_backward_pass_is_given_the_seeds_which_take_less_than_a_bit_a_unit() -> None:
    x = jnp.ones((4, 14, 14, 64), jnp.bfloat16)
    leaves = saved(x, 0.9, 7)
    assert sum(leaf.shape == (4, 64, 2) and leaf.dtype == jnp.uint32 for leaf in leaves) == 1  # 2 segments a map
    samples = 4 * 4
    assert bytes_of(leaves) <= 4 * (4 * 64 * 2) + samples + FEW_WORDS < x.size / 8


def test_the_backward_pass_draws_anew_where_the_seeds_would_take_more() -> None:
    leaves = saved(jnp.ones((2, 33, 33, 16)), 0.9, 1)  # a row of 33 anchors takes two words
    assert max(leaf.size for leaf in leaves) <= 32  # the thresholds
    assert bytes_of(leaves) <= FEW_WORDS
