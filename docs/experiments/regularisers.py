"""DropBlock and what the paper compares it with, each with a keep_prob that one schedule can set.

Dropout and SpatialDropout act on convolution branches only, as the paper defines these baselines. DropPath acts on a
whole branch. Group 3 drops a quarter of what group 4 drops, for all methods but DropPath.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from docs.experiments.networks import ResNet
from docs.experiments.training import Layers
from dropblock_torch import add_dropblock


def function_of(method: str) -> Callable[..., Tensor]:
    """What drops: a function of the activations, the rate, and whether to."""
    if method == "DropPath":
        from docs.experiments.vision import drop_path

        return drop_path
    return {"dropout": F.dropout, "SpatialDropout": F.dropout2d}[method]


class Dropping(nn.Module):
    """A baseline as a layer: it drops ``share * (1 - keep_prob)``."""

    def __init__(self, method: str, keep_prob: float, share: float) -> None:
        super().__init__()
        self.function, self.keep_prob, self.share = function_of(method), keep_prob, share
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        drop = self.share * (1 - self.keep_prob)
        dropped = self.function(x, drop, True) if self.training and drop else None
        self.last = dropped
        return x if dropped is None else dropped

    @property
    def dropped_fraction(self) -> Tensor:
        """The share of zeros, which a norm's output has none of."""
        return torch.zeros(()) if self.last is None else (self.last == 0).double().mean()


def regularise(net: ResNet, method: str, keep_prob: float, block_size: int, groups: list[int], skip: bool) -> Layers:
    """Put a method's layers into `groups` of `net`, in place."""
    if method == "none":
        return {}
    if method == "DropBlock":
        return {
            f"group {g}": add_dropblock(net, groups=(g,), block_size=block_size, keep_prob=keep_prob, skip=skip)
            for g in groups
        }
    layers: Layers = {}
    for g in groups:
        share = 1.0 if method == "DropPath" else 4.0 ** (g - 4)
        for block in getattr(net, f"layer{g}"):
            norms = [name for name, _ in block.named_children() if name.startswith("bn")]
            for name in norms[-1:] if method == "DropPath" else norms:
                layer = Dropping(method, keep_prob, share)
                setattr(block, name, nn.Sequential(getattr(block, name), layer))
                layers.setdefault(f"group {g}", []).append(layer)
    return layers


def cutout(images: Tensor, size: int) -> Tensor:
    """Set a square around a random unit of each image to 0, the mean. The square may hang over the border."""
    n, _, height, width = images.shape

    def inside(length: int) -> Tensor:
        start = torch.randint(0, length, (n, 1)) - size // 2
        place = torch.arange(length)
        return (place >= start) & (place < start + size)

    rows, columns = inside(height), inside(width)
    return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0.0)


def auto_augmented(images: Tensor) -> Tensor:
    """Each uint8 image by the policy that was found for ImageNet. Its changes of colour leave a grey image as it is."""
    from docs.experiments.vision import v2

    augment = v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET)
    return torch.stack([augment(image) for image in images])
