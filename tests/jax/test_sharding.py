"""One batch on eight devices: sharded automatically, by shard_map or by hand, it is that on one (rules R8, R13)."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, lax
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from dropblock_jax import Threshold, drop_block
from tests.shared.comparing import assert_equal, assert_is_numpys, numpys
from tests.shared.grid import grid

from .support import keyed, normal, seed_words

DEVICES = 8
SHAPE = (16, 8, 7, 8)
LOCAL = SHAPE[0] // DEVICES
CALL: dict[str, Any] = {"keep_prob": 0.6, "block_size": 3}
SPECS = {
    "batch": P("batch"),
    "rows": P(None, "batch"),
    "channels": P(None, None, None, "batch"),
    "both": P("batch", None, None, "model"),
}


def mesh(kind: AxisType, *sides: int) -> Mesh:
    names = ("batch", "model")[: len(sides)]
    return jax.make_mesh(sides, names, axis_types=(kind,) * len(sides))


AUTO = mesh(AxisType.Auto, DEVICES)


def both(x: Array, dy: Array, seed: Any = 4, **options: Any) -> tuple[Array, Array]:
    y, pull = jax.vjp(lambda x: drop_block(x, **CALL, seed=seed, **options), x)
    return y, *pull(dy)


@cache
def whole(renorm: str = "tensor") -> tuple[Array, Array]:
    """What one device makes of the whole batch."""
    return jax.jit(partial(both, renorm=renorm))(normal(SHAPE), normal(SHAPE, seed=1))


def test_there_are_eight_devices() -> None:
    assert len(jax.devices()) == DEVICES


# --- sharded by the compiler ----------------------------------------------------------------------------------------


@grid(kind=[AxisType.Auto, AxisType.Explicit], spec=SPECS)
def test_r08_a_sharded_array_is_counted_and_dropped_as_the_whole(kind: AxisType, spec: str) -> None:
    sharding = NamedSharding(mesh(kind, *((4, 2) if spec == "both" else (DEVICES,))), SPECS[spec])
    x, dy = (jax.device_put(array, sharding) for array in (normal(SHAPE), normal(SHAPE, seed=1)))
    for result, expected in zip(jax.jit(both)(x, dy), whole(), strict=True):
        assert_equal(result, expected)
        assert result.sharding.is_equivalent_to(sharding, x.ndim)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=str)
def test_r08_eagerly_too(kind: AxisType) -> None:
    sharding = NamedSharding(mesh(kind, DEVICES), SPECS["batch"])
    x = jax.device_put(normal(SHAPE), sharding)
    y = drop_block(x, **CALL, seed=4)
    assert_equal(y, whole()[0])
    assert y.sharding.is_equivalent_to(sharding, x.ndim)
    assert_equal(drop_block(x, 1.0, 3, seed=4), x)


def test_r13_every_operand_may_be_replicated_over_the_mesh() -> None:
    replicated = NamedSharding(AUTO, P())
    operands = jax.device_put(
        (Threshold.of(0.6, 3, SHAPE[1:3]), seed_words(4), jnp.uint32(0), jnp.uint32(0)), replicated
    )
    x = jax.device_put(normal(SHAPE), NamedSharding(AUTO, SPECS["batch"]))

    def call(x: Array, keep_prob: Threshold, seed: Array, sample_offset: Array, stream: Array) -> Array:
        return drop_block(x, keep_prob, 3, seed=seed, sample_offset=sample_offset, stream=stream)

    assert_equal(jax.jit(call)(x, *operands), whole()[0])


# --- sharded by hand ------------------------------------------------------------------------------------------------


def sharded(call: Callable[..., Any], *arrays: Array, kind: AxisType = AxisType.Auto) -> Any:
    """`call` of each device's share of the batch, compiled."""
    devices = mesh(kind, DEVICES)
    each = jax.shard_map(call, mesh=devices, in_specs=P("batch"), out_specs=P("batch"))
    return jax.jit(each)(*jax.device_put(arrays, NamedSharding(devices, P("batch"))))


def first_sample() -> Array:
    return lax.axis_index("batch") * LOCAL


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=str)
def test_r13_shard_map_with_an_offset_and_the_axis_is_the_whole_batch(kind: AxisType) -> None:
    def call(x: Array, dy: Array) -> tuple[Array, Array]:
        return both(x, dy, sample_offset=first_sample(), axis_name="batch")

    for result, expected in zip(sharded(call, normal(SHAPE), normal(SHAPE, seed=1), kind=kind), whole(), strict=True):
        assert_equal(result, expected)


