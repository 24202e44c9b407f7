"""drop_block under PyTorch's transforms: torch.func's gradients, vmap with each kind of randomness, autocast."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dropblock_torch import DropBlock2d, drop_block
from tests.shared.comparing import RENORMS
from tests.shared.grid import grid

from .support import DTYPES

SHAPE = (2, 3, 8, 9)
SEEDED: dict[str, Any] = {"keep_prob": 0.6, "block_size": 3, "seed": 4}


def normal(shape: tuple[int, ...] = SHAPE, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def test_func_grad_and_vjp_are_autograds_gradient() -> None:
    x, dy = normal(), normal(seed=1)
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(drop_block(leaf, **SEEDED), leaf, dy)
    assert torch.equal(torch.func.grad(lambda x: (drop_block(x, **SEEDED) * dy).sum())(x), expected)
    _, pull = torch.func.vjp(lambda x: drop_block(x, **SEEDED), x)
    assert torch.equal(pull(dy)[0], expected)


def test_func_jacrev_is_the_diagonal_of_the_mask_times_the_scale() -> None:
    x = normal((1, 2, 3, 4), torch.float64)
    jacobian = torch.func.jacrev(lambda x: drop_block(x, 0.6, 2, seed=4))(x).reshape(x.numel(), x.numel())
    assert torch.equal(jacobian, drop_block(torch.ones_like(x), 0.6, 2, seed=4).reshape(-1).diag())


@grid(in_dim=[0, 1, -1], renorm=RENORMS, per_channel=[True, False])
def test_vmap_counts_over_each_example_alone(in_dim: int, renorm: str, per_channel: bool) -> None:
    x = normal((4, *SHAPE))
    options: dict[str, Any] = SEEDED | {"renorm": renorm, "per_channel": per_channel}
    mapped = torch.vmap(lambda x: drop_block(x, **options), in_dims=in_dim)(x.movedim(0, in_dim))
    assert torch.equal(mapped, torch.stack([drop_block(example, **options) for example in x]))


def test_vmap_randomness_different_same_and_error() -> None:
    x = torch.ones(4, *SHAPE)

    def masks(randomness: str) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            return torch.vmap(lambda x: drop_block(x, 0.6, 3), randomness=randomness)(x)

    different, same = masks("different"), masks("same")
    assert len({y.numpy().tobytes() for y in different}) == 4
    assert len({y.numpy().tobytes() for y in same}) == 1
    assert 0 < (same == 0).sum() < same.numel()
    with pytest.raises(RuntimeError, match="randomness error"):
        masks("error")


def test_vmap_over_seeds_gives_each_its_mask() -> None:
    x, seeds = normal(), torch.tensor([3, 4, 2**40, -1])
    mapped = torch.vmap(lambda seed: drop_block(x, 0.6, 3, seed=seed))(seeds)
    assert torch.equal(mapped, torch.stack([drop_block(x, 0.6, 3, seed=seed) for seed in seeds]))


@pytest.mark.parametrize("randomness", ["different", "same"])
def test_vmap_of_grad_gives_each_examples_gradient(randomness: str) -> None:
    x, dy = torch.ones(4, *SHAPE), normal((4, *SHAPE), seed=1)

    def both(x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        def loss(x: Tensor) -> tuple[Tensor, Tensor]:
            y = drop_block(x, 0.6, 3)
            return (y * dy).sum(), y

        return torch.func.grad(loss, has_aux=True)(x)

    dx, y = torch.vmap(both, randomness=randomness)(x, dy)
    assert torch.equal(dx, y * dy)  # x is 1, so y is the mask times the scale
    assert torch.equal(y[0], y[1]) == (randomness == "same")


@grid(dtype=DTYPES, renorm=RENORMS)
def test_autocast_leaves_the_dtype_of_x(dtype: torch.dtype, renorm: str) -> None:
    x = normal().to(dtype).requires_grad_()
    expected = drop_block(x, **SEEDED, renorm=renorm)
    with torch.autocast("cpu", torch.bfloat16):
        y = drop_block(x, **SEEDED, renorm=renorm)
        assert y.dtype == dtype
        (dx,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(y, expected)
    assert dx.dtype == dtype


def test_autocast_takes_a_convolutions_output_as_it_comes() -> None:
    conv, layer = torch.nn.Conv2d(3, 4, 3), DropBlock2d(**SEEDED)
    with torch.autocast("cpu", torch.bfloat16):
        a = conv(normal())
        y = layer(a)
    assert a.dtype == y.dtype == torch.bfloat16
    assert torch.equal(y, layer(a))
    y.float().sum().backward()
    assert conv.weight.grad.dtype == torch.float32
