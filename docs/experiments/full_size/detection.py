"""Table 3 at full size: RetinaNet from random weights on COCO (section 4.3).

torchrun --nproc-per-node 8 -m docs.experiments.full_size.detection --configuration retinanet-dropblock-5 \\
    --data coco --out runs/retinanet-dropblock-5-0
"""

from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from docs.experiments.full_size.command import command_of, need
from docs.experiments.full_size.pyramid import NORM, resnet_fpn, training_transforms, tv_tensors, validation_transforms
from docs.experiments.full_size.ranks import Ranks
from docs.experiments.full_size.recipe import Recipe
from docs.experiments.full_size.training import Task
from docs.experiments.vision import torchvision, v2
from dropblock_torch import DropBlock2d, add_dropblock

CLASSES = 91  # COCO's numbers go to 90, and 0 is the background
ALPHA, GAMMA = 0.25, 1.5  # of the focal loss
DELTA, BOX_WEIGHT = 0.1, 50.0  # of the boxes' Huber loss

retinanet: Any = import_module("torchvision.models.detection.retinanet")


@dataclass(frozen=True, kw_only=True)
class Detection(Recipe):
    """A row of Table 3."""

    jitter: tuple[float, float] = (512 / 640, 768 / 640)


RETINANET = Detection(
    table=3,
    row="none",
    network="resnet50",
    size=640,
    epochs=150,
    batch_size=64,
    rate=0.08,
    warm_up=1,
    warm_up_from=0.1,
    decay_at=(120, 140),
    weight_decay=1e-4,
)
TINY = replace(RETINANET, table=0, network="resnet18", size=64, epochs=2, batch_size=4, rate=0.005, decay_at=())
RECIPES = {
    "retinanet": RETINANET,
    **{
        f"retinanet-dropblock-{block}": replace(RETINANET, row=f"block {block}", keep_prob=0.9, block_size=block)
        for block in (1, 3, 5, 7)
    },
    "tiny": TINY,
    "tiny-dropblock": replace(TINY, keep_prob=0.9, block_size=3),
}


class Head(retinanet.RetinaNetHead):
    """torchvision's, with the paper's focal loss and the authors' loss of boxes and count of positive anchors."""

    def compute_loss(self, targets: Any, head_outputs: Any, anchors: Any, matched_idxs: Any) -> dict[str, Tensor]:
        scores, offsets = head_outputs["cls_logits"].float(), head_outputs["bbox_regression"].float()
        classes, boxes, positives = scores.new_zeros(()), scores.new_zeros(()), 0
        for image, (target, matched) in enumerate(zip(targets, matched_idxs, strict=True)):
            found = matched >= 0
            wanted = torch.zeros_like(scores[image])
            wanted[found, target["labels"][matched[found]]] = 1.0
            classes = classes + torchvision.ops.sigmoid_focal_loss(scores[image], wanted, ALPHA, GAMMA, "sum")
            goal = self.regression_head.box_coder.encode_single(target["boxes"][matched[found]], anchors[image][found])
            boxes = boxes + F.huber_loss(offsets[image][found], goal, reduction="sum", delta=DELTA)
            positives = positives + found.sum()
        return {"classes": classes / (positives + 1), "boxes": BOX_WEIGHT * boxes / (4 * (positives + 1))}


