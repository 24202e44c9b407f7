"""What detection and segmentation share: a ResNet-FPN with random weights, and the jitter of their images."""

from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import nn

from docs.experiments.vision import torchvision, v2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels, as the authors have here too
NORM = partial(nn.BatchNorm2d, eps=1e-4, momentum=0.003)  # the authors' decay is 0.997

tv_tensors: Any = import_module("torchvision.tv_tensors")


def resnet_fpn(network: str, extra: Any = None) -> nn.Module:
    """Features of strides 8, 16 and 32 with 256 channels, and those of `extra`; ``body`` has the groups of blocks."""
    body = getattr(torchvision.models, network)(norm_layer=NORM, zero_init_residual=True)
    channels = [group[-1].bn2.num_features * group[-1].expansion for group in (body.layer2, body.layer3, body.layer4)]
    fpn: Any = import_module("torchvision.models.detection.backbone_utils").BackboneWithFPN
    returned = {"layer2": "0", "layer3": "1", "layer4": "2"}
    return fpn(body, returned, channels, 256, extra_blocks=extra, norm_layer=NORM)


class Place(v2.Transform):
    """Crop to `size` at a random place, or the first one, and pad what is smaller: images by the mean."""

    def __init__(self, size: int, at_random: bool, label: int = 0) -> None:
        super().__init__()
        self.size, self.at_random, self.label = size, at_random, label

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        sides = v2.query_size(flat_inputs)
        spare = [max(0, side - self.size) for side in sides]
        missing = [max(0, self.size - side) for side in sides]
        places = torch.rand(2).tolist() if self.at_random else (0, 0)
        top, left = (int(place * (room + 1)) for place, room in zip(places, spare, strict=True))
        return {"top": top, "left": left, "padding": [0, 0, missing[1], missing[0]]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        fill = self.label if isinstance(inpt, tv_tensors.Mask) else 0
        padded = v2.functional.pad(inpt, params["padding"], fill=fill)
        return v2.functional.crop(padded, params["top"], params["left"], self.size, self.size)


def training_transforms(size: int, jitter: tuple[float, float], label: int = 0) -> Any:
    """Flip, scale so that the longer side is `size` times a random factor, normalise, and crop or pad to `size`."""
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.ScaleJitter((size, size), jitter),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
            Place(size, at_random=True, label=label),
        ]
    )


def validation_transforms(size: int, label: int = 0) -> Any:
    """The same at one scale, which the caller has set."""
    return v2.Compose(
        [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD), Place(size, at_random=False, label=label)]
    )
