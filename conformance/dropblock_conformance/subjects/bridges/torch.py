"""What the subjects made of other people's PyTorch modules share."""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import torch

from dropblock_conformance.subject import Array, Claims, Subject
from dropblock_conformance.subjects.ours.torch_eager import to_numpy, to_torch


def subject(
    name: str,
    build: Callable[[int, float, int], Any],
    claims: Claims,
    schedule: Callable[[float, int], Iterable[float]] | None = None,
) -> Subject:
    """A module behind NumPy arrays: `build` makes one from the spatial rank, keep_prob and block_size."""

    def run(x: torch.Tensor, keep_prob: float, block_size: int, training: bool, seed: int) -> Any:
        torch.manual_seed(seed)
        return build(x.ndim - 2, keep_prob, block_size).train(training)(x)

    def call(x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
        return to_numpy(run(to_torch(x), keep_prob, block_size, training, seed), x)

    def grad(x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        activations = to_torch(x).requires_grad_()
        y = run(activations, keep_prob, block_size, True, seed)
        (dx,) = torch.autograd.grad(y, activations, to_torch(dy))
        return to_numpy(y, x), to_numpy(dx, x)

    return Subject(name, call, claims, grad, schedule)


library: Any = torch.library  # which has no types
SCHEMAS = library.Library("torchvision", "FRAGMENT")  # while it lives, the operators it defines exist


def import_torchvision() -> Any:
    """torchvision, even where a wheel built for CUDA lies beside a PyTorch that is not; timm and others import it too.

    Its C++ extension then does not load, and the import stops at two operators that only the extension defines.
    Declaring them is enough for what is written in Python, as DropBlock is.
    """
    try:
        return import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error):
            raise
        for name in ("nms", "qnms"):
            SCHEMAS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return import_module("torchvision")
