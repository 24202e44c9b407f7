"""The operators as `torch.library` wants them: schema, fake tensors, autograd, and what a compiler makes of them."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dropblock_torch import engines, ops
from dropblock_torch.engines.plan import is_channels_last
from tests.shared.grid import grid

from .support import LAYOUTS, any_engine, as_numpy

SHAPE = (2, 3, 8, 9)


def normal(shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def mask_arguments(
    x: Tensor, renorm: str = "tensor", per_channel: bool = True, keep_prob: float = 0.6, side: int = 3
) -> tuple[Any, ...]:
    key, operand = torch.tensor([1, 2]), torch.tensor(keep_prob, dtype=torch.float64)
    block = [side] * (x.ndim - 2)
    dtype = torch.promote_types(x.dtype, torch.float32)
    return key, operand, x.shape, block, per_channel, renorm, 1.0, False, 0, 0, is_channels_last(x), dtype


@any_engine
@pytest.mark.parametrize(
    ("shape", "renorm", "per_channel"),
    [
        ((2, 3, 9), "map", True),
        (SHAPE, "tensor", True),
        (SHAPE, "sample", False),
        (SHAPE, "expected", True),
        ((2, 3, 4, 5, 6), "none", False),
        ((0, 3, 8, 9), "tensor", True),
        ((0, 3, 8, 9), "map", False),
        ((2, 0, 8, 9), "sample", True),
        ((2, 0, 8, 9), "tensor", False),
    ],
)
def test_opcheck_of_mask(engine: str, shape: tuple[int, ...], renorm: str, per_channel: bool) -> None:
    with engines.force(engine):
        torch.library.opcheck(ops.mask, mask_arguments(torch.ones(shape), renorm, per_channel))


@any_engine
@grid(
    layout=["contiguous", "channels_last", "sliced", "expanded_channels"],
    kind=[(True, torch.float32), (False, torch.bfloat16)],
)
def test_opcheck_of_apply(engine: str, layout: str, kind: tuple[bool, torch.dtype]) -> None:
    requires_grad, dtype = kind
    x = LAYOUTS[layout](normal().to(dtype)).requires_grad_(requires_grad)
    with engines.force(engine):
        state, scale, _ = ops.mask(*mask_arguments(x))
        torch.library.opcheck(ops.apply, (x, state, scale, [3, 3], True, "tensor", is_channels_last(x)))


@any_engine
@pytest.mark.parametrize("renorm", ["tensor", "sample", "map", "expected", "none"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_r09_the_count_of_dropped_units_is_exact_and_the_scale_its_quotient(
    engine: str, renorm: str, per_channel: bool
) -> None:
    x = torch.ones(SHAPE)
    with engines.force(engine):
        state, scale, dropped = ops.mask(*mask_arguments(x, renorm, per_channel))
        zeros = ops.apply(x, state, scale, [3, 3], per_channel, renorm, False) == 0
    assert state.dtype == torch.uint8
    assert (dropped.dtype, scale.dtype) == (torch.int64, torch.float32)
    if renorm in ("expected", "none"):
        assert dropped.numel() == 0
        assert scale.numel() == 1
        return
    zeros = zeros if per_channel else zeros[:, :1]
    axes = {"tensor": (0, 1, 2, 3), "sample": (1, 2, 3), "map": (2, 3)}[renorm]
    expected = zeros.sum(axes).reshape(-1)
    assert torch.equal(dropped, expected)
    count = zeros.numel() // expected.numel()
    quotients = (count / as_numpy(count - expected).astype(float)).astype("f4")
    assert as_numpy(scale).tolist() == quotients.tolist()


@any_engine
@pytest.mark.parametrize("renorm", ["tensor", "sample", "map", "expected"])
def test_r10_where_nothing_is_kept_the_scale_is_0(engine: str, renorm: str) -> None:
    with engines.force(engine):  # one anchor and gamma 1: every map is dropped whole
        _, scale, _ = ops.mask(*mask_arguments(torch.ones(SHAPE), renorm, keep_prob=0.0, side=9))
    assert (scale == 0).all()
