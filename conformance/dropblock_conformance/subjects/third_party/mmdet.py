# SPDX-License-Identifier: Apache-2.0
"""MMDetection's `DropBlock` (github.com/open-mmlab/mmdetection), version 3.3.0, with PyTorch: written by others.

Its file is run by itself: importing `mmdet.models` needs operators that mmcv compiles, which this file does not use.
"""

import runpy
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from dropblock_conformance.subject import Claims, Deviation, Subject
from dropblock_conformance.subjects.bridges.torch import of_modules
from dropblock_conformance.subjects.third_party import deviations, reproduce

HOME = Path(str(import_module("mmdet").__file__)).parent
DropBlock = runpy.run_path(str(HOME / "models" / "layers" / "dropblock.py"))["DropBlock"]
RUNNING: list[Any] = []  # layers whose warm-up is being watched


def build(rank: int, keep_prob: float, block_size: int) -> Any:
    """Past its warm-up; or the layer whose warm-up is being watched."""
    if RUNNING:
        return RUNNING[-1]
    return DropBlock(drop_prob=1 - keep_prob, block_size=block_size, warmup_iters=0)


def schedule(keep_prob: float, steps: int) -> Iterator[float]:
    """Its warm-up over `steps` iterations, which are forward calls; with block 1 on one unit gamma is drop_prob."""
    layer = DropBlock(drop_prob=1 - keep_prob, block_size=1, warmup_iters=steps)
    RUNNING.append(layer)
    try:
        for _ in range(steps + 1):
            layer.train()(torch.ones(1, 1, 1, 1))
            yield 1 - layer._compute_gamma((1, 1))
    finally:
        RUNNING.remove(layer)


# Its documentation names the paper and "the value of gamma according to paper". It asserts an odd block and a drop_prob
# above 0. Masks are per channel and in float32 whatever the input, by its code.
CLAIMS = Claims(even_blocks=False, clips=False)

# Seen where three units or fewer are kept.
EPSILON = "1e-6 is added to the count, so the scale is wrong in its seventh digit"
EARLY = "the first of warmup_iters calls is at 1 / warmup_iters already: the warm-up is one step early throughout"
EXPECT = [
    Deviation("mode.keep_prob_one", "it asserts that drop_prob is above 0: a limitation", raises="AssertionError"),
    *deviations.MULTIPLIED,
    *deviations.OUT_OF_RANGE,
    *(Deviation(check, EPSILON, (2e-7, 1.1e-6)) for check in ("scale.claimed", "gradient.scale")),
    Deviation("schedule.ends", EARLY, (0.0, 1.0)),
    Deviation("schedule.linear", EARLY, (0.0, 1.0)),
    Deviation("schedule.training_calls", "iterations are forward calls in training", (0.0, 1.0)),
]
LOAD = "import mmdet, runpy; D = runpy.run_path(mmdet.__path__[0] + '/models/layers/dropblock.py')['DropBlock']"
WARMING = (
    f'python -c "import torch; {LOAD}; d = D(0.5, 1, warmup_iters=10); '
    '[d(torch.ones(1, 1, 1, 1)) for _ in range({calls})]; print(d._compute_gamma((1, 1)))"'
)
# How many of the maps that keep a unit are wrong in the seventh digit; `{of}` makes a map of ones x and the layer d.
FEW_KEPT = (
    f'python -c "import torch; {LOAD}; d = D(0.8, 3, warmup_iters=0); x = torch.ones(1, 1, 4, 4, requires_grad=True); '
    "v = [v for v in ({of} for _ in range(1000)) if v.any()]; "
    'print(sum(abs(v.max().item() * v.count_nonzero().item() / 16 - 1) > 2e-7 for v in v) / len(v))"'
)
REPRODUCE = {
    "mode.keep_prob_one": f'python -c "{LOAD}; D(0.0, 7)"',
    **reproduce.torch_lines(LOAD, "D({p}, {b}, warmup_iters=0)", [*deviations.MULTIPLIED, *deviations.OUT_OF_RANGE]),
    "scale.claimed": FEW_KEPT.format(of="d(x)"),
    "gradient.scale": FEW_KEPT.format(of="torch.autograd.grad(d(x).sum(), x)[0]"),
    "schedule.ends": WARMING.format(calls=1),
    "schedule.linear": WARMING.format(calls=1),
    "schedule.training_calls": WARMING.format(calls=3),
}


def candidate() -> tuple[Subject, list[Deviation]]:
    return of_modules("mmdet", build, CLAIMS, schedule), reproduce.shown(EXPECT, REPRODUCE)
