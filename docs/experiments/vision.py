"""torchvision and timm, also where torchvision's compiled operators do not load, as beside another build of PyTorch."""

from importlib import import_module

import torch
from torch import Tensor

from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision

torchvision = import_torchvision()
v2 = import_module("torchvision.transforms.v2")
drop_path = import_module("timm.layers").drop_path
class_name = import_module("timm.data").ImageNetInfo().index_to_description


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """What ``torchvision.ops.nms`` returns, in PyTorch: the boxes that no better one overlaps, best first."""
    order = scores.argsort(descending=True, stable=True)
    overlaps = torchvision.ops.box_iou(boxes[order], boxes[order]) > iou_threshold
    alive = torch.ones(len(order), dtype=torch.bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~overlaps[i, i + 1 :]
    return order[alive]


def has_nms() -> bool:
    try:
        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (RuntimeError, NotImplementedError):
        return False
    return True


if not has_nms():
    torchvision.ops.boxes.nms = nms  # where its detectors look for it
