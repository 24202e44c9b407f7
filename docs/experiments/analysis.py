"""Fig. 5 and 6: a trained network with DropBlock at inference, and where its class activations lie."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from docs.experiments.networks import ResNet
from dropblock_torch import add_dropblock

BLOCKS = (1, 7)
KEEP_PROBS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
SHOWN = 6  # the test images whose maps are kept, for the picture


@torch.no_grad()
def under_dropblock(
    make: Callable[[], ResNet], weights: dict[str, Tensor], accuracy: Callable[[ResNet], float]
) -> dict[str, list[float]]:
    """Fig. 5: accuracy with DropBlock at inference in groups 3 and 4, by block_size, over `KEEP_PROBS`."""
    curves = {}
    for block_size in BLOCKS:
        net = make()
        net.load_state_dict(weights)
        layers = add_dropblock(net, block_size=block_size, keep_prob=1.0)
        net.eval()
        curve = []
        for keep_prob in KEEP_PROBS:
            for layer in layers:
                layer.train().keep_prob = keep_prob
            curve.append(accuracy(net))
        curves[str(block_size)] = curve
    return curves


@torch.no_grad()
def activation_maps(net: Any, images: Tensor, classes: Tensor) -> dict[str, Any]:
    """Fig. 6: class activation maps (Zhou et al. 2016) of the true class, without what speaks against it.

    Two numbers tell how spread they are, each the mean over the images: `area`, the share of units that have at least
    half of the maximum, and `entropy` of the map as a distribution, as a share of the uniform one's.
    """
    maps = torch.cat(
        [
            torch.einsum("nchw,nc->nhw", net.maps(x)[-1], net.head.weight[y])
            for x, y in zip(images.split(500), classes.split(500), strict=True)
        ]
    ).clamp(min=0)
    area, entropy = spread(maps)
    shown = maps[:SHOWN] / maps[:SHOWN].amax((1, 2), keepdim=True).clamp(min=1e-9)
    return {"area": area, "entropy": entropy, "shown": (99 * shown).round().int().tolist()}


def spread(maps: Tensor) -> tuple[float, float]:
    """Area and entropy of maps ``[n, height, width]``, means over those that are not all 0."""
    flat = maps.flatten(1).double()
    flat = flat[flat.sum(1) > 0]
    area = (flat >= flat.amax(1, keepdim=True) / 2).double().mean().item()
    share = flat / flat.sum(1, keepdim=True)
    entropy = torch.special.entr(share).sum(1) / math.log(flat.shape[1])
    return area, entropy.mean().item()
