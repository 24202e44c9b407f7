# SPDX-License-Identifier: Apache-2.0
"""Between NumPy's arrays and PyTorch's tensors: a layer, or a module, as a Subject."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dropblock_conformance.subject import Array, Claims, Subject

Schedule = Callable[[float, int], Iterable[float]]


def to_torch(x: Array) -> Tensor:
    """A copy of the array. NumPy has bfloat16 from ml_dtypes, and PyTorch takes its bits but not its arrays."""
    if x.dtype.name == "bfloat16":
        return torch.from_numpy(x.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(x.copy())


def to_numpy(y: Tensor, like: Array) -> Array:
    """The tensor's values; bfloat16 as the dtype of `like`."""
    y = y.detach().cpu()
    if y.dtype == torch.bfloat16:
        return y.view(torch.int16).numpy().view(like.dtype)
    return y.numpy()


def subject(
    name: str, layer: Callable[..., Tensor], claims: Claims, schedule: Schedule | None = None, device: str = "cpu"
) -> Subject:
    """A layer of tensors: ``layer(x, keep_prob, block_size, training=..., seed=...)``."""

    def call(x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
        y = layer(to_torch(x).to(device), keep_prob, block_size, training=training, seed=seed)
        return to_numpy(y, x)

    def grad(x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        activations = to_torch(x).to(device).requires_grad_()
        y = layer(activations, keep_prob, block_size, training=True, seed=seed)
        (dx,) = torch.autograd.grad(y, activations, to_torch(dy).to(device))
        return to_numpy(y, x), to_numpy(dx, x)

    return Subject(name, call, claims, grad, schedule)


def of_modules(
    name: str, build: Callable[[int, float, int], Any], claims: Claims, schedule: Schedule | None = None
) -> Subject:
    """Modules that PyTorch's generator seeds: `build` makes one from the spatial rank, keep_prob and block_size."""

    def layer(x: Tensor, keep_prob: float, block_size: int, *, training: bool, seed: int) -> Any:
        torch.manual_seed(seed)
        return build(x.ndim - 2, keep_prob, block_size).train(training)(x)

    return subject(name, layer, claims, schedule)