@pytest.mark.parametrize("renorm", ["sample", pytest.param("expected", marks=pytest.mark.exhaustive)])
def test_r13_shard_map_with_an_offset_needs_no_axis_for_other_counts(renorm: str) -> None:
    def call(x: Array, dy: Array) -> tuple[Array, Array]:
        return both(x, dy, sample_offset=first_sample(), renorm=renorm)

    expected = whole(renorm)
    for result, one in zip(sharded(call, normal(SHAPE), normal(SHAPE, seed=1)), expected, strict=True):
        assert_equal(result, one)


def test_r08_without_the_axis_each_device_counts_for_itself() -> None:
    x = normal(SHAPE)
    y = sharded(lambda x: drop_block(x, **CALL, seed=4, sample_offset=first_sample()), x)
    local = [numpys(x[first : first + LOCAL], **CALL, seed=4, sample_offset=first) for first in range(0, len(x), LOCAL)]
    assert_is_numpys(y, np.concatenate(local))
    assert not (y == whole()[0]).all()


def test_r06_keys_folded_by_device_give_each_its_masks() -> None:
    key = jax.random.key(7)

    def call(x: Array) -> Array:
        return drop_block(x, **CALL, key=jax.random.fold_in(key, lax.axis_index("batch")))

    y = sharded(call, jnp.ones(SHAPE))
    shares = np.split(np.asarray(y), DEVICES)
    assert len({share.tobytes() for share in shares}) == DEVICES
    for device in (0, DEVICES - 1):
        own = jax.random.fold_in(key, device)
        assert_equal(shares[device], keyed(jnp.ones((LOCAL, *SHAPE[1:])), own))


def test_a_traced_keep_prob_and_every_other_operand_may_differ_by_device() -> None:
    keep_probs = jnp.arange(1, 1 + DEVICES, dtype=jnp.float32) / 16  # float32 holds gamma for a block of one unit
    words = jnp.arange(2 * DEVICES, dtype=jnp.uint32).reshape(DEVICES, 2)

    def call(x: Array, keep_prob: Array, seed: Array) -> Array:
        number = lax.axis_index("batch")
        return drop_block(x, keep_prob[0], 1, seed=seed[0], sample_offset=number, stream=number)

    y = np.split(np.asarray(sharded(call, jnp.ones(SHAPE), keep_probs, words)), DEVICES)
    threshold = partial(Threshold.of, block_size=1, feat_size=SHAPE[1:3])
    one = jax.jit(lambda x, t, seed, n: drop_block(x, t, 1, seed=seed, sample_offset=n, stream=n))
    for number in range(DEVICES):
        t = threshold(float(keep_probs[number]))
        assert_equal(y[number], one(jnp.ones((LOCAL, *SHAPE[1:])), t, words[number], jnp.uint32(number)))


# --- vmap with a name is an axis too --------------------------------------------------------------------------------


def test_r08_a_named_vmap_counts_over_its_axis() -> None:
    x, dy = normal(SHAPE), normal(SHAPE, seed=1)

    def call(x: Array, dy: Array, number: Array) -> tuple[Array, Array]:
        y, dx = both(x[None], dy[None], sample_offset=number, axis_name="batch")
        return y[0], dx[0]

    mapped = jax.jit(jax.vmap(call, axis_name="batch"))(x, dy, jnp.arange(len(x)))
    for result, expected in zip(mapped, whole(), strict=True):
        assert_equal(result, expected)


def test_r08_the_count_may_go_over_several_axes() -> None:
    x = normal(SHAPE)

    def call(x: Array, outer: Array, inner: Array) -> Array:
        return drop_block(x, **CALL, seed=4, sample_offset=4 * outer + inner, axis_name=("outer", "inner"))

    inner = jax.vmap(call, in_axes=(0, None, 0), axis_name="inner")
    outer = jax.vmap(inner, in_axes=(0, 0, None), axis_name="outer")
    y = jax.jit(outer)(x.reshape(4, 4, 1, *SHAPE[1:]), jnp.arange(4), jnp.arange(4))
    assert_equal(y.reshape(SHAPE), whole()[0])
