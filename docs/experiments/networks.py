"""A residual network small enough for a CPU, with the groups and the maps that the paper's ResNet-50 has."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """A residual block. `add_dropblock` finds conv*, bn* and downsample by their names."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = None
        if before != after or stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + skip)


class ResNet(nn.Module):
    """A block in each of four groups. Images of 28x28 give maps of 14x14 in group 3 and of 7x7 in group 4.

    These are the sizes of groups 3 and 4 in ResNet-50 on ImageNet, so a block_size means the same share of a map.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (8, 8, 24, 64),
        strides: tuple[int, ...] = (1, 1, 1, 2),
        classes: int | None = 10,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 5, 2, padding=2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        for group, ((before, after), stride) in enumerate(
            zip(pairwise((widths[0], *widths)), strides, strict=True), start=1
        ):
            setattr(self, f"layer{group}", nn.Sequential(Block(before, after, stride)))
        self.head = nn.Linear(widths[-1], classes) if classes else None

    def maps(self, images: Tensor) -> list[Tensor]:
        """The output of each group."""
        x, maps = self.stem(images), []
        for group in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = group(x)
            maps.append(x)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.maps(images)[-1].mean((2, 3)))
