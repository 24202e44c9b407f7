"""Table 3 in miniature: torchvision's RetinaNet with a small ResNet-FPN, from random weights, on composed scenes."""

import io
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from docs.experiments import scenes
from docs.experiments.scenes import SIDE, Scenes
from docs.experiments.segmentation import CHANNELS, CLASSES, Backbone
from docs.experiments.training import Metrics, Task
from dropblock_torch import add_dropblock

# Three sizes a level, the levels being 16x16, 8x8 and 4x4 maps.
SIZES = ((10, 14), (20, 26), (34, 44))


def retinanet() -> Any:
    """As in section 4.3, with a norm after all convolutions of the heads."""
    models = import_module("torchvision.models.detection")
    anchors = models.anchor_utils.AnchorGenerator(SIZES, ((0.5, 1.0, 2.0),) * 3)
    head = models.retinanet.RetinaNetHead(
        CHANNELS, anchors.num_anchors_per_location()[0], CLASSES, norm_layer=nn.BatchNorm2d
    )
    net = models.RetinaNet(
        Backbone(),
        CLASSES,
        anchor_generator=anchors,
        head=head,
        image_mean=[0.0],
        image_std=[1.0],
        min_size=SIDE,
        max_size=SIDE,
        _skip_resize=True,
        detections_per_img=20,
        topk_candidates=100,
    )
    net.transform.size_divisible = SIDE
    return net


def detection(settings: dict[str, Any]) -> Task:
    """A row of Table 3: DropBlock in groups 3 and 4 of the backbone."""
    training, test = scenes.load(settings["data"], settings["training_scenes"], settings["test_scenes"])
    net = retinanet()
    layers: dict[str, list[Any]] = {}
    if settings["keep_prob"] < 1:
        for g in (3, 4):
            layers[f"group {g}"] = add_dropblock(
                net.backbone.body, groups=(g,), block_size=settings["block_size"], keep_prob=settings["keep_prob"]
            )

    def loss(batch: Tensor) -> Tensor:
        images, targets = [], []
        for i in batch.tolist():
            image, boxes = training.images[i], training.boxes[i]
            if torch.rand(()) < 0.5:
                image, boxes = (
                    image.flip(2),
                    torch.stack([SIDE - boxes[:, 2], boxes[:, 1], SIDE - boxes[:, 0], boxes[:, 3]], 1),
                )
            images.append(image)
            targets.append({"boxes": boxes, "labels": training.classes[i]})
        return sum(net(images, targets).values(), torch.zeros(()))

    return Task(net, layers, len(training.images), loss, lambda: average_precision(found_in(net, test), test))


@torch.no_grad()
def found_in(net: nn.Module, test: Scenes) -> list[dict[str, Tensor]]:
    return [found for x in test.images.split(20) for found in net(list(x))]


def average_precision(found: list[dict[str, Tensor]], test: Scenes) -> Metrics:
    """COCO's AP, AP50 and AP75, by COCO's own program."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = {
        "images": [{"id": i} for i in range(len(test.images))],
        "categories": [{"id": c} for c in range(1, CLASSES)],
        "annotations": [
            {"image_id": i, "category_id": kind, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for i, (boxes, kinds) in enumerate(zip(test.boxes, test.classes, strict=True))
            for box, kind in zip(corner_and_size(boxes), kinds.tolist(), strict=True)
        ],
    }
    for number, annotation in enumerate(truth.dataset["annotations"], start=1):
        annotation["id"] = number  # from 1: COCOeval takes 0 for no match
    guesses = [
        {"image_id": i, "category_id": kind, "bbox": box, "score": score}
        for i, one in enumerate(found)
        for box, kind, score in zip(
            corner_and_size(one["boxes"]), one["labels"].tolist(), one["scores"].tolist(), strict=True
        )
    ]
    if not guesses:
        return {"ap": 0.0, "ap50": 0.0, "ap75": 0.0}
    with redirect_stdout(io.StringIO()):  # it tells of each step
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(guesses), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(("ap", "ap50", "ap75"), map(float, evaluation.stats[:3]), strict=True))


def corner_and_size(boxes: Tensor) -> list[list[float]]:
    """COCO's x, y, width and height."""
    return torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).tolist()
