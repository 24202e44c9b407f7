"""PyTorch, beside torchvision's and timm's layers and its own dropout."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision
from dropblock_torch import DropBlock2d, drop_block
from tests.bench.cases import CASES, DENSE, FLOOR, OTHER_DTYPES, OURS, TINY, Backend, Case, Contenders, Target

TORCHVISION, TIMM, DROPOUT = "torchvision", "timm", "F.dropout"
Layer = Callable[[torch.Tensor], torch.Tensor]


def alone(case: Case) -> dict[str, Layer]:
    """What runs in any dtype, whatever the block."""
    return {
        OURS: lambda x: drop_block(x, keep_prob=case.keep_prob, block_size=case.block),
        FLOOR: lambda x: x * 1.1,
        DROPOUT: lambda x: F.dropout(x, 1 - case.keep_prob),
    }


def with_others(case: Case) -> dict[str, Layer]:
    import_torchvision()
    from timm.layers.drop import drop_block_2d
    from torchvision.ops import drop_block2d

    layers, drop = alone(case), 1 - case.keep_prob
    if case.block > 1:
        if case.block % 2:  # the only blocks it takes
            layers[TORCHVISION] = lambda x: drop_block2d(x, drop, case.block)
        layers[TIMM] = lambda x: drop_block_2d(x, drop, case.block, couple_channels=False)
    return layers


def with_modules(case: Case) -> dict[str, Layer]:
    modules: dict[str, Layer] = {
        "DropBlock2d": DropBlock2d(keep_prob=case.keep_prob, block_size=case.block),
        "nn.Dropout": torch.nn.Dropout(1 - case.keep_prob),
    }
    return alone(case) | modules


def forward(x: np.ndarray[Any, Any], case: Case, layers: Callable[[Case], dict[str, Layer]]) -> Contenders:
    activations = torch.from_numpy(x).to(getattr(torch, case.dtype))
    return {name: lambda layer=layer: layer(activations) for name, layer in layers(case).items()}


def both(x: np.ndarray[Any, Any], case: Case, layers: Callable[[Case], dict[str, Layer]]) -> Contenders:
    activations = torch.from_numpy(x).to(getattr(torch, case.dtype)).requires_grad_()
    dy = torch.ones_like(activations)
    return {
        name: lambda layer=layer: torch.autograd.grad(layer(activations), activations, dy)
        for name, layer in layers(case).items()
    }


@contextmanager
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def saved_bits_a_unit(case: Case) -> float:
    """What a call of ours leaves for the backward pass, beside the input that it does not keep."""
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.nbytes) or t, lambda t: t):
        y = drop_block(torch.ones(case.shape, requires_grad=True), keep_prob=case.keep_prob, block_size=case.block)
    return 8 * sum(saved) / y.numel()


def targets(**floor: float) -> dict[Case, list[Target]]:
    at_14x14 = [Target(TORCHVISION, at_least=60.0), Target(DROPOUT, at_least=15.0)]
    of_dtypes = zip(OTHER_DTYPES, (2.0, 2.0, 3.0), strict=True)
    return {
        **{case: [Target(FLOOR, at_most=1.3, **floor)] for case in CASES},
        CASES[0]: [*at_14x14, Target(FLOOR, at_most=1.3, **floor)],
        **{case: [Target(FLOOR, at_most=at_most)] for case, at_most in of_dtypes},
        DENSE[0]: [Target(DROPOUT, at_least=5.0)],
    }


SHAPES = [*CASES, *DENSE]
AT_MOST_4 = {TINY: [Target(DROPOUT, at_most=4.0)]}
BACKENDS = [
    Backend("forward", partial(forward, layers=with_others), targets(or_more_by=0.5), SHAPES),
    Backend("forward + backward", partial(both, layers=with_others), targets(), SHAPES),
    Backend("forward", partial(forward, layers=alone), targets(), OTHER_DTYPES),
    Backend("forward + backward", partial(both, layers=alone), targets(), OTHER_DTYPES),
    Backend("forward, one thread", partial(forward, layers=alone), cases=SHAPES, within=one_thread),
    Backend("forward + backward, one thread", partial(both, layers=alone), cases=SHAPES, within=one_thread),
    Backend("forward", partial(forward, layers=with_modules), AT_MOST_4, [TINY], repeats=500),
    Backend("forward + backward", partial(both, layers=with_modules), AT_MOST_4, [TINY], repeats=500),
]
