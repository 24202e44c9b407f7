"""The `dropblock` package of PyPI (github.com/miguelvr/dropblock), version 0.3.0, with PyTorch: written by others."""

from collections.abc import Iterator
from typing import Any

import torch
from dropblock import DropBlock2D, DropBlock3D, LinearScheduler

from dropblock_conformance.subject import Array, Claims, Deviation, Subject

LAYERS = {4: DropBlock2D, 5: DropBlock3D}


def layer(rank: int, keep_prob: float, block_size: int, training: bool, seed: int) -> Any:
    torch.manual_seed(seed)
    return LAYERS[rank](drop_prob=1 - keep_prob, block_size=block_size).train(training)


def call(x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
    y: Array = layer(x.ndim, keep_prob, block_size, training, seed)(torch.from_numpy(x)).numpy()
    return y


def grad(x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
    activations = torch.from_numpy(x).requires_grad_()
    y = layer(x.ndim, keep_prob, block_size, True, seed)(activations)
    y.backward(torch.from_numpy(dy))
    assert activations.grad is not None
    return y.detach().numpy(), activations.grad.numpy()


def schedule(keep_prob: float, steps: int) -> Iterator[float]:
    """As its README has it: `step` before each forward call; steps + 1 values reach from the start to the end."""
    scheduled = LinearScheduler(DropBlock2D(0.0, 1), start_value=0.0, stop_value=1 - keep_prob, nr_steps=steps + 1)
    for _ in range(steps + 1):
        scheduled.step()
        yield 1 - float(scheduled.dropblock.drop_prob)


# Its own words: "As described in the paper". That the channels share a mask, its code says.
CLAIMS = Claims(per_channel=False, spatial=(2, 3), clips=False)
EXPECT: list[Deviation] = []


def candidate() -> tuple[Subject, list[Deviation]]:
    return Subject("miguelvr", call, CLAIMS, grad, schedule), EXPECT
