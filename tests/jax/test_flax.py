"""dropblock_jax.flax.DropBlock and dropblock_jax.linen.DropBlock, as people use Flax's own Dropout."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import errors, linen, nnx
from jax import Array

import dropblock_jax.linen
from dropblock_jax import Threshold, drop_block
from dropblock_jax.flax import DropBlock
from tests.shared.comparing import SHAPE, assert_equal
from tests.shared.running import Traces

from .support import normal

FEAT = SHAPE[1:3]
ONES = jnp.ones(SHAPE)

# Every option of a layer, with a value that is not its default.
OPTIONS: dict[str, Any] = {
    "per_channel": False,
    "renorm": "map",
    "gamma_scale": 0.25,
    "calibrated": True,
    "stream": 3,
    "data_format": "channels_first",
}


class Model(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.weights = nnx.Param(jnp.ones(SHAPE))
        self.drop = DropBlock(0.6, 3, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.drop(self.weights * x)


def masks(layer: DropBlock, times: int = 3) -> list[bytes]:
    return [np.asarray(layer(ONES) == 0).tobytes() for _ in range(times)]


# --- NNX ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", [None, *OPTIONS])
def test_an_nnx_layer_is_the_function_with_a_key_of_its_stream(option: str | None) -> None:
    options = {option: OPTIONS[option]} if option else {}
    y = DropBlock(0.6, 3, rngs=nnx.Rngs(dropout=5), **options)(normal())
    key = nnx.Rngs(dropout=5).dropout.fork()()
    assert_equal(y, drop_block(normal(), 0.6, 3, key=key, **options))
    assert_equal(DropBlock(0.6, 3, **options)(normal(), seed=4), drop_block(normal(), 0.6, 3, seed=4, **options))


def test_an_nnx_layer_draws_a_mask_a_call_and_layers_of_the_same_rngs_their_own() -> None:
    rngs = nnx.Rngs(0)
    drawn = [mask for layer in (DropBlock(0.6, 3, rngs=rngs), DropBlock(0.6, 3, rngs=rngs)) for mask in masks(layer)]
    assert len(set(drawn)) == 6
    assert masks(DropBlock(0.6, 3, rngs=nnx.Rngs(0))) == masks(DropBlock(0.6, 3, rngs=nnx.Rngs(0)))


def test_an_nnx_layer_takes_rngs_of_every_kind_at_the_call_too() -> None:
    rngs, key = nnx.Rngs(dropout=1, other=2), jax.random.key(3)
    layer = DropBlock(0.6, 3)
    assert_equal(layer(ONES, rngs=key), drop_block(ONES, 0.6, 3, key=key))
    assert_equal(layer(ONES, rngs=rngs), drop_block(ONES, 0.6, 3, key=nnx.Rngs(dropout=1).dropout()))
    assert_equal(layer(ONES, rngs=rngs.other), drop_block(ONES, 0.6, 3, key=nnx.Rngs(other=2).other()))
    other = DropBlock(0.6, 3, rng_collection="other", rngs=nnx.Rngs(dropout=1, other=2))
    assert masks(other) == masks(DropBlock(0.6, 3, rngs=nnx.Rngs(other=2).other))
    with pytest.raises(ValueError, match="DropBlock is not deterministic and has no rngs: give it rngs="):
        layer(ONES)


def test_r01_an_nnx_layer_returns_x_itself_in_evaluation_and_draws_nothing() -> None:
    model = Model(nnx.Rngs(0))
    model.eval()
    count = int(model.drop.rngs.count[...])
    assert model.drop(ONES) is ONES
    assert int(model.drop.rngs.count[...]) == count
    model.train()
    assert (model.drop(ONES) == 0).any()
    assert int(model.drop.rngs.count[...]) == count + 1
    assert model.drop(ONES, deterministic=True) is ONES
    assert DropBlock(0.6, 3, deterministic=True)(ONES) is ONES
    with pytest.raises(ValueError, match="deterministic is neither given here nor to DropBlock"):
        DropBlock(0.6, 3, deterministic=None, rngs=nnx.Rngs(0))(ONES)


def test_an_nnx_layer_is_jitted_and_differentiated() -> None:
    @nnx.jit
    def step(model: Model, x: Array) -> tuple[Array, Any]:
        return nnx.value_and_grad(lambda model, x: model(x).sum())(model, x)

    model, drop = Model(nnx.Rngs(0)), Model(nnx.Rngs(0)).drop
    for _ in range(2):  # a mask a step
        _, grads = step(model, ONES)
        assert_equal(grads["weights"][...], drop(ONES))
    assert int(model.drop.rngs.count[...]) == 2


def test_r12_the_keep_prob_of_an_nnx_layer_changes_without_another_trace() -> None:
    call = Traces(lambda layer, x: layer(x, seed=4))
    jitted = nnx.jit(call)
    layer = DropBlock(jnp.float32(1.0), 1)  # float32 holds the gamma of a block of one unit
    for keep_prob in (1.0, 0.75, 0.5):
        layer.keep_prob = jnp.float32(keep_prob)
        assert_equal(jitted(layer, ONES), drop_block(ONES, keep_prob, 1, seed=4))
    assert call.count == 1


def test_r12_a_threshold_in_an_nnx_layer_changes_without_another_trace() -> None:
    call = Traces(lambda layer, x: layer(x, seed=4))
    jitted = nnx.jit(call)
    layer = DropBlock(Threshold.of(1.0, 3, FEAT), 3)
    for keep_prob in (1.0, 0.9, 0.6):
        threshold = Threshold.of(keep_prob, 3, FEAT)
        layer.keep_prob = nnx.data(threshold)
        assert_equal(jitted(layer, ONES), drop_block(ONES, threshold, 3, seed=4))
    assert call.count == 1
    at_the_call = Traces(lambda layer, x, keep_prob: layer(x, keep_prob=keep_prob, seed=4))
    jitted = nnx.jit(at_the_call)
    for keep_prob in (1.0, 0.9, 0.6):
        threshold = Threshold.of(keep_prob, 3, FEAT)
        assert_equal(jitted(layer, ONES, threshold), drop_block(ONES, threshold, 3, seed=4))
    assert at_the_call.count == 1


def test_r12_an_nnx_layer_resumes_with_the_next_masks() -> None:
    model = Model(nnx.Rngs(0))
    masks(model.drop, 2)
    checkpoint = jax.tree.map(lambda leaf: leaf, nnx.to_pure_dict(nnx.state(model)))
    expected = masks(model.drop)
    for other in (Model(nnx.Rngs(99)), model):  # resumed elsewhere, and rewound
        state = nnx.state(other)
        nnx.replace_by_pure_dict(state, checkpoint)
        nnx.update(other, state)
        assert masks(other.drop) == expected
    assert len(set(expected)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 0.1}, "DropBlock() takes no 'rate'"),
        ({"drop_prob": 0.1}, "pass keep_prob=0.9 for drop_prob=0.1"),
        ({"blok_size": 3}, "DropBlock() got an unexpected keyword argument 'blok_size'"),
        ({"training": True}, "DropBlock() got an unexpected keyword argument 'training'"),
        ({"rngs": 5}, "rngs=5 is a int: pass nnx.Rngs(...), or one of its streams"),
    ],
)
def test_r14_an_nnx_layer_refuses_unknown_arguments_when_it_is_made(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        DropBlock(0.9, 3, **arguments)
    assert message in str(caught.value)


# --- Linen ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", [None, *OPTIONS])
def test_a_linen_layer_is_the_function(option: str | None) -> None:
    options = {option: OPTIONS[option]} if option else {}
    layer = dropblock_jax.linen.DropBlock(0.6, 3, deterministic=False, **options)
    key = jax.random.key(1)
    assert_equal(layer.apply({}, normal(), rng=key), drop_block(normal(), 0.6, 3, key=key, **options))


def test_a_linen_layer_draws_from_its_collection() -> None:
    class Net(linen.Module):
        @linen.compact
        def __call__(self, x: Array, train: bool) -> tuple[Array, Array]:
            first = dropblock_jax.linen.DropBlock(0.6, 3)(x, deterministic=not train)
            second = dropblock_jax.linen.DropBlock(0.6, 3, rng_collection="other")(x, deterministic=not train)
            return first, second

    net, keys = Net(), {"dropout": jax.random.key(0), "other": jax.random.key(0)}
    assert not jax.tree.leaves(net.init(keys, ONES, False))
    first, second = net.apply({}, ONES, True, rngs=keys)
    assert not (first == second).all()
    assert_equal(net.apply({}, ONES, True, rngs=keys)[0], first)
    other = net.apply({}, ONES, True, rngs=keys | {"dropout": jax.random.key(1)})
    assert not (other[0] == first).all()
    assert_equal(other[1], second)
    assert all(y is ONES for y in net.apply({}, ONES, False))
    with pytest.raises(errors.InvalidRngError, match="other"):
        net.apply({}, ONES, True, rngs={"dropout": jax.random.key(0)})


def test_a_linen_layer_is_deterministic_where_it_is_said_and_only_once() -> None:
    layer = dropblock_jax.linen.DropBlock(0.6, 3)
    assert layer.apply({}, ONES, deterministic=True) is ONES
    assert layer.copy(deterministic=True).apply({}, ONES) is ONES
    for twice, said in ((layer, {}), (layer.copy(deterministic=True), {"deterministic": True})):
        with pytest.raises(ValueError, match="deterministic"):
            twice.apply({}, ONES, **said)
    with pytest.raises(errors.InvalidRngError, match="dropout"):
        layer.apply({}, ONES, deterministic=False)


def test_r12_a_keep_prob_at_a_linen_layers_call_needs_no_other_trace() -> None:
    layer, key = dropblock_jax.linen.DropBlock(0.9, 3, deterministic=False), jax.random.key(2)
    call = Traces(lambda x, keep_prob: layer.apply({}, x, keep_prob=keep_prob, rng=key))
    jitted = jax.jit(call)
    for keep_prob in (1.0, 0.9, 0.6):
        threshold = Threshold.of(keep_prob, 3, FEAT)
        assert_equal(jitted(ONES, threshold), drop_block(ONES, threshold, 3, key=key))
    assert call.count == 1


def test_r14_a_linen_layer_refuses_unknown_arguments() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'rate'"):
        dropblock_jax.linen.DropBlock(rate=0.1)


def test_r14_deterministic_is_a_bool() -> None:
    for call in (
        lambda: DropBlock(0.6, 3, rngs=nnx.Rngs(0))(ONES, deterministic="False"),
        lambda: dropblock_jax.linen.DropBlock(0.6, 3).apply({}, ONES, "False"),
    ):
        with pytest.raises(TypeError, match="deterministic='False' is not a bool"):
            call()


def test_an_nnx_graph_is_hashable_as_that_of_nnx_dropout() -> None:
    graph, state = nnx.split(DropBlock(0.6, 3, rngs=nnx.Rngs(0)))
    jax.jit(lambda graph, state, x: nnx.merge(graph, state)(x), static_argnums=0)(graph, state, jnp.ones((2, 8, 8, 3)))


def test_r01_nnx_view_sets_deterministic_as_on_nnx_dropout() -> None:
    x = jnp.ones((2, 8, 8, 3))
    assert nnx.view(DropBlock(0.6, 3, rngs=nnx.Rngs(0)), deterministic=True)(x) is x
