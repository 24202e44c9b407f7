"""Tables 1 and 2 at full size: ResNet-50 on ImageNet (section 4.1.1), and AmoebaNet-B's rule on its kin (4.1.2).

torchrun --nproc-per-node 8 -m docs.experiments.full_size.classification --configuration resnet50-dropblock \\
    --data imagenet --out runs/resnet50-dropblock-0
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from docs.experiments.full_size.command import command_of, need
from docs.experiments.full_size.ranks import Ranks
from docs.experiments.full_size.recipe import Recipe
from docs.experiments.full_size.training import Task
from docs.experiments.vision import torchvision, v2
from dropblock_torch import DropBlock2d, Where, add_dropblock

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels
CLASSES = 1000
WHOLE = 10**6  # a block that is clipped to any map
LAST_HALF = Where(("cell_[0-9]*", "reduction_cell_*"), last=0.5)  # of NASNet's cells, without its stem's

nasnet, timm_optim = (import_module(f"timm.{name}") for name in ("models.nasnet", "optim"))


@dataclass(frozen=True, kw_only=True)
class Classification(Recipe):
    """A row of Table 1 or 2."""

    method: str = "none"  # or DropBlock, dropout, SpatialDropout, DropPath
    groups: tuple[int, ...] = (3, 4)
    augmentation: str = "none"  # or AutoAugment, Cutout
    label_smoothing: float = 0.0
    features: int = 0  # NASNet's, before its last layer
    head_dropout: float = 0.0


RESNET = Classification(
    table=1,
    row="none",
    network="resnet50",
    size=224,
    epochs=270,
    batch_size=1024,
    rate=0.4,  # 0.1 for 256 images
    warm_up=5,
    decay_at=(125, 200, 250),
    nesterov=True,
    weight_decay=1e-4,
)
NASNET = Classification(
    table=2,
    row="none",
    network="nasnetalarge",
    size=331,
    epochs=340,
    batch_size=2048,
    rate=5.12,  # 0.64 for 256 images
    warm_up=3,
    decay_every=2.4,
    decay_by=0.97,
    weight_decay=4e-5,
    averaged=0.9999,
    label_smoothing=0.1,
    features=4032,
    head_dropout=0.5,
)
TINY = replace(RESNET, table=0, network="resnet18", size=32, epochs=2, batch_size=8, rate=0.05, warm_up=1, decay_at=())
RECIPES = {
    "resnet50": RESNET,
    "resnet50-dropout": replace(RESNET, row="dropout", method="dropout", keep_prob=0.7),
    "resnet50-droppath": replace(RESNET, row="DropPath", method="DropPath", keep_prob=0.9, groups=(4,)),
    "resnet50-spatialdropout": replace(RESNET, row="SpatialDropout", method="SpatialDropout", keep_prob=0.9),
    "resnet50-cutout": replace(RESNET, row="Cutout", augmentation="Cutout"),
    "resnet50-autoaugment": replace(RESNET, row="AutoAugment", augmentation="AutoAugment"),
    "resnet50-label-smoothing": replace(RESNET, row="label smoothing", label_smoothing=0.1),
    "resnet50-dropblock": replace(RESNET, row="DropBlock", method="DropBlock", keep_prob=0.9),
    "resnet50-dropblock-label-smoothing": replace(
        RESNET,
        row="DropBlock + label smoothing",
        method="DropBlock",
        keep_prob=0.9,
        label_smoothing=0.1,
        epochs=290,
    ),
    "nasnet": NASNET,
    "nasnet-dropblock": replace(NASNET, row="DropBlock", method="DropBlock", keep_prob=0.9, block_size=11),
    "tiny": TINY,
    "tiny-dropblock": replace(TINY, method="DropBlock", keep_prob=0.9, block_size=3),
    "tiny-nasnet-dropblock": replace(
        NASNET,
        table=0,
        method="DropBlock",
        keep_prob=0.9,
        block_size=3,
        size=64,
        epochs=2,
        batch_size=8,
        rate=0.05,
        warm_up=1,
        features=192,
    ),
}


class ImageNet(Task):
    recipes = RECIPES

    def datasets(self, recipe: Classification, folder: Path) -> tuple[Any, Any]:
        last = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
        bicubic = v2.InterpolationMode.BICUBIC
        training = [v2.RandomResizedCrop(recipe.size, interpolation=bicubic), v2.RandomHorizontalFlip()]
        if recipe.augmentation == "AutoAugment":
            training.append(v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET))
        training += last
        if recipe.augmentation == "Cutout":  # a square of half the side; 0 is the mean
            training.append(v2.RandomErasing(p=1, scale=(1 / 4, 1 / 4), ratio=(1, 1)))
        # The authors' central crop keeps 224 of 256 units.
        central = [v2.Resize(round(recipe.size * 256 / 224), interpolation=bicubic), v2.CenterCrop(recipe.size)]
        layout = "train/ and val/, each with a folder of images a class, as torchvision.datasets.ImageFolder reads them"
        parts = []
        for name, transforms in (("train", training), ("val", central + last)):
            need((folder / name).is_dir(), folder, f"folder {name}", layout)
            try:
                parts.append(torchvision.datasets.ImageFolder(folder / name, v2.Compose(transforms)))
            except FileNotFoundError as error:
                raise click.UsageError(f"--data {folder}: {error}; pass the folder that has {layout}") from error
        need(parts[0].classes == parts[1].classes, folder, "validation images of the same classes", layout)
        return parts[0], parts[1]

    def network(self, recipe: Classification) -> tuple[nn.Module, list[DropBlock2d]]:
        if recipe.network == "nasnetalarge":
            net = nasnet.NASNetALarge(CLASSES, num_features=recipe.features, drop_rate=recipe.head_dropout)
            return net, place(net, recipe)
        net = getattr(torchvision.models, recipe.network)(num_classes=CLASSES, zero_init_residual=True)
        return net, place(net, recipe)

    def optimizer(self, recipe: Classification, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        if recipe.network == "nasnetalarge":
            return timm_optim.RMSpropTF(groups, lr=recipe.rate, alpha=0.9, momentum=0.9, eps=1.0)
        return super().optimizer(recipe, groups)

    def loss(self, net: nn.Module, batch: Any, recipe: Classification, device: torch.device) -> Tensor:
        scores = net(batch[0].to(device, memory_format=torch.channels_last, non_blocking=True))
        return F.cross_entropy(scores.float(), batch[1].to(device), label_smoothing=recipe.label_smoothing)

    def metrics(self, net: nn.Module, batches: Iterable[Any], validation: Any, ranks: Ranks) -> dict[str, float]:
        right = torch.zeros(2, dtype=torch.int64, device=ranks.device)
        for images, classes in batches:
            scores = net(images.to(ranks.device, memory_format=torch.channels_last, non_blocking=True))
            found = scores.topk(min(5, scores.shape[1])).indices == classes.to(ranks.device)[:, None]
            right += torch.stack([found[:, 0].sum(), found.sum()])
        top_1, top_5 = (100 * ranks.sum(right) / len(validation)).tolist()
        return {"top-1": top_1, "top-5": top_5}


def place(net: Any, recipe: Classification) -> list[DropBlock2d]:
    """Put the method's layers into the network.

    The paper's other methods are DropBlocks too, of another block: of one unit, of a whole map, and of a whole map with
    one mask for all channels of an image. With ``renorm="expected"`` they scale as these methods do, by 1 / keep_prob.
    Dropout and SpatialDropout act on convolution branches only (section 4.1.1), DropPath on the branch's end.
    """
    if recipe.method == "none":
        return []
    if recipe.network == "nasnetalarge":
        return add_dropblock(net, where=LAST_HALF, block_size=recipe.block_size, keep_prob=recipe.keep_prob)
    if recipe.method == "DropBlock":
        return add_dropblock(net, recipe.groups, recipe.block_size, recipe.keep_prob)
    if recipe.method != "DropPath":
        block = {"dropout": 1, "SpatialDropout": WHOLE}[recipe.method]
        return add_dropblock(net, recipe.groups, block, recipe.keep_prob, skip=False, renorm="expected")
    layers = []
    for group in recipe.groups:
        for block in getattr(net, f"layer{group}"):
            layers.append(DropBlock2d(recipe.keep_prob, WHOLE, per_channel=False, renorm="expected"))
            norms = [name for name, _ in block.named_children() if name.startswith("bn")]
            setattr(block, norms[-1], nn.Sequential(getattr(block, norms[-1]), layers[-1]))
    return layers


main = command_of(
    ImageNet(),
    "Train ResNet-50 or NASNet-A on ImageNet, as in section 4.1.",
    "Folder of train/ and val/, a class a folder.",
)

if __name__ == "__main__":
    main()
