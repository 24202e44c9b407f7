"""Networks for the tests of add_dropblock: two groups of residual blocks, of torchvision and of timm."""

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision
from dropblock_torch import DropBlock2d

torchvision = import_torchvision()
timm = importlib.import_module("timm")  # it imports torchvision in its turn

Block = Callable[..., nn.Module]
BASIC = [torchvision.models.resnet.BasicBlock, timm.models.resnet.BasicBlock]
BOTTLENECK = [torchvision.models.resnet.Bottleneck, timm.models.resnet.Bottleneck]
any_block = pytest.mark.parametrize("block", BASIC + BOTTLENECK, ids=lambda b: f"{b.__module__}.{b.__name__}")


def network(block: Block = BOTTLENECK[0], **options: Any) -> nn.Sequential:
    """Groups 3 and 4, each of a block with a strided projection and one with an identity skip."""
    torch.manual_seed(0)

    def group(channels: int) -> nn.Sequential:
        projection = nn.Sequential(nn.Conv2d(channels, 16, 1, stride=2, bias=False), nn.BatchNorm2d(16))
        planes = 16 // block.expansion  # type: ignore[attr-defined]
        return nn.Sequential(block(channels, planes, 2, projection, **options), block(16, planes, **options))

    net = nn.Sequential()
    net.add_module("layer3", group(8))
    net.add_module("layer4", group(16))
    return net


def images() -> Tensor:
    return torch.randn(2, 8, 24, 24, generator=torch.Generator().manual_seed(1))


def blocks_of(net: nn.Module) -> list[Any]:
    return [block for name, group in net.named_children() if name.startswith("layer") for block in group.children()]


def calls(net: nn.Module, layers: list[DropBlock2d], x: Tensor) -> list[tuple[DropBlock2d, tuple[int, ...]]]:
    """The layers a forward pass comes to, with the sizes of the maps they see."""
    seen: list[Any] = []
    handles = [layer.register_forward_pre_hook(lambda m, args: seen.append((m, args[0].shape[2:]))) for layer in layers]
    net(x)
    for handle in handles:
        handle.remove()
    return seen
