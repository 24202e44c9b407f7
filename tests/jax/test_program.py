"""The compiled program: one pass over the activations, a bit a unit, and nothing that a platform lacks."""

import re
from collections.abc import Callable
from math import ceil, prod
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import Array, lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from dropblock_jax import Threshold, drop_block

from .hlo import Instruction, Program

SHAPE, CALL = (4, 14, 14, 64), {"keep_prob": 0.9, "block_size": 7}
BITS = {"u8": 8, "u16": 16, "u32": 32}

# Besides group 3 of a ResNet: what may take another way to the same pass.
CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "group 3": (SHAPE, CALL),
    "half, channels first": ((4, 64, 14, 14), CALL | {"data_format": "channels_first"}),
    "wide rows": ((2, 8, 70, 16), {"keep_prob": 0.7, "block_size": 5, "renorm": "map"}),
    "drawn again": ((2, 33, 33, 16), {"keep_prob": 0.9, "block_size": 1, "renorm": "sample"}),
    "shared, 3-d": ((2, 4, 6, 40, 8), {"keep_prob": 0.9, "block_size": 3, "per_channel": False, "renorm": "expected"}),
}


def by_key(x: Array, key: Array) -> Array:
    return drop_block(x, **CALL, key=key)


def by_pooling(x: Array, key: Array) -> Array:
    """The formulation in wide use: a number a unit, and a window maximum."""
    seeds = jax.random.bernoulli(key, 0.00625, x.shape).astype(x.dtype)
    mask = 1 - lax.reduce_window(seeds, -jnp.inf, lax.max, (1, 7, 7, 1), (1, 1, 1, 1), "SAME")
    return x * mask * (mask.size / mask.sum())


def compiled(call: Callable[..., Any], *operands: Any) -> Program:
    return Program.of(jax.jit(call).lower(*operands).compile())


def backward(call: Callable[[Array, Array], Array], x: Array) -> Program:
    """The backward pass alone; what the forward pass saved for it is an operand."""
    pull = jax.jit(lambda x: jax.vjp(lambda x: call(x, jax.random.key(0)), x)[1])(x)
    return compiled(lambda pull, dy: pull(dy)[0], pull, x)


# --- passes over the activations ------------------------------------------------------------------------------------


def the_one_pass(program: Program, elements: int) -> Instruction:
    """The one instruction that reads or makes an array as large as the activations; AssertionError if more do."""
    large = program.at_least(elements)
    assert [i.opcode for i in large if not i.is_root] == ["parameter"]
    (read,) = (i for i in large if not i.is_root)
    (made,) = (i for i in large if i.is_root)
    assert read.computation == made.computation == program.entry
    assert [i for i in program.instructions if read.name in i.operands] == [made]
    return made


def assert_the_mask_is_bits(program: Program, shape: tuple[int, ...], options: dict[str, Any]) -> None:
    """Besides the activations, the pass reads words along each row of the mask, and a few numbers a map."""
    last = options.get("data_format") != "channels_first"
    samples, *feat, channels = shape if last else (shape[0], *shape[2:], shape[1])
    maps = channels if options.get("per_channel", True) else 1
    words = (*feat[:-1], ceil(feat[-1] / 32))
    operands = [program.named(name) for name in the_one_pass(program, prod(shape)).operands]
    (mask,) = (i for i in operands if samples * maps < i.elements < prod(shape))
    (dtype,) = {dtype for dtype, array in mask.arrays if prod(array) == mask.elements}
    assert dtype in BITS, f"the mask is {mask.arrays}"
    assert mask.elements * BITS[dtype] >= samples * maps * prod(feat), "there are too few bits"
    assert mask.elements * BITS[dtype] <= 32 * samples * maps * prod(words), "there are more bits than words hold"


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.exhaustive) if c in ("wide rows", "shared, 3-d") else c for c in CASES]
)
def test_forward_and_backward_each_pass_once_over_the_activations_and_a_bit_a_unit(case: str) -> None:
    shape, options = CASES[case]
    x = jnp.ones(shape, jnp.bfloat16 if "half" in case else jnp.float32)

    def call(x: Array, key: Array) -> Array:
        return drop_block(x, **options, key=key)

    for program in (compiled(call, x, jax.random.key(0)), backward(call, x)):
        assert_the_mask_is_bits(program, shape, options)


