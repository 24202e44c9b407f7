"""Rematerialisation on Keras's backends: one mask in both passes, or a refusal; `test_keras` runs it once for each."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from dropblock_keras import DropBlock2D, remat

BACKEND = keras.backend.backend()
ONES = np.ones((2, 8, 9, 3), "float32")
SAYS = "use dropblock_keras.remat"


def only_on(*backends: str) -> Any:
    """No test elsewhere: there is nothing to test."""
    return lambda test: test if BACKEND in backends else None


def array(x: Any) -> np.ndarray[Any, Any]:
    return np.asarray(keras.ops.convert_to_numpy(x))


def with_gradient(f: Callable[[Any], Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """`f` of ones, and the gradient of its sum."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        x = tf.constant(ONES)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return array(y), array(tape.gradient(y, x))
    if BACKEND == "torch":
        import torch

        x = torch.tensor(ONES, requires_grad=True)
        y = f(x)
        y.sum().backward()
        return array(y.detach()), array(x.grad)
    import jax

    y, pull = jax.vjp(f, jax.numpy.asarray(ONES))
    return array(y), array(pull(jax.numpy.ones_like(y))[0])


def layer(seed: int = 1) -> DropBlock2D:
    return DropBlock2D(0.7, 3, seed=seed)


def once(drop: Any) -> Any:
    return lambda x: drop(x, training=True)


def twice(drop: Any) -> Any:
    return lambda x: drop(drop(x, training=True), training=True)


def by_keyword(drop: Any) -> Any:
    rematerialised = remat(lambda *, pair, training: drop(pair["x"], training=training))
    return lambda x: rematerialised(pair={"x": x, "none": None}, training=True)


def within(drop: Any) -> Any:
    inner = remat(once(drop))
    return remat(lambda x: inner(drop(inner(x), training=True)))


PATHS = {
    "the layer": (lambda drop: once(remat(drop)), once),
    "a function": (lambda drop: remat(once(drop)), once),
    "two draws": (lambda drop: remat(twice(drop)), twice),
    "two calls": (lambda drop: twice(remat(drop)), twice),
    "keywords": (by_keyword, once),
    "remat in remat": (within, lambda drop: lambda x: once(drop)(twice(drop)(x))),
    "no training": (remat, lambda drop: drop),
}


@pytest.mark.parametrize("path", PATHS)
def test_r13_remat_meets_the_masks_of_the_plain_layer_in_both_passes(path: str) -> None:
    rematerialised, plain = PATHS[path]
    ours, theirs = layer(), layer()
    f, g = rematerialised(ours), plain(theirs)
    for _ in range(2):
        y, dx = with_gradient(f)
        expected, slope = with_gradient(g)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(dx, slope)
        np.testing.assert_array_equal(dx != 0, y != 0)
    assert array(ours.seed_generator.state).tolist() == array(theirs.seed_generator.state).tolist()


class Block(keras.layers.Layer):
    """A convolution and two DropBlocks, which learn from the layer whether they are in training."""

    def __init__(self, rematerialise: Any, **options: Any) -> None:
        super().__init__(**options)
        self.conv = keras.layers.Conv2D(3, 3, padding="same")
        self.drop, self.again = layer(1), layer(2)
        self.inner = rematerialise(lambda x: self.again(self.drop(self.conv(x))))

    def build(self, shape: Any) -> None:
        self.conv.build(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.inner(x)


def trained(rematerialise: Any) -> list[np.ndarray[Any, Any]]:
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 9, 3))
    model = keras.Model(x, Block(rematerialise)(x))
    model.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=BACKEND == "jax")
    data = np.random.default_rng(0).normal(size=(4, 8, 9, 3)).astype("float32")
    model.fit(data, data, batch_size=2, epochs=2, shuffle=False, verbose=0)
    generators = [array(drop.seed_generator.state) for drop in (model.layers[1].drop, model.layers[1].again)]
    return [*model.get_weights(), *generators]


def test_r13_a_model_trains_to_the_same_weights_with_remat_as_without() -> None:
    plain = trained(lambda f: f)
    for ours, theirs in zip(trained(remat), plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert [weights.tolist() for weights in plain[-2:]] == [[1, 4], [2, 4]]


REFUSED = {
    "keras.remat": lambda drop: keras.remat(once(drop)),
    "keras.remat in remat": lambda drop: remat(keras.remat(once(drop))),
    "remat in keras.remat": lambda drop: keras.remat(remat(once(drop))),
}


@pytest.mark.parametrize("path", REFUSED)
def test_r13_keras_remat_is_refused_and_nothing_drawn(path: str) -> None:
    drop = layer()
    with pytest.raises(ValueError, match=SAYS):
        with_gradient(REFUSED[path](drop))
    assert array(drop.seed_generator.state).tolist() == [1, 0]
    y, dx = with_gradient(once(drop))  # a refusal leaves nothing behind
    np.testing.assert_array_equal(dx, y)


def test_r01_keras_remat_in_inference_is_not_refused() -> None:
    y, dx = with_gradient(keras.remat(layer()))
    np.testing.assert_array_equal(y, ONES)
    np.testing.assert_array_equal(dx, ONES)


@pytest.mark.parametrize("mode", ["full", "activations", "larger_than", "list_of_layers"])
def test_r13_a_layer_made_in_a_remat_scope_has_one_mask(mode: str) -> None:
    with keras.RematScope(mode, output_size_threshold=1, layer_names=["drop"]):
        drop = DropBlock2D(0.7, 3, seed=1, name="drop")
    y, dx = with_gradient(once(drop))
    np.testing.assert_array_equal(dx, y)
    np.testing.assert_array_equal(y, array(layer()(ONES, training=True)))


@only_on("tensorflow", "torch")  # on JAX, Keras's own remat scopes take no flags such as training
def test_r13_a_remat_scope_around_what_holds_a_layer_is_refused() -> None:
    with keras.RematScope("list_of_layers", layer_names=["around"]):
        around = Block(lambda f: f, name="around")
    with pytest.raises(ValueError, match=SAYS):
        with_gradient(lambda x: around(x, training=True))


def test_r13_a_stateless_call_has_its_states_by_argument() -> None:
    model = keras.Sequential([keras.Input(ONES.shape[1:]), layer()])
    state = [variable.value for variable in model.non_trainable_variables]
    y, dx = with_gradient(keras.remat(lambda x: model.stateless_call([], state, x, training=True)[0]))
    np.testing.assert_array_equal(dx, y)
    assert (y == 0).any()


@only_on("tensorflow", "jax")
def test_r13_a_program_inside_remat_is_refused() -> None:
    drop = layer()
    if BACKEND == "jax":
        import jax

        program = jax.jit(once(drop))
    else:
        import tensorflow as tf

        program = tf.function(once(drop), autograph=False)
    with pytest.raises(ValueError, match="compile what is rematerialised as a whole"):
        with_gradient(remat(program))
    assert array(drop.seed_generator.state).tolist() == [1, 0]