class Coco(Task):
    recipes = RECIPES

    def datasets(self, recipe: Detection, folder: Path) -> tuple[Any, Any]:
        layout = "annotations/instances_train2017.json and instances_val2017.json beside train2017/ and val2017/"
        transforms = {
            "train2017": training_transforms(recipe.size, recipe.jitter),
            "val2017": validation_transforms(recipe.size),
        }
        parts = []
        for name, transform in transforms.items():
            labels = folder / "annotations" / f"instances_{name}.json"
            need(labels.is_file(), folder, f"annotations/{labels.name}", layout)
            need((folder / name).is_dir(), folder, f"folder {name}", layout)
            with redirect_stdout(StringIO()):  # the reader tells what it does
                data = torchvision.datasets.CocoDetection(
                    folder / name, labels, transforms=Prepared(transform, recipe.size, is_training=name == "train2017")
                )
            data.ids = [image for image in data.ids if name == "val2017" or has_boxes(data.coco, image)]
            parts.append(data)
        return parts[0], parts[1]

    def collate(self, samples: list[Any]) -> Any:
        images, targets = zip(*samples, strict=True)
        return torch.stack(images), targets

    def network(self, recipe: Detection) -> tuple[nn.Module, list[DropBlock2d]]:
        extra = torchvision.ops.feature_pyramid_network.LastLevelP6P7(256, 256)
        backbone = resnet_fpn(recipe.network, extra)
        net = retinanet.RetinaNet(
            backbone,
            CLASSES,
            head=Head(256, 9, CLASSES, norm_layer=NORM),
            image_mean=(0.0, 0.0, 0.0),  # the images come normalised, and of one size
            image_std=(1.0, 1.0, 1.0),
            min_size=recipe.size,
            max_size=recipe.size,
            _skip_resize=True,
            bg_iou_thresh=0.5,
            detections_per_img=100,
        )
        if recipe.keep_prob == 1:
            return net, []
        return net, add_dropblock(net.backbone.body, block_size=recipe.block_size, keep_prob=recipe.keep_prob)

    def compile(self, net: Any) -> None:
        net.backbone.compile()  # the rest depends on how many boxes there are

    def loss(self, net: nn.Module, batch: Any, recipe: Detection, device: torch.device) -> Tensor:
        images = batch[0].to(device, memory_format=torch.channels_last, non_blocking=True)
        targets = [{name: target[name].to(device) for name in ("boxes", "labels")} for target in batch[1]]
        losses: dict[str, Tensor] = net(list(images), targets)
        return losses["classes"] + losses["boxes"]

    def metrics(self, net: nn.Module, batches: Iterable[Any], validation: Any, ranks: Ranks) -> dict[str, float]:
        found, numbers = [], iter(validation.ids[ranks.rank :: ranks.world])  # as validation_batches() shares them out
        for images, targets in batches:
            for target, detections in zip(targets, net(list(images.to(ranks.device))), strict=True):
                number = next(numbers)
                boxes = detections["boxes"].float().cpu() / target["scale"]
                boxes = torchvision.ops.box_convert(boxes, "xyxy", "xywh").tolist()
                labels, scores = detections["labels"].tolist(), detections["scores"].tolist()
                for box, label, score in zip(boxes, labels, scores, strict=True):
                    found.append({"image_id": number, "category_id": label, "bbox": box, "score": score})
        return average_precision(validation.coco, ranks.gather(found))


class Prepared:
    """An image and COCO's annotations of it as the transforms take them."""

    def __init__(self, transforms: Any, size: int, is_training: bool) -> None:
        self.transforms, self.size, self.is_training = transforms, size, is_training

    def __call__(self, picture: Any, annotations: list[dict[str, Any]]) -> tuple[Tensor, dict[str, Any]]:
        image = v2.functional.to_image(picture)
        if not self.is_training:
            scale = self.size / max(image.shape[1:])
            height, width = (max(1, int(side * scale)) for side in image.shape[1:])
            return self.transforms(v2.functional.resize(image, [height, width])), {"scale": scale}
        single = [one for one in annotations if is_single(one)]
        boxes = tv_tensors.BoundingBoxes(
            torch.tensor([one["bbox"] for one in single]), format="XYWH", canvas_size=image.shape[1:]
        )
        labels = torch.tensor([one["category_id"] for one in single])
        target = {"boxes": v2.functional.convert_bounding_box_format(boxes, new_format="XYXY"), "labels": labels}
        image, target = v2.SanitizeBoundingBoxes()(*self.transforms(image, target))
        return image, target


def is_single(annotation: dict[str, Any]) -> bool:
    """Not a crowd, which the authors do not train on, and no box without an area."""
    return not annotation.get("iscrowd", 0) and min(annotation["bbox"][2:]) > 0


def has_boxes(coco: Any, image: int) -> bool:
    return any(map(is_single, coco.imgToAnns[image]))


def average_precision(coco: Any, found: list[dict[str, Any]]) -> dict[str, float]:
    """COCO's own AP, at all thresholds, at 0.5 and at 0.75; in percent."""
    if not found:
        return {"AP": 0.0, "AP50": 0.0, "AP75": 0.0}
    evaluation: Any = import_module("pycocotools.cocoeval").COCOeval
    with redirect_stdout(StringIO()):
        judged = evaluation(coco, coco.loadRes(found), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return {name: 100 * float(value) for name, value in zip(("AP", "AP50", "AP75"), judged.stats, strict=False)}


main = command_of(Coco(), "Train RetinaNet on COCO from random weights, as in section 4.3.", "Folder of COCO 2017.")

if __name__ == "__main__":
    main()
