"""PyTorch, beside torchvision's and timm's layers and its own dropout."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision
from dropblock_torch import drop_block
from tests.bench.cases import CASES, DENSE, FLOOR, OURS, Backend, Case, Contenders, Target

TORCHVISION, TIMM, DROPOUT = "torchvision drop_block2d", "timm, per channel", "F.dropout"


def layers_of(case: Case) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    import_torchvision()
    from timm.layers.drop import drop_block_2d
    from torchvision.ops import drop_block2d

    scale, drop = 1.1, 1 - case.keep_prob
    layers: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        OURS: lambda x: drop_block(x, case.keep_prob, case.block),
        FLOOR: lambda x: x * scale,
        DROPOUT: lambda x: F.dropout(x, drop),
    }
    if case.block > 1:
        if case.block % 2:  # the only blocks it takes
            layers[TORCHVISION] = lambda x: drop_block2d(x, drop, case.block)
        layers[TIMM] = lambda x: drop_block_2d(x, drop, case.block, couple_channels=False)
    return layers


def forward(x: np.ndarray[Any, Any], case: Case) -> Contenders:
    activations = torch.from_numpy(x)
    return {name: lambda layer=layer: layer(activations) for name, layer in layers_of(case).items()}


def both(x: np.ndarray[Any, Any], case: Case) -> Contenders:
    activations, dy = torch.from_numpy(x).requires_grad_(), torch.ones(x.shape)
    return {
        name: lambda layer=layer: torch.autograd.grad(layer(activations), activations, dy)
        for name, layer in layers_of(case).items()
    }


def saved_bits_a_unit(case: Case) -> float:
    """What a call of ours leaves for the backward pass, beside the input that it does not keep."""
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.nbytes) or t, lambda t: t):
        y = drop_block(torch.ones(case.shape, requires_grad=True), case.keep_prob, case.block)
    return 8 * sum(saved) / y.numel()


BLOCKS = [Target(TORCHVISION, at_least=60.0), Target(DROPOUT, at_least=15.0), Target(FLOOR, at_most=1.3)]
TARGETS = {case: BLOCKS for case in CASES[:3]} | {DENSE[0]: [Target(DROPOUT, at_least=5.0)]}
BACKENDS = [
    Backend("torch forward", forward, TARGETS, [*CASES, *DENSE]),
    Backend("torch forward + backward", both, TARGETS, [*CASES, *DENSE]),
]
