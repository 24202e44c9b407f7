"""The programs for GPUs and TPUs: their lowered text, and, run on the CPU, their masks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, lax
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

import dropblock_core
from dropblock_jax import Threshold, drop_block, program
from dropblock_jax.words import CpuWordSpace, GpuWordSpace, TpuWordSpace

SHAPE, CALL = (4, 14, 14, 64), {"keep_prob": 0.9, "block_size": 7}
PLATFORMS = {"cuda": GpuWordSpace, "rocm": GpuWordSpace, "tpu": TpuWordSpace}
ELEMENTWISE = {"stablehlo." + name for name in ("convert", "multiply", "select", "broadcast_in_dim")}


def by_key(x: Array, dy: Array, key: Array, keep_prob: Any) -> tuple[Array, Array]:
    y, pull = jax.vjp(lambda x: drop_block(x, keep_prob, 7, key=key), x)
    return y, *pull(dy)


# --- the lowered text -----------------------------------------------------------------------------------------------


def inside(operation: Any) -> Iterator[Any]:
    yield operation
    for region in operation.regions:
        for block in region:
            for inner in block:
                yield from inside(inner.operation)


@dataclass(frozen=True)
class Lowered:
    """The program for a platform. The module is kept, since its operations die with it."""

    module: Any
    operations: list[Any]

    @classmethod
    def of(cls, call: Callable[..., Any], *operands: Any, platform: str) -> Self:
        module = jax.jit(call).trace(*operands).lower(lowering_platforms=(platform,)).compiler_ir()
        return cls(module, list(inside(module.operation)))

    def named(self, *names: str) -> list[Any]:
        return [operation for operation in self.operations if operation.name.removeprefix("stablehlo.") in names]


def trip_count(loop: Any) -> int:
    """From a counter that begins, grows and ends at constants, as XLA reads it; AssertionError where there is none."""
    condition, body = (region.blocks[0] for region in loop.regions)
    (compared,) = (o.operation for o in condition.operations if o.operation.name == "stablehlo.compare")
    assert "LT" in str(compared.attributes["comparison_direction"])
    counter, stop = compared.operands
    (place,) = (i for i, argument in enumerate(condition.arguments) if argument == counter)
    (returned,) = (o.operation for o in body.operations if o.operation.name == "stablehlo.return")
    grown = returned.operands[place].owner
    assert grown.name == "stablehlo.add"
    assert grown.operands[0] == body.arguments[place]
    start, stop, step = map(constant, (loop.operands[place], stop, grown.operands[1]))
    return len(range(start, stop, step))


def constant(value: Any) -> int:
    assert value.owner.name == "stablehlo.constant", f"{value} is no constant"
    return int(np.asarray(value.owner.attributes["value"]))


def assert_one_pass_each(program: Lowered, shape: tuple[int, ...], arrays: int) -> None:
    """`arrays` as large as the activations are read, each once, and by operations that XLA fuses into one pass."""
    kind = f"tensor<{'x'.join(map(str, shape))}xf"
    for operation in program.operations:
        large = [value for value in operation.operands if str(value.type).startswith(kind)]
        assert not large or operation.name in {*ELEMENTWISE, "func.return", "func.call"}, operation.name
        for made in operation.results:
            assert not str(made.type).startswith(kind) or len(list(made.uses)) == 1
    (main,) = (o for o in program.named("func.func") if "public" in str(o.attributes["sym_visibility"]))
    read = [a for a in main.regions[0].blocks[0].arguments if str(a.type).startswith(kind)]
    assert [len(list(argument.uses)) for argument in read] == arrays * [1]


# A schedule's keep_prob is an operand, from which the program makes the thresholds.
@pytest.mark.parametrize("keep_prob", [0.9, jnp.float32(0.9)], ids=["a number", "an operand"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_it_asks_the_host_for_nothing_and_passes_once(platform: str, keep_prob: Any) -> None:
    x, key = jnp.ones(SHAPE, jnp.float16), jax.random.key(0)
    if isinstance(keep_prob, float):
        lowered = Lowered.of(lambda x, dy, key: by_key(x, dy, key, keep_prob), x, x, key, platform=platform)
    else:
        lowered = Lowered.of(by_key, x, x, key, keep_prob, platform=platform)
    (draws,) = lowered.named("while")
    # A TPU runs its loop by itself. A GPU's needs a count that the compiler knows.
    assert platform == "tpu" or trip_count(draws) == 16
    # JAX's choice of a platform, which XLA folds: one branch is left, or the index is a constant.
    assert all(len(case.regions) == 1 or constant(case.operands[0]) >= 0 for case in lowered.named("case"))
    assert not lowered.named("custom_call", "if", "gather", "scatter", "sort", "infeed", "outfeed", "send", "recv")
    held = [str(result.type) for barrier in lowered.named("optimization_barrier") for result in barrier.results]
    assert [kind for kind in held if kind.endswith("xui16>")], "the mask's words are written once, and then read"
    assert_one_pass_each(lowered, SHAPE, arrays=2)


def test_the_reading_of_loops_tells_one_whose_rounds_depend_on_data() -> None:
    def halved(x: Array) -> Array:
        return lax.while_loop(lambda x: jnp.any(x > 1), lambda x: x / 2, x)

    lowered = Lowered.of(halved, jnp.ones(8), platform="cuda")
    with pytest.raises((AssertionError, ValueError)):
        trip_count(*lowered.named("while"))
    lowered = Lowered.of(lambda x: lax.fori_loop(0, 7, lambda _, x: x / 2, x), jnp.ones(8), platform="cuda")
    assert trip_count(*lowered.named("while")) == 7


def test_the_reading_of_passes_tells_a_second_one() -> None:
    x, key = jnp.ones(SHAPE), jax.random.key(0)
    lowered = Lowered.of(lambda x, key: drop_block(x, **CALL, key=key) + x, x, key, platform="cuda")
    with pytest.raises(AssertionError):
        assert_one_pass_each(lowered, SHAPE, arrays=1)


def test_a_map_that_holds_one_block_draws_without_a_loop() -> None:
    x, key = jnp.ones((4, 7, 7, 64)), jax.random.key(0)
    lowered = Lowered.of(lambda x, key: drop_block(x, **CALL, key=key), x, key, platform="cuda")
    assert not lowered.named("while")


# --- the masks ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[GpuWordSpace, TpuWordSpace], ids=["GPU", "TPU"])
def of_platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """`drop_block` with the words of another platform, on this one."""
    monkeypatch.setattr(program, "on_its_platform", lambda lines, *operands: lines(request.param, *operands))
    monkeypatch.setattr(program, "drop", jax.jit(program.drop.__wrapped__, static_argnames="spec"))


MASKS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "group 3": (SHAPE, CALL),
    "dense seeds": ((2, 14, 14, 8), {"keep_prob": 0.2, "block_size": 2, "renorm": "map"}),
    "long rows, 3-d": ((2, 3, 2, 70, 3), {"keep_prob": 0.8, "block_size": (2, 1, 5), "renorm": "sample"}),
    "one anchor": ((3, 7, 7, 9), {"keep_prob": 0.5, "block_size": 7, "sample_offset": 5, "stream": 3}),
    "every draw": ((2, 8, 8, 3), {"keep_prob": 0.0, "block_size": 1}),
}


@pytest.mark.usefixtures("of_platform")
@pytest.mark.parametrize("case", MASKS)
def test_its_masks_are_numpys(case: str) -> None:
    shape, call = MASKS[case]
    x = np.ones(shape, np.float32)
    expected = np.moveaxis(dropblock_core.drop_block(np.moveaxis(x, -1, 1), **call, seed=11), 1, -1)
    np.testing.assert_array_max_ulp(np.asarray(drop_block(jnp.asarray(x), **call, seed=11)), expected, 2)


@pytest.mark.usefixtures("of_platform")
def test_its_schedule_maps_and_derivatives_are_those_of_the_cpu() -> None:
    x, keep_prob = jnp.ones(SHAPE), Threshold.of(0.8, 7, 14)
    keys = jax.random.split(jax.random.key(1), 2)
    one = lambda key: by_key(x, x, key, keep_prob)  # noqa: E731
    y, gradient = jax.vmap(one)(keys)
    for each, of_one, key in zip(y, gradient, keys, strict=True):
        np.testing.assert_array_equal(each, one(key)[0])
        np.testing.assert_array_equal(each, of_one)
    mesh = jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Auto,))
    number = jnp.arange(4, dtype=jnp.uint32)
    sharded = jax.shard_map(
        lambda x, number: drop_block(x, keep_prob, 7, key=keys[0], sample_offset=number[0], axis_name="batch"),
        mesh=mesh,
        in_specs=P("batch"),
        out_specs=P("batch"),
    )
    np.testing.assert_array_equal(sharded(x, number), y[0])


def test_each_platform_has_words_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: dict[str, Any] = {}
    monkeypatch.setattr(lax, "platform_dependent", lambda *operands, **branches: chosen.update(branches))
    program.on_its_platform(lambda space: space)
    assert {platform: branch() for platform, branch in chosen.items()} == {
        "cpu": CpuWordSpace,
        "tpu": TpuWordSpace,
        "default": GpuWordSpace,
    }
