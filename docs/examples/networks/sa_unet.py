"""SA-UNet for retinal vessels: DropBlock before each norm, block 7 and keep_prob 0.82 on DRIVE, 0.87 on CHASE_DB1.

Guo et al., "SA-UNet: spatial attention U-Net for retinal vessel segmentation" (2020), section II; the numbers are those
of its code.
"""

import torch
from torch import Tensor, nn

from dropblock_torch import DropBlock2d


def structured_dropout(inside: int, outside: int, keep_prob: float) -> nn.Sequential:
    """The paper's structured dropout convolutional block."""
    convolution = nn.Conv2d(inside, outside, 3, padding=1)
    return nn.Sequential(convolution, DropBlock2d(keep_prob, block_size=7), nn.BatchNorm2d(outside), nn.ReLU())


def twice(inside: int, outside: int, keep_prob: float) -> nn.Sequential:
    first, second = structured_dropout(inside, outside, keep_prob), structured_dropout(outside, outside, keep_prob)
    return nn.Sequential(first, second)


class SpatialAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * self.conv(pooled).sigmoid()


class SAUNet(nn.Module):
    """Logits of one map, from images whose sides are multiples of 8."""

    def __init__(self, channels: int = 16, keep_prob: float = 0.82) -> None:
        super().__init__()
        c = [channels << level for level in range(4)]
        self.encoder = nn.ModuleList(
            [twice(inside, outside, keep_prob) for inside, outside in zip((3, *c[:2]), c[:3], strict=True)]
        )
        self.middle = nn.Sequential(
            structured_dropout(c[2], c[3], keep_prob), SpatialAttention(), structured_dropout(c[3], c[3], keep_prob)
        )
        self.up = nn.ModuleList([nn.ConvTranspose2d(2 * x, x, 2, stride=2) for x in reversed(c[:3])])
        self.decoder = nn.ModuleList([twice(2 * x, x, keep_prob) for x in reversed(c[:3])])
        self.head = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for encode in self.encoder:
            skips.append(encode(x))
            x = nn.functional.max_pool2d(skips[-1], 2)
        x = self.middle(x)
        for up, decode, skip in zip(self.up, self.decoder, reversed(skips), strict=True):
            x = decode(torch.cat([up(x), skip], 1))
        return self.head(x)
