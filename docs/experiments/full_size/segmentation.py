"""Table 4 at full size: a fully convolutional network from random weights on VOC 2012, augmented (section 4.4).

torchrun --nproc-per-node 8 -m docs.experiments.full_size.segmentation --configuration fcn-dropblock-16 \\
    --data VOC2012 --out runs/fcn-dropblock-16-0
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

from docs.experiments.full_size.command import command_of, need
from docs.experiments.full_size.pyramid import NORM, resnet_fpn, training_transforms, tv_tensors, validation_transforms
from docs.experiments.full_size.ranks import Ranks
from docs.experiments.full_size.recipe import Recipe
from docs.experiments.full_size.training import Task
from docs.experiments.vision import v2
from dropblock_torch import DropBlock2d, add_dropblock

CLASSES, IGNORED = 21, 255
LEVELS = 3  # of features, of strides 8, 16 and 32
STRIDE = 8  # of the finest, and of the labels that the loss sees


@dataclass(frozen=True, kw_only=True)
class Segmentation(Recipe):
    """A row of Table 4."""

    where: str = "head"  # or backbone
    jitter: tuple[float, float] = (0.75, 1.5)


FCN = Segmentation(
    table=4,
    row="none",
    network="resnet101",
    size=513,
    epochs=500,
    batch_size=64,
    rate=0.02,
    warm_up=1,
    decay_at=(500 * 25 / 45, 500 * 35 / 45),
    weight_decay=1e-5,
)
TINY = replace(FCN, table=0, network="resnet18", size=65, epochs=2, batch_size=4, rate=0.02, decay_at=())
RECIPES = {
    "fcn": FCN,
    **{
        f"fcn-dropblock-{block}": replace(FCN, row=f"block {block}", keep_prob=0.2, block_size=block)
        for block in (1, 4, 16)
    },
    "fcn-dropblock-16-backbone": replace(FCN, table=0, keep_prob=0.2, block_size=16, where="backbone"),
    "tiny": TINY,
    "tiny-dropblock": replace(TINY, keep_prob=0.2, block_size=3),
    "tiny-dropblock-backbone": replace(TINY, keep_prob=0.9, block_size=3, where="backbone"),
}


class Head(nn.Module):
    """The authors' head: each level through the same convolutions with norms of its own, then all levels together."""

    def __init__(self, channels: int, drop: Any) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(4))
        self.norms = nn.ModuleList(
            nn.ModuleList(nn.Sequential(NORM(channels), nn.ReLU(), drop()) for _ in range(3)) for _ in range(LEVELS)
        )
        self.fused = nn.Sequential(NORM(channels), nn.ReLU(), drop())
        self.classes = nn.Conv2d(channels, CLASSES, 3, padding=1)
        for convolution in (*self.convolutions, self.classes):
            nn.init.normal_(convolution.weight, std=0.01)
            nn.init.zeros_(convolution.bias)

    def forward(self, features: list[Tensor]) -> Tensor:
        levels = []
        for feature, norms in zip(features, self.norms, strict=True):
            x = feature
            for convolution, norm in zip(self.convolutions, [*norms, nn.Identity()], strict=True):
                x = norm(convolution(x))
            levels.append(resized(x, features[0].shape[2:]))
        return self.classes(self.fused(sum(levels)))


class Fcn(nn.Module):
    """Scores of each class at each unit of the finest features."""

    def __init__(self, network: str, drop: Any = nn.Identity) -> None:
        super().__init__()
        self.backbone = resnet_fpn(network)
        self.head = Head(256, drop)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(list(self.backbone(images).values())[:LEVELS])  # the backbone adds a coarser one


def resized(x: Tensor, size: Any) -> Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


