"""This project's PyTorch adapter, as it runs without a compiler; and what its other ways of running share."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dropblock_conformance.subject import DTYPES, Array, Claims, Subject
from dropblock_core import LinearSchedule
from dropblock_torch import DropBlock2d, KeepProbScheduler, drop_block

BFLOAT16 = "bfloat16"  # NumPy has it from ml_dtypes, and PyTorch takes its bits but not its arrays


def to_torch(x: Array) -> Tensor:
    if x.dtype.name == BFLOAT16:
        return torch.from_numpy(x.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(x.copy())


def to_numpy(y: Tensor, like: Array) -> Array:
    y = y.detach().cpu()
    if y.dtype == torch.bfloat16:
        return y.view(torch.int16).numpy().view(like.dtype)
    return y.numpy()


def subject(name: str, layer: Callable[..., Tensor], claims: Claims, device: str = "cpu") -> Subject:
    """The adapter behind NumPy arrays: `layer` has the signature of :func:`dropblock_torch.drop_block`."""

    def call(x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
        y = layer(to_torch(x).to(device), keep_prob, block_size, training=training, seed=seed)
        return to_numpy(y, x)

    def grad(x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        activations = to_torch(x).to(device).requires_grad_()
        y = layer(activations, keep_prob, block_size, training=True, seed=seed)
        (dx,) = torch.autograd.grad(y, activations, to_torch(dy).to(device))
        return to_numpy(y, x), to_numpy(dx, x)

    return Subject(name, call, claims, grad, schedule)


def schedule(keep_prob: float, steps: int) -> Iterator[float]:
    layer = DropBlock2d()
    scheduler = KeepProbScheduler([layer], LinearSchedule(keep_prob, steps))
    yield layer.keep_prob
    for _ in range(steps):
        scheduler.step()
        yield layer.keep_prob


def candidate() -> Any:
    return subject("torch", drop_block, Claims(spatial=(1, 2, 3), dtypes=DTYPES))
