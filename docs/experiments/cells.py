"""Table 2 in miniature: a network of NASNet-like cells, with DropBlock in the last half of them.

AmoebaNet and NASNet build their cells alike: each combines the outputs of the two cells before it by separable
convolutions, pooling and skip connections, and concatenates what comes out.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from docs.experiments.classification import of_images
from docs.experiments.training import Layers, Task
from dropblock_torch import DropBlock2d

CELLS, WIDTH = 4, 12


class Convolution(nn.Sequential):
    """ReLU, a convolution (depthwise and pointwise if its kernel is larger than 1), and a norm."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1) -> None:
        parts = [nn.ReLU()]
        if kernel > 1:
            parts.append(nn.Conv2d(before, before, kernel, stride, kernel // 2, groups=before, bias=False))
            stride = 1
        super().__init__(*parts, nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))


class Cell(nn.Module):
    """From the outputs of the two cells before to ``[n, 3 width, height, width]``; a reduction halves the maps."""

    def __init__(self, before: int, last: int, width: int, stride: int, stride_before: int) -> None:
        super().__init__()
        self.squeeze_before = Convolution(before, width, 1, stride_before)  # where the last cell was a reduction
        self.squeeze = Convolution(last, width, 1)
        self.separable_3 = Convolution(width, width, 3, stride)
        self.separable_5 = Convolution(width, width, 5, stride)
        self.separable_3_before = Convolution(width, width, 3, stride)
        self.pool = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        # A reduction has no identity skip: it pools.
        self.skip: nn.Module = nn.Identity() if stride == 1 else nn.MaxPool2d(3, stride, padding=1)
        self.skip_before: nn.Module = nn.Identity() if stride == 1 else nn.MaxPool2d(3, stride, padding=1)

    def forward(self, before: Tensor, last: Tensor) -> Tensor:
        before, last = self.squeeze_before(before), self.squeeze(last)
        return torch.cat(
            [
                self.separable_3(last) + self.skip(last),
                self.separable_5(last) + self.separable_3_before(before),
                self.pool(last) + self.skip_before(before),
            ],
            1,
        )


class CellNet(nn.Module):
    """Images of 28x28: two cells at 14x14, a reduction, and a cell at 7x7."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, WIDTH, 5, 2, padding=2, bias=False), nn.BatchNorm2d(WIDTH))
        self.cells = nn.ModuleList()
        before, last, width, was_reduction = WIDTH, WIDTH, WIDTH, False
        for number in range(CELLS):
            is_reduction = number == CELLS // 2
            width = 2 * width if is_reduction else width
            self.cells.append(Cell(before, last, width, 1 + is_reduction, 1 + was_reduction))
            before, last, was_reduction = last, 3 * width, is_reduction
        self.head = nn.Linear(last, classes)

    def forward(self, images: Tensor) -> Tensor:
        before = last = self.stem(images)
        for cell in self.cells:
            before, last = last, cell(before, last)
        return self.head(F.relu(last).mean((2, 3)))


def drop_in_last_half(net: CellNet, keep_prob: float, block_size: int) -> Layers:
    """Section 4.1.2: after all norms and on the skip connections of the last half of the cells."""
    layers: Layers = {}
    for number, cell in list(enumerate(net.cells))[CELLS // 2 :]:
        hosts = [name for name, part in cell.named_children() if isinstance(part, Convolution) or "skip" in name]
        for host in hosts:
            layer = DropBlock2d(keep_prob, block_size)
            setattr(cell, host, nn.Sequential(getattr(cell, host), layer))
            layers.setdefault(f"cell {number + 1}", []).append(layer)
    return layers


def cells(settings: dict[str, Any]) -> Task:
    """A row of Table 2."""
    net = CellNet()
    layers = drop_in_last_half(net, settings["keep_prob"], settings["block_size"]) if settings["keep_prob"] < 1 else {}
    return of_images(net, layers, settings)
