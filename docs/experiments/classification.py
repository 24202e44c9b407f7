"""Tables 1 and 2 in miniature: the networks that classify, how they are trained, and what is measured of them."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from docs.experiments import data
from docs.experiments.analysis import activation_maps, under_dropblock
from docs.experiments.networks import ResNet
from docs.experiments.regularisers import auto_augmented, cutout, regularise
from docs.experiments.training import Metrics, Task


def classification(settings: dict[str, Any]) -> Task:
    """Table 1, Fig. 3 to 6: a ResNet with one of the methods."""
    net = ResNet()
    layers = regularise(
        net,
        settings["method"],
        settings["keep_prob"],
        settings["block_size"],
        settings["groups"],
        settings["skip"],
    )
    return of_images(net, layers, settings)


def of_images(net: nn.Module, layers: dict[str, list[Any]], settings: dict[str, Any]) -> Task:
    """The task of classifying, for any network."""
    images = data.load(settings["data"], settings["training_images"], settings["test_images"])
    test = images.normalised(images.test_images)
    net = net.to(memory_format=torch.channels_last)

    def loss(batch: Tensor) -> Tensor:
        x = images.images[batch]
        if settings["augmentation"] == "AutoAugment":
            x = auto_augmented(x)
        x = images.normalised(x)
        if settings["augmentation"] == "Cutout":
            x = cutout(x, settings["cutout_size"])
        scores = net(x.contiguous(memory_format=torch.channels_last))
        return F.cross_entropy(scores, images.classes[batch], label_smoothing=settings["label_smoothing"])

    def measure() -> Metrics:
        scores = scores_of(net, test)
        metrics: Metrics = {
            "accuracy": accuracy(scores, images.test_classes),
            "nll": F.cross_entropy(scores, images.test_classes).item(),
        }
        if settings["analysis"]:
            few, classes = test[: settings["analysis"]], images.test_classes[: settings["analysis"]]
            metrics["inference"] = under_dropblock(
                ResNet, net.state_dict(), lambda other: accuracy(scores_of(other, few), classes)
            )
            metrics["activation_maps"] = activation_maps(net, few, classes)
        return metrics

    return Task(net, layers, len(images.images), loss, measure)


@torch.no_grad()
def scores_of(net: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([net(x) for x in images.split(500)])


def accuracy(scores: Tensor, classes: Tensor) -> float:
    return (scores.argmax(1) == classes).double().mean().item()
