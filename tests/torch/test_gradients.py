"""The gradient is the mask times the scale (rule R7), at any order; what it keeps in memory; and in place."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

import dropblock_core as core
from dropblock_torch import DropBlock1d, DropBlock2d, drop_block, engines, ops
from dropblock_torch.engines.plan import is_channels_last
from tests.shared.comparing import RENORMS
from tests.shared.grid import grid

from .support import CPU, DTYPES, LAYOUTS, any_engine, as_numpy, assert_same_bits

SHAPE = (2, 3, 8, 9)
SEEDED: dict[str, Any] = {"keep_prob": 0.6, "block_size": 3, "seed": 4}
per_channel_or_shared = pytest.mark.parametrize("per_channel", [True, False])


def normal(shape: tuple[int, ...] = SHAPE, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def gradient(x: Tensor, dy: Tensor, **options: Any) -> Tensor:
    x = x.detach().requires_grad_()
    (dx,) = torch.autograd.grad(drop_block(x, **(SEEDED | options)), x, dy)
    return dx


# --- what it is -----------------------------------------------------------------------------------------------------


@any_engine
@grid(dtype=DTYPES, renorm=RENORMS, per_channel=[True, False])
def test_r07_the_gradient_is_the_mask_times_the_scale(
    engine: str, dtype: torch.dtype, renorm: str, per_channel: bool
) -> None:
    options: dict[str, Any] = {"renorm": renorm, "per_channel": per_channel}
    dy = normal(dtype=dtype, seed=1)
    with engines.force(engine):
        dx = gradient(normal(dtype=dtype), dy, **options)
    # Algorithm 1 is linear in the activations: its derivative is itself, applied to dy.
    assert_same_bits(dx, core.drop_block(as_numpy(dy), **SEEDED, **options))


@any_engine
@grid(layout=LAYOUTS, per_channel=[True, False])
def test_r07_the_layouts_of_x_and_dy_are_their_own_affair(engine: str, layout: str, per_channel: bool) -> None:
    for name in ("contiguous", "channels_last"):
        x, dy = LAYOUTS[name](normal()), LAYOUTS[layout](normal(seed=1))
        with engines.force(engine):
            dx, flipped = (gradient(a, b, per_channel=per_channel) for a, b in [(x, dy), (dy, x)])
        assert_same_bits(dx, core.drop_block(as_numpy(dy), **SEEDED, per_channel=per_channel))
        assert_same_bits(flipped, core.drop_block(as_numpy(x), **SEEDED, per_channel=per_channel))


@any_engine
@pytest.mark.parametrize("held", [torch.nan, torch.inf, -torch.inf, -1.0])
def test_r07_the_gradient_of_a_dropped_unit_is_0_whatever_comes_back(engine: str, held: float) -> None:
    dropped = drop_block(torch.ones(SHAPE), **SEEDED) == 0
    with engines.force(engine):
        dx = gradient(torch.where(dropped, torch.nan, 1.0), torch.where(dropped, held, 1.0))
    assert (dx[dropped] == 0).all()
    assert not dx[dropped].signbit().any()
    assert (dx[~dropped] >= 1).all()


@any_engine
@pytest.mark.parametrize("renorm", RENORMS)
def test_r10_nothing_kept_gives_a_zero_gradient(engine: str, renorm: str) -> None:
    with engines.force(engine):
        dx = gradient(torch.full(SHAPE, torch.nan), normal(), keep_prob=0.0, block_size=9, renorm=renorm)
    assert torch.equal(dx, torch.zeros(SHAPE))


# --- at any order ---------------------------------------------------------------------------------------------------


def functional(x: Tensor) -> Tensor:
    return drop_block(x, 0.6, 2, seed=5, renorm="sample")


def registered(x: Tensor) -> Tensor:
    """The same through the operators alone, as a compiler calls them."""
    key, keep_prob = torch.tensor([5, 0]), torch.tensor(0.6, dtype=torch.float64)
    block, layout = [2] * (x.ndim - 2), is_channels_last(x)
    state, scale, _ = ops.mask(
        key,
        keep_prob,
        x.shape,
        block,
        True,
        "sample",
        1.0,
        False,
        0,
        0,
        layout,
        torch.promote_types(x.dtype, torch.float),
    )
    return ops.apply(x, state, scale, block, True, "sample", layout)


any_path = pytest.mark.parametrize("call", [functional, registered])


@grid(call=[functional, registered], engine=[CPU, "tensors"], shape=[(1, 2, 3, 4), (2, 2, 5), (1, 1, 3, 3, 3)])
def test_gradcheck(call: Callable[[Tensor], Tensor], engine: str, shape: tuple[int, ...]) -> None:
    x = normal(shape, torch.float64).requires_grad_()
    with engines.force(engine):
        assert 0 < (call(x) == 0).sum() < x.numel()
        assert torch.autograd.gradcheck(call, x)
        assert torch.autograd.gradgradcheck(lambda x: call(x).sin(), x)


@any_path
def test_r07_derivatives_of_higher_order_meet_the_same_mask(call: Callable[[Tensor], Tensor]) -> None:
    x = normal(dtype=torch.float64).requires_grad_()
    factor = call(torch.ones_like(x)).detach()
    dropped = factor == 0
    assert 0 < dropped.sum() < dropped.numel()
    value = call(x).pow(3)
    for power, number in [(2, 3), (1, 6), (0, 6)]:
        (value,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        # Four roundings at most a factor.
        torch.testing.assert_close(value.detach(), number * factor**3 * x.detach() ** power, rtol=2.0**-48, atol=0)
        assert (value[dropped] == 0).all()


# --- what is kept for the backward pass -----------------------------------------------------------------------------


def saved_bytes(call: Callable[[Tensor], Tensor], x: Tensor) -> int:
    sizes = {}

    def pack(saved: Tensor) -> Tensor:
        sizes[saved.untyped_storage().data_ptr()] = saved.untyped_storage().nbytes()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        y = call(x)
    assert y.requires_grad
    return sum(sizes.values())


@any_engine
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("shape", "block_size"),
    [((2, 64, 14, 14), 7), ((2, 64, 7, 7), 7), ((2, 64, 14, 14), 1), ((2, 8, 80, 80), 5), ((3, 5, 7, 9), 1)],
)
def test_at_most_a_bit_a_unit_is_saved(
    engine: str, shape: tuple[int, ...], block_size: int, dtype: torch.dtype
) -> None:
    x = torch.ones(shape, dtype=dtype, requires_grad=True)
    bound = x.numel() / 8 + 16  # line 8's factor, and the last word's padding
    for options in ({}, {"per_channel": False}, {"inplace": True}):
        with engines.force(engine):
            saved = saved_bytes(lambda x, o=options: drop_block(x * 2, 0.9, block_size, seed=1, **o), x)
        assert 0 < saved <= bound
        layer = DropBlock2d(0.9, block_size, **options)
        with engines.force(engine):
            assert 0 < saved_bytes(lambda x, layer=layer: layer(x * 2), x) <= bound


@any_path
def test_the_graph_keeps_neither_x_nor_y_alive(call: Callable[[Tensor], Tensor]) -> None:
    def survivors(call: Callable[[Tensor], Tensor]) -> list[bool]:
        x = normal().requires_grad_() * 1  # an activation, that none but the graph would keep
        y = call(x)
        storages = [StorageWeakRef(t.untyped_storage()) for t in (x, y)]
        tail = y + 1
        del x, y
        alive = [not storage.expired() for storage in storages]
        tail.sum().backward()
        return alive

    assert survivors(lambda x: x * x) == [True, False]  # the test sees what is kept
    assert survivors(call) == [False, False]


# --- in place -------------------------------------------------------------------------------------------------------


# PyTorch writes into no memory that several units share, so not into an expanded tensor.
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if not name.startswith("expanded")])
@any_engine
def test_inplace_writes_into_x_and_returns_it(layout: str, engine: str) -> None:
    leaf = normal().requires_grad_()
    expected = drop_block(LAYOUTS[layout](leaf.detach() * 1), **SEEDED)
    with engines.force(engine):
        plain = LAYOUTS[layout](leaf.detach().clone())
        assert drop_block(plain, **SEEDED, inplace=True) is plain
        x = LAYOUTS[layout](leaf * 1)
        address = x.data_ptr()
        y = drop_block(x, **SEEDED, inplace=True)
        assert y is x
        assert y.data_ptr() == address
        y.backward(normal(seed=1))
    assert torch.equal(plain, expected)
    assert torch.equal(y.detach(), expected)
    np.testing.assert_array_equal(leaf.grad, core.drop_block(normal(seed=1).numpy(), **SEEDED))


def test_inplace_without_a_batch_writes_into_x_too() -> None:
    leaf = normal((3, 9)).requires_grad_()
    x = leaf * 1
    y = DropBlock1d(0.6, 3, seed=4, inplace=True)(x)
    assert y is x
    assert torch.equal(y, DropBlock1d(0.6, 3, seed=4)(leaf))
    y.sum().backward()
    assert torch.equal(leaf.grad, DropBlock1d(0.6, 3, seed=4)(torch.ones(3, 9)))


def test_inplace_on_a_leaf_is_refused_as_by_all_of_pytorch() -> None:
    x = normal().requires_grad_()
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        drop_block(x, **SEEDED, inplace=True)
    assert torch.equal(x, normal())
