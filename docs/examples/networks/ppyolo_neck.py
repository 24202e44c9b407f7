"""PP-YOLO's neck: one DropBlock in each level of the feature pyramid, block 3 and keep_prob 0.9; none in the backbone.

Long et al., "PP-YOLO: an effective and efficient implementation of object detector" (2020), section 3.3 and Fig. 2; the
numbers are those of its code. Left out: CoordConv and spatial pyramid pooling, which the neck has as well.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dropblock_torch import DropBlock2d


def conv(inside: int, outside: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(inside, outside, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outside), nn.LeakyReLU(0.1))


class Level(nn.Module):
    """Returns what goes on to the next level, and what goes to the detector."""

    def __init__(self, inside: int, channels: int, is_first: bool, keep_prob: float) -> None:
        super().__init__()
        first = [conv(inside, channels, 1), conv(channels, 2 * channels, 3)]
        second = [conv(2 * channels, channels, 1), conv(channels, 2 * channels, 3)]
        drop = DropBlock2d(keep_prob, block_size=3)
        places = [*first, *second, drop] if is_first else [*first, drop, *second]
        self.route = nn.Sequential(*places, conv(2 * channels, channels, 1))
        self.tip = conv(channels, 2 * channels, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        route = self.route(x)
        return route, self.tip(route)


class Neck(nn.Module):
    """From the backbone's maps, the largest first, to the detector's, the smallest first."""

    def __init__(self, inside: Sequence[int] = (512, 1024, 2048), channels: int = 512, keep_prob: float = 0.9) -> None:
        super().__init__()
        *larger, smallest = inside
        self.levels = nn.ModuleList([Level(smallest, channels, True, keep_prob)])
        self.transitions = nn.ModuleList()
        for maps in reversed(larger):
            self.transitions.append(nn.Sequential(conv(channels, channels // 2, 1), nn.Upsample(scale_factor=2)))
            channels //= 2
            self.levels.append(Level(channels + maps, channels, False, keep_prob))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        *larger, smallest = maps
        route, tip = self.levels[0](smallest)
        tips = [tip]
        for level, transition, x in zip(self.levels[1:], self.transitions, reversed(larger), strict=True):
            route, tip = level(torch.cat([transition(route), x], 1))
            tips.append(tip)
        return tips
