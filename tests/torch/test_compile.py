"""drop_block under torch.compile: one program without a graph break for a whole schedule, as right as eager calls."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils.checkpoint import checkpoint

import dropblock_core as core
from dropblock_torch import DropBlock2d, KeepProbScheduler, drop_block
from tests.shared.comparing import RENORMS
from tests.shared.grid import grid
from tests.shared.refusals import each_rule

from .support import LAYOUTS, assert_same_bits
from .test_bad_input import COMMON, NOT_TENSORS, OF_PYTORCH

SHAPE = (2, 3, 8, 9)


# Inductor's own import of a module that still uses torch.jit.
by_inductor = pytest.param(
    "inductor", marks=pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
)


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    with torch.random.fork_rng(devices=[]):
        yield


def normal(*shape: int) -> Tensor:
    return torch.randn(shape or SHAPE, generator=torch.Generator().manual_seed(0))


def compiled(
    call: Callable[..., Any], backend: str = "aot_eager", **options: Any
) -> tuple[Callable[..., Any], CompileCounterWithBackend]:
    counter = CompileCounterWithBackend(backend)
    return torch.compile(call, backend=counter, fullgraph=True, **options), counter


# --- compiled: once -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["aot_eager", by_inductor])
def test_twenty_steps_of_a_schedule_compile_once(backend: str) -> None:
    x = normal().requires_grad_()
    layer = DropBlock2d(block_size=3, seed=4)
    scheduler = KeepProbScheduler(layer, core.LinearSchedule(keep_prob=0.4, steps=20))
    step, counter = compiled(lambda x: layer(x * 2), backend)
    for number in range(21):
        assert layer.keep_prob == pytest.approx(1 - 0.6 * number / 20)
        y = step(x)
        (dx,) = torch.autograd.grad(y.sum(), x)
        expected = core.drop_block((x * 2).detach().numpy(), layer.keep_prob, 3, seed=4)
        assert_same_bits(y.detach(), expected)
        assert_same_bits(dx, 2 * core.drop_block(np.ones(SHAPE, np.float32), layer.keep_prob, 3, seed=4))
        scheduler.step()
    assert counter.frame_count == 1


# This scale shows every bit of keep_prob, where a mask shows few.
EXPECTED: dict[str, Any] = {"seed": 4, "renorm": "expected"}


@pytest.mark.parametrize(("dtype", "shape"), [(torch.float32, ()), (torch.float32, (1,)), (torch.float64, (1,))])
def test_a_keep_prob_in_a_tensor_compiles_once(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    # Of float64 without axes, PyTorch's compiler first tries to make a number and starts again: once, not for each.
    call, counter = compiled(lambda x, keep_prob: drop_block(x, keep_prob, 3, **EXPECTED))
    x = normal().double()
    for step in range(20):
        keep_prob = torch.full(shape, 1 - step / 60, dtype=dtype)
        assert_same_bits(call(x, keep_prob), core.drop_block(x.numpy(), keep_prob.item(), 3, **EXPECTED))
    assert counter.frame_count == 1


def test_a_keep_prob_as_a_float_compiles_twice_at_most() -> None:
    call, counter = compiled(lambda x, keep_prob: drop_block(x, keep_prob, 3, **EXPECTED))
    x = normal().double()
    for step in range(20):
        assert_same_bits(call(x, 1 - step / 60), core.drop_block(x.numpy(), 1 - step / 60, 3, **EXPECTED))
    assert counter.frame_count <= 2


def test_seeds_in_a_tensor_and_offsets_compile_anew_for_no_value() -> None:
    call, counter = compiled(lambda x, seed: drop_block(x, 0.6, 3, seed=seed))
    for seed in range(10):
        assert torch.equal(call(normal(), torch.tensor(seed)), drop_block(normal(), 0.6, 3, seed=seed))
    assert counter.frame_count == 1
    call, counter = compiled(lambda x, offset: drop_block(x, 0.6, 3, seed=4, sample_offset=offset))
    for offset in range(0, 20, 2):
        assert torch.equal(call(normal(), offset), drop_block(normal(), 0.6, 3, seed=4, sample_offset=offset))
    assert counter.frame_count <= 2


def test_training_and_evaluation_are_a_program_each() -> None:
    layer = DropBlock2d(0.5, 3)
    call, counter = compiled(layer)
    for _ in range(3):
        layer.train()
        assert (call(normal()) == 0).any()
        layer.eval()
        assert torch.equal(call(normal()), normal())
    assert counter.frame_count <= 2


# --- compiled: the same as eager ------------------------------------------------------------------------------------


@grid(
    layout=["contiguous", "channels_last", "reversed", "sliced"],
    case=[
        (torch.float32, {"renorm": "map", "stream": 5}),
        (torch.bfloat16, {"per_channel": False, "calibrated": True}),
    ],
)
def test_compiled_equals_eager(layout: str, case: tuple[torch.dtype, dict[str, Any]]) -> None:
    dtype, options = case
    leaf = normal().to(dtype).requires_grad_()

    def call(leaf: Tensor) -> tuple[Tensor, Tensor]:
        x = LAYOUTS[layout](leaf * 1)
        return x, drop_block(x, 0.6, 3, seed=4, **options)

    x, y = compiled(call)[0](leaf)
    expected = drop_block(x, 0.6, 3, seed=4, **options)
    assert torch.equal(y, expected)
    assert y.stride() == expected.stride()
    assert y.dtype == dtype
    (dx,) = torch.autograd.grad(y.sum(), leaf)
    assert torch.equal(dx, drop_block(torch.ones_like(leaf), 0.6, 3, seed=4, **options))


def test_compiled_without_a_batch_and_in_place() -> None:
    layer = DropBlock2d(0.6, 3, seed=4)
    assert torch.equal(compiled(layer)[0](normal(3, 8, 9)), layer(normal(3, 8, 9)))
    x = normal()
    assert compiled(DropBlock2d(0.6, 3, seed=4, inplace=True))[0](x) is x
    assert torch.equal(x, layer(normal()))


@pytest.mark.parametrize("backend", ["aot_eager", by_inductor])
def test_compiled_calls_follow_manual_seed(backend: str) -> None:
    layer = DropBlock2d(0.6, 3)
    call, _ = compiled(layer, backend)

    def two() -> tuple[Tensor, Tensor]:
        torch.manual_seed(5)
        return call(torch.ones(SHAPE)), call(torch.ones(SHAPE))

    (a, b), (c, d) = two(), two()
    assert torch.equal(a, c)
    assert torch.equal(b, d)
    assert not torch.equal(a, b)


def test_compiled_calls_save_at_most_a_bit_a_unit() -> None:
    sizes: list[int] = []

    def pack(saved: Tensor) -> Tensor:
        sizes.append(saved.untyped_storage().nbytes())
        return saved

    call, _ = compiled(lambda x: drop_block(x * 2, 0.9, 7, seed=4) + 1)
    x = torch.ones(2, 64, 14, 14, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        assert call(x).requires_grad
    assert 0 < sum(sizes) <= x.numel() / 8 + 16


def test_r13_a_compiled_checkpoint_meets_the_same_mask_again() -> None:
    def block(x: Tensor) -> tuple[Tensor, Tensor]:
        y = drop_block(x.sin(), 0.6, 3)
        return y * y, y

    call, _ = compiled(lambda x: checkpoint(block, x, use_reentrant=False))
    x = normal().requires_grad_()
    squares, y = call(x)
    (dx,) = torch.autograd.grad(squares.sum(), x)
    assert 0 < (y == 0).sum() < y.numel()
    assert torch.equal(dx == 0, y == 0)


def numpys(x: Tensor, renorm: str) -> np.ndarray[Any, Any]:
    return core.drop_block(x.numpy(), 0.5, 7, seed=4, renorm=renorm)


@pytest.mark.parametrize(
    ("axes", "renorm"), [((0,), "tensor"), ((0,), "sample"), ((2, 3), "map"), ((2, 3), "expected")]
)
def test_marked_dynamic_sizes_give_numpys_mask_and_compile_once(axes: tuple[int, ...], renorm: str) -> None:
    call, counter = compiled(lambda x: drop_block(x, 0.5, 7, seed=4, renorm=renorm))
    for size in (9, 12, 8, 40):
        x = normal(*[size if axis in axes else n for axis, n in enumerate((2, 3, 9, 10))])
        for axis in axes:
            torch._dynamo.mark_dynamic(x, axis)
        assert_same_bits(call(x), numpys(x, renorm))
    assert counter.frame_count == 1


@pytest.mark.parametrize("make", [lambda: DropBlock2d(0.5, 7, seed=4), lambda: lambda x: drop_block(x, 0.5, 7, seed=4)])
def test_dynamic_true_gives_numpys_mask(make: Callable[[], Callable[[Tensor], Tensor]]) -> None:
    call, counter = compiled(make(), dynamic=True)
    compilations = set()
    for shape in [(2, 3, 9, 10), (5, 3, 9, 10), (3, 4, 12, 8), (4, 2, 30, 9)]:
        x = normal(*shape)
        assert_same_bits(call(x), numpys(x, "tensor"))
        compilations.add(counter.frame_count)
    assert len(compilations) == 1  # those of the first call, whatever came after
    x = normal(1, 3, 9, 10)  # PyTorch compiles axes of one unit apart
    assert_same_bits(call(x), numpys(x, "tensor"))


@pytest.mark.parametrize("argument", ["keep_prob", "block_size", "gamma_scale", "stream"])
def test_numbers_that_change_between_compiled_calls_are_taken(argument: str) -> None:
    values: list[Any] = [1, 0.75, 0.5, 0] if argument == "keep_prob" else [2, 3, 5]
    options: dict[str, Any] = {"keep_prob": 0.6, "block_size": 3}

    def call(x: Tensor, value: Any) -> Tensor:
        return drop_block(x, **(options | {argument: value}), seed=4)

    step, _ = compiled(call)
    for value in values:
        assert torch.equal(step(normal(), value), call(normal(), value))


@pytest.mark.parametrize("shape", [(0, 3, 8, 9), (2, 0, 8, 9)])
@pytest.mark.parametrize("per_channel", [True, False])
def test_r14_empty_batches_pass_through_compiled(shape: tuple[int, ...], per_channel: bool) -> None:
    call, _ = compiled(lambda x: [drop_block(x, 0.5, 3, per_channel=per_channel, renorm=r) for r in RENORMS])
    assert [y.shape for y in call(torch.ones(shape))] == [shape] * len(RENORMS)


# --- compiled: errors -----------------------------------------------------------------------------------------------


def is_beyond_the_compiler(value: Any) -> bool:
    """PyTorch's compiler makes tensors of NumPy's numbers, no float of a huge int, and no text of a bytearray.

    It takes no sparse or nested tensor, and asks a tensor that is an option for its value.
    """
    if isinstance(value, torch.Tensor):
        is_dense = value.layout is torch.strided and not value.is_nested
        return not is_dense or value.device.type == "meta" or value.dtype is torch.bool
    return isinstance(value, (np.ndarray, np.generic, bytearray)) or (isinstance(value, int) and value > 2**100)


TRACED = [
    case
    for case in COMMON + OF_PYTORCH + NOT_TENSORS
    if not any(is_beyond_the_compiler(value) for value in case[0].values())
]


@each_rule(TRACED)
def test_r14_compiled_calls_refuse_what_eager_ones_refuse(
    arguments: dict[str, Any], error: type[Exception], parts: list[str]
) -> None:
    options = {"x": torch.ones(2, 3, 8, 8)} | arguments
    x = options.pop("x")
    with pytest.raises(error) as eager:
        drop_block(x, **options)
    with pytest.raises(error, match="^" + re.escape(str(eager.value)) + "$") as caught:
        compiled(lambda x: drop_block(x, **options))[0](x)
    assert type(caught.value) is error


def test_r14_a_refused_call_leaves_the_compiled_program_usable() -> None:
    call, counter = compiled(lambda x, keep_prob: drop_block(x * 2, keep_prob, 3, seed=4) + 1)
    expected = drop_block(normal() * 2, 0.6, 3, seed=4) + 1
    for _ in range(3):
        assert torch.equal(call(normal(), torch.tensor([0.6], dtype=torch.float64)), expected)
        with pytest.raises(ValueError, match=r"^keep_prob=1\.5 is outside"):
            call(normal(), torch.tensor([1.5], dtype=torch.float64))
    assert counter.frame_count == 1
