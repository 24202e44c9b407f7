"""dropblock_jax.equinox.DropBlock, as people use Equinox's own Dropout; and what the package imports."""

import inspect
from types import ModuleType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from jax import Array

import dropblock_jax
from dropblock_jax import Threshold, drop_block
from dropblock_jax.equinox import DropBlock
from tests.shared.comparing import assert_equal
from tests.shared.running import Traces, run_python

from .support import normal

BATCH, SAMPLE = (4, 3, 8, 9), (3, 8, 9)
ONES = jnp.ones(SAMPLE)
KEY = jax.random.key(5)
OPTIONS: dict[str, Any] = {"per_channel": False, "renorm": "map", "gamma_scale": 0.25, "calibrated": True, "stream": 3}


def one(x: Array, keep_prob: Any = 0.6, block_size: int = 3, **options: Any) -> Array:
    """What the function makes of one sample, channels first."""
    return drop_block(x[None], keep_prob, block_size, data_format="channels_first", **options)[0]


# --- the layer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", [None, *OPTIONS])
def test_a_layer_is_the_function_of_one_sample(option: str | None) -> None:
    options = {option: OPTIONS[option]} if option else {}
    layer, x = DropBlock(0.6, 3, **options), normal(SAMPLE)
    assert_equal(layer(x, key=KEY), one(x, key=KEY, **options))
    assert_equal(layer(x, seed=4), one(x, seed=4, **options))


def test_r01_inference_returns_x_itself() -> None:
    layer = DropBlock(0.6, 3)
    assert layer(ONES, inference=True) is ONES
    assert DropBlock(0.6, 3, inference=True)(ONES) is ONES
    model = eqx.nn.Sequential([eqx.nn.Conv2d(3, 3, 1, key=KEY), layer])
    for_inference = eqx.nn.inference_mode(model)
    assert_equal(for_inference(ONES), model[0](ONES))
    assert (for_inference[1](ONES, key=KEY, inference=False) == 0).any()
    assert (eqx.nn.inference_mode(for_inference, value=False)(ONES, key=KEY) == 0).any()
    with pytest.raises(ValueError, match=r"^key=None and seed=None"):
        model(ONES)


def test_r08_a_named_vmap_counts_over_the_batch() -> None:
    x, keys = normal(BATCH), jax.random.split(KEY, BATCH[0])
    together = DropBlock(0.6, 3, axis_name="batch")
    y = jax.jit(jax.vmap(lambda x, key: together(x, key=key), axis_name="batch"))(x, keys)
    alone = jax.jit(jax.vmap(lambda x, key: DropBlock(0.6, 3)(x, key=key)))(x, keys)
    kept = alone != 0
    scale = jnp.float32(kept.size) / jnp.float32(kept.sum())
    assert_equal(y, jnp.where(kept, x * scale, 0))
    assert not (alone == y).all()


def test_a_model_is_jitted_and_differentiated() -> None:
    @eqx.filter_jit
    @eqx.filter_grad
    def slope(x: Array, layer: DropBlock, key: Array) -> Array:
        return layer(x, key=key).sum()

    assert_equal(slope(normal(SAMPLE), DropBlock(0.6, 3), KEY), one(ONES, key=KEY))


def test_r12_a_keep_prob_that_is_an_array_changes_without_another_trace() -> None:
    call = Traces(lambda layer, x: layer(x, seed=4))
    jitted = eqx.filter_jit(call)
    layer = DropBlock(jnp.float32(1.0), 1)  # float32 holds the gamma of a block of one unit
    for keep_prob in (1.0, 0.75, 0.5):
        layer = eqx.tree_at(lambda layer: layer.keep_prob, layer, jnp.float32(keep_prob))
        assert_equal(jitted(layer, ONES), one(ONES, keep_prob, 1, seed=4))
    assert call.count == 1


def test_r12_a_threshold_changes_without_another_trace() -> None:
    call = Traces(lambda layer, x: layer(x, seed=4))
    jitted = eqx.filter_jit(call)
    layer = DropBlock(Threshold.of(1.0, 3, (8, 9)), 3)
    for keep_prob in (1.0, 0.9, 0.6):
        threshold = Threshold.of(keep_prob, 3, (8, 9))
        layer = eqx.tree_at(lambda layer: layer.keep_prob, layer, threshold)
        assert_equal(jitted(layer, ONES), one(ONES, threshold, seed=4))
    assert call.count == 1


def test_a_number_is_part_of_the_program() -> None:
    call = Traces(lambda layer, x: layer(x, seed=4))
    jitted = eqx.filter_jit(call)
    for keep_prob in (0.9, 0.6, 0.9):
        assert_equal(jitted(DropBlock(keep_prob, 3), ONES), one(ONES, keep_prob, seed=4))
    assert call.count == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p": 0.1}, "DropBlock() takes no 'p'"),
        ({"drop_prob": 0.1}, "pass keep_prob=0.9 for drop_prob=0.1"),
        ({"blok_size": 3}, "DropBlock() got an unexpected keyword argument 'blok_size'"),
        ({"data_format": "channels_last"}, "DropBlock() got an unexpected keyword argument 'data_format'"),
        ({"key": KEY}, "DropBlock() got an unexpected keyword argument 'key'"),
    ],
)
def test_r14_a_layer_refuses_unknown_arguments_when_it_is_made(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        DropBlock(0.9, 3, **arguments)
    assert message in str(caught.value)


def test_r14_a_layer_refuses_a_bad_call() -> None:
    with pytest.raises(ValueError, match=r"keep_prob=1\.5 is outside"):
        DropBlock(1.5, 3)(ONES, key=KEY)
    with pytest.raises(TypeError, match="inference='False' is not a bool"):
        DropBlock(0.6, 3)(ONES, key=KEY, inference="False")
    with pytest.raises(ValueError, match="were both given"):
        DropBlock(0.6, 3)(ONES, key=KEY, seed=4)


# --- the public surface ---------------------------------------------------------------------------------------------

CONTRACT: dict[str, Any] = {
    "x": inspect.Parameter.empty, "keep_prob": 0.9, "block_size": 7, "key": None, "seed": None, "training": True,
    "per_channel": True, "renorm": "tensor", "gamma_scale": 1.0, "calibrated": False, "sample_offset": 0, "stream": 0,
    "data_format": "channels_last", "axis_name": None,
}  # fmt: skip


def test_drop_block_has_the_signature_of_the_contract() -> None:
    parameters = {name: p for name, p in inspect.signature(drop_block).parameters.items() if name != "foreign"}
    assert {name: p.default for name, p in parameters.items()} == CONTRACT
    positional = [name for name, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == ["x", "keep_prob", "block_size"]


def test_all_lists_exactly_the_public_names() -> None:
    public = {
        name
        for name, value in vars(dropblock_jax).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert sorted(dropblock_jax.__all__) == sorted(public) == ["LinearSchedule", "Threshold", "drop_block"]


def test_importing_the_adapter_imports_no_layer_library_and_the_core_no_framework() -> None:
    others = {"flax", "equinox", "optax", "torch", "tensorflow", "keras", "scipy", "hypothesis"}
    found = "print(*sorted({} & set(sys.modules)))"
    assert run_python(f"import sys, dropblock_jax; {found.format(others)}").split() == []
    assert run_python(f"import sys, dropblock_core; {found.format({'jax', 'jaxlib'} | others)}").split() == []
