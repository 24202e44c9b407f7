"""Table 4 in miniature: a ResNet-FPN with a fully convolutional head, from random weights, on composed scenes."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from docs.experiments import scenes
from docs.experiments.networks import ResNet
from docs.experiments.training import Metrics, Task
from docs.experiments.vision import torchvision
from dropblock_torch import DropBlock2d, add_dropblock

CLASSES = 11  # with the background
WIDTHS = (8, 16, 32, 64)
CHANNELS = 32


class Backbone(nn.Module):
    """ResNet-FPN: maps of 16x16, 8x8 and 4x4 from groups 2 to 4."""

    out_channels = CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.body = ResNet(WIDTHS, strides=(1, 2, 2, 2), classes=None)
        self.pyramid = torchvision.ops.FeaturePyramidNetwork(list(WIDTHS[1:]), CHANNELS)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.pyramid({str(level): maps for level, maps in enumerate(self.body.maps(images)[1:])})


class Segmenter(nn.Module):
    """Scores ``[n, 11, 64, 64]`` from the largest maps of the pyramid, by three convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = nn.ModuleList(
            nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(CHANNELS), nn.ReLU())
            for _ in range(3)
        )
        self.classify = nn.Conv2d(CHANNELS, CLASSES, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.backbone(images)["0"]
        for part in self.head:
            x = part(x)
        return F.interpolate(self.classify(x), scale_factor=4, mode="bilinear", align_corners=False)


def segmentation(settings: dict[str, Any]) -> Task:
    """A row of Table 4."""
    training, test = scenes.load(settings["data"], settings["training_scenes"], settings["test_scenes"])
    net = Segmenter().to(memory_format=torch.channels_last)
    layers: dict[str, list[Any]] = {}
    if settings["keep_prob"] < 1:
        options = {"block_size": settings["block_size"], "keep_prob": settings["keep_prob"]}
        if settings["place"] == "head":
            layers["head"] = [DropBlock2d(**options) for _ in net.head]
            for part, layer in zip(net.head, layers["head"], strict=True):
                part.append(layer)
        else:
            for g in (3, 4):
                layers[f"group {g}"] = add_dropblock(net.backbone.body, groups=(g,), **options)

    def loss(batch: Tensor) -> Tensor:
        flipped = (torch.rand(len(batch)) < 0.5)[:, None, None]
        images = torch.where(flipped[..., None], training.images[batch].flip(3), training.images[batch])
        labels = torch.where(flipped, training.labels[batch].flip(2), training.labels[batch])
        return F.cross_entropy(net(images.contiguous(memory_format=torch.channels_last)), labels)

    def measure() -> Metrics:
        return {
            "miou": mean_iou(net, test.images, test.labels),
            "training_miou": mean_iou(net, training.images, training.labels),
        }

    return Task(net, layers, len(training.images), loss, measure)


@torch.no_grad()
def mean_iou(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    guesses = torch.cat([net(x).argmax(1) for x in images.split(50)])
    return mean_iou_of(guesses, labels)


def mean_iou_of(guesses: Tensor, labels: Tensor) -> float:
    """The mean over classes of intersection over union of all pixels. A class that is nowhere does not count."""
    pairs = torch.bincount((labels * CLASSES + guesses).flatten(), minlength=CLASSES**2).view(CLASSES, CLASSES)
    both = pairs.diag().double()
    either = pairs.sum(0) + pairs.sum(1) - both
    return (both[either > 0] / either[either > 0]).mean().item()