class Voc(Task):
    recipes = RECIPES

    def datasets(self, recipe: Segmentation, folder: Path) -> tuple[Any, Any]:
        layout = "JPEGImages/, SegmentationClassAug/ or SegmentationClass/, and ImageSets/Segmentation/, as VOC2012 has"
        labels = next((n for n in ("SegmentationClassAug", "SegmentationClass") if (folder / n).is_dir()), None)
        need((folder / "JPEGImages").is_dir(), folder, "folder JPEGImages", layout)
        need(labels is not None, folder, "folder SegmentationClassAug, nor SegmentationClass", layout)
        lists = folder / "ImageSets" / "Segmentation"
        first = "trainaug" if (lists / "trainaug.txt").is_file() else "train"
        transforms = {
            first: training_transforms(recipe.size, recipe.jitter),
            "val": validation_transforms(recipe.size, IGNORED),
        }
        parts = []
        for name, transform in transforms.items():
            need((lists / f"{name}.txt").is_file(), folder, f"list ImageSets/Segmentation/{name}.txt", layout)
            names = (lists / f"{name}.txt").read_text().split()
            parts.append(Labelled(folder / "JPEGImages", folder / str(labels), names, transform))
        return parts[0], parts[1]

    def network(self, recipe: Segmentation) -> tuple[nn.Module, list[DropBlock2d]]:
        if recipe.keep_prob == 1 or recipe.where == "backbone":
            net = Fcn(recipe.network)
            if recipe.keep_prob == 1:
                return net, []
            return net, add_dropblock(net.backbone.body, block_size=recipe.block_size, keep_prob=recipe.keep_prob)
        net = Fcn(recipe.network, lambda: DropBlock2d(keep_prob=recipe.keep_prob, block_size=recipe.block_size))
        return net, [module for module in net.modules() if isinstance(module, DropBlock2d)]

    def loss(self, net: nn.Module, batch: Any, recipe: Segmentation, device: torch.device) -> Tensor:
        scores = net(batch[0].to(device, memory_format=torch.channels_last, non_blocking=True))
        labels = batch[1].to(device)[:, ::STRIDE, ::STRIDE]
        return F.cross_entropy(scores.float(), labels, ignore_index=IGNORED)

    def metrics(self, net: nn.Module, batches: Iterable[Any], validation: Any, ranks: Ranks) -> dict[str, float]:
        confusion = torch.zeros(CLASSES, CLASSES, dtype=torch.int64, device=ranks.device)
        for images, batch_labels in batches:
            scores = net(images.to(ranks.device, memory_format=torch.channels_last, non_blocking=True))
            labels = batch_labels.to(ranks.device)
            found = resized(scores.float(), labels.shape[1:]).argmax(1)
            seen = labels != IGNORED
            pairs = labels[seen] * CLASSES + found[seen]
            confusion += torch.bincount(pairs, minlength=CLASSES**2).reshape(CLASSES, CLASSES)
        return {"mIOU": mean_iou(ranks.sum(confusion))}


def mean_iou(confusion: Tensor) -> float:
    """Of the classes that are there, in percent. Rows are the labels, columns what was found."""
    right = confusion.diagonal().double()
    union = confusion.sum(0) + confusion.sum(1) - right
    return 100 * (right / union)[union > 0].mean().item()


class Labelled(Dataset[Any]):
    """Images and their labels by name. A label is a PNG whose values, or whose palette's places, are the classes."""

    def __init__(self, images: Path, labels: Path, names: list[str], transforms: Any) -> None:
        self.images, self.labels, self.names, self.transforms = images, labels, names, transforms

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        name = self.names[index]
        image = v2.functional.to_image(Image.open(self.images / f"{name}.jpg").convert("RGB"))
        label = tv_tensors.Mask(v2.functional.pil_to_tensor(Image.open(self.labels / f"{name}.png")))
        image, label = self.transforms(image, label)
        return image, label[0].long()


main = command_of(Voc(), "Train an FCN on VOC 2012 from random weights, as in section 4.4.", "Folder VOC2012.")

if __name__ == "__main__":
    main()