def test_forward_and_backward_in_one_program_share_the_mask() -> None:
    def both(x: Array, dy: Array, key: Array) -> tuple[Array, Array]:
        y, pull = jax.vjp(lambda x: by_key(x, key), x)
        return y, *pull(dy)

    x = jnp.ones(SHAPE)
    program = compiled(both, x, x, jax.random.key(0))
    large = program.at_least(x.size)
    assert sorted(i.opcode for i in large) == ["fusion", "fusion", "parameter", "parameter", "tuple"]
    read = [{program.named(name) for name in i.operands} for i in large if i.opcode == "fusion"]
    parameters = [{i for i in operands if i.opcode == "parameter"} for operands in read]
    assert [len(p) for p in parameters] == [1, 1]
    assert parameters[0] != parameters[1]
    assert read[0] - parameters[0] == read[1] - parameters[1]


def test_a_whole_schedule_adds_no_pass() -> None:
    x = jnp.ones(SHAPE)
    for keep_prob in (jnp.float32(0.9), Threshold.of(0.9, 7, 14)):
        program = compiled(
            lambda x, keep_prob, key: drop_block(x, keep_prob, 7, key=key), x, keep_prob, jax.random.key(0)
        )
        assert_the_mask_is_bits(program, SHAPE, {})


def test_the_count_of_passes_tells_a_formulation_that_makes_several() -> None:
    x, key = jnp.ones(SHAPE), jax.random.key(0)
    for program in (compiled(by_pooling, x, key), backward(by_pooling, x)):
        with pytest.raises(AssertionError):
            the_one_pass(program, x.size)
    assert sum(i.opcode == "fusion" for i in compiled(by_pooling, x, key).at_least(x.size)) > 5


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit], ids=str)
def test_no_device_holds_more_than_its_share_of_a_sharded_array(kind: AxisType) -> None:
    mesh = jax.make_mesh((8,), ("batch",), axis_types=(kind,))
    x = jax.device_put(jnp.ones((16, 14, 14, 64)), NamedSharding(mesh, P("batch")))
    program = compiled(lambda x: drop_block(x, **CALL, seed=3), x)
    assert_the_mask_is_bits(program, (2, 14, 14, 64), {})


# --- other platforms ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spatial", [(40,), (14, 14), (5, 6, 7)], ids=str)
def test_it_lowers_for_every_platform_without_windows_scatters_or_sorts(spatial: tuple[int, ...]) -> None:
    x = jnp.ones((4, *spatial, 8), jnp.bfloat16)

    def step(x: Array, dy: Array, key: Array, keep_prob: Array) -> tuple[Array, Array]:
        y, pull = jax.vjp(lambda x: drop_block(x, keep_prob, 3, key=key), x)
        return y, *pull(dy)

    exported = jax.export.export(jax.jit(step), platforms=["cuda", "rocm", "tpu"])(x, x, jax.random.key(0), 0.9)
    operations = set(re.findall(r"\bstablehlo\.(\w+)", exported.mlir_module()))
    assert {"while", "select", "multiply"} <= operations
    assert not {"reduce_window", "select_and_scatter", "scatter", "gather", "sort", "convolution"} & operations
    assert [aval.shape for aval in exported.out_avals] == [x.shape] * 2


def test_the_forward_pass_alone_lowers_for_every_platform() -> None:
    x = jnp.ones(SHAPE)
    exported = jax.export.export(jax.jit(lambda x: drop_block(x, **CALL, seed=3)), platforms=["cuda", "rocm", "tpu"])(x)
    assert exported.platforms == ("cuda", "rocm", "tpu")
    operations = set(re.findall(r"\bstablehlo\.(\w+)", exported.mlir_module()))
    assert not {"reduce_window", "scatter", "sort", "custom_call"} & operations


def test_it_lowers_for_more_elements_than_31_bits_count() -> None:
    shape = (4096, 32, 32, 1024)
    assert prod(shape) > 2**31
    x, key = jax.ShapeDtypeStruct(shape, jnp.float16), jax.eval_shape(lambda: jax.random.key(0))

    def step(x: Array, key: Array) -> tuple[Array, Array]:
        y, pull = jax.vjp(lambda x: by_key(x, key), x)
        return y, *pull(y)

    assert [result.shape for result in jax.eval_shape(step, x, key)] == [shape] * 2
    assert "4096x32x32x1024xf16" in jax.jit(step).lower(x, key).as_text()
