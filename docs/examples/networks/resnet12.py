"""ResNet-12 for few-shot learning: DropBlock at the end of each block, of 1 unit in the first two, 5 in the last two.

Lee et al., "Meta-learning with differentiable convex optimization" (2019), section 4.1, for images of 84x84.
"""

from torch import Tensor, nn

from dropblock_torch import DropBlock2d


def conv_and_norm(inside: int, outside: int, kernel: int) -> nn.Sequential:
    conv = nn.Conv2d(inside, outside, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outside))


class Block(nn.Module):
    def __init__(self, inside: int, outside: int, block_size: int, keep_prob: float) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            conv_and_norm(inside, outside, 3),
            nn.LeakyReLU(0.1),
            conv_and_norm(outside, outside, 3),
            nn.LeakyReLU(0.1),
            conv_and_norm(outside, outside, 3),
        )
        self.skip = conv_and_norm(inside, outside, 1)
        self.end = nn.Sequential(nn.LeakyReLU(0.1), nn.MaxPool2d(2))
        self.drop = DropBlock2d(keep_prob, block_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.end(self.branch(x) + self.skip(x)))


class ResNet12(nn.Sequential):
    """Features without a global pooling, as the paper classifies them: 640 maps of 5x5 for an image of 84x84."""

    def __init__(self, channels: tuple[int, ...] = (64, 160, 320, 640), keep_prob: float = 0.9) -> None:
        sizes = (3, *channels)
        sides = (1, 1, 5, 5)  # 1, 1, 2, 2 for the images of 32x32 of CIFAR
        super().__init__(
            *(Block(sizes[i], sizes[i + 1], sides[i], keep_prob) for i in range(4)),
            nn.Flatten(),
        )
