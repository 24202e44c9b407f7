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


# Its documentation says "as described in the paper"; that channels share a mask, and that 3-d maps and even blocks are
# meant to work, its code says. Nothing says what a block larger than the map should do, or half precision.
CLAIMS = Claims(per_channel=False, spatial=(2, 3), clips=False)

GAMMA = "gamma is drop_prob / block_size^2 without Eq. (1)'s second factor, and seeds fall on the whole map"
ANY_SHARE = (0.0, 1.0)
# Effects as measured, with room for chance at every profile.
EXPECT = [
    Deviation("mask.blocks", "seeds fall on the whole map, so blocks hang over its border", ANY_SHARE),
    Deviation("values.dropped_zero", "the mask is multiplied, so NaN and infinity go through", ANY_SHARE),
    Deviation("values.nothing_kept", "gamma at keep_prob 0 is below 1, so something is kept", ANY_SHARE),
    Deviation("gradient.nonfinite", "the mask is multiplied, so infinity from above becomes NaN", ANY_SHARE),
    Deviation(
        "gradient.nothing_kept", "gamma at keep_prob 0 is below 1; where nothing is kept 0 / 0 is NaN", ANY_SHARE
    ),
    Deviation("schedule.ends", "a schedule of one value holds the start, not the end", (0.0, 1.0)),
    Deviation("law.paper", GAMMA, (-0.70, -0.65)),
    Deviation("law.full_map", GAMMA, (-0.14, -0.09)),
    Deviation("law.non_square", GAMMA, (-0.56, -0.51)),
    Deviation("law.wide", GAMMA, (-0.36, -0.31)),
    Deviation("law.even_block", GAMMA, (-0.65, -0.60)),
    # 56% too rarely in the middle and 55% too often in a corner: chance decides which is the larger.
    Deviation("law.low_keep_prob", f"{GAMMA}: the middle is dropped too rarely, a corner too often", (-0.58, 0.58)),
    Deviation("law.keep_prob_zero", GAMMA, (-0.44, -0.39)),
    Deviation("law.corners", GAMMA, (0.40, 0.45)),
    Deviation(
        "law.anchors", "a block at the border may come from several seeds outside the valid region", (-0.11, -0.04)
    ),
    Deviation("law.one_block", GAMMA, (-0.74, -0.69)),
    Deviation("law.pairs", GAMMA, (-0.58, -0.53)),
    Deviation("law.rank3", GAMMA, (-0.48, -0.43)),
    Deviation("law.drawn", f"{GAMMA}; by how much depends on the settings drawn", (-0.95, -0.02)),
]


def candidate() -> tuple[Subject, list[Deviation]]:
    return Subject("miguelvr", call, CLAIMS, grad, schedule), EXPECT
