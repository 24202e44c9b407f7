"""Scenes to segment and to detect in: some items pasted on a cluttered canvas, each by the pixels that are not dark.

The items of training scenes are training images, those of test scenes test images.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from docs.experiments import data

SIDE = 64
ITEMS = 500  # training images that the scenes are made of
LIT = 25  # a pixel belongs to an item from this value on
SEEN = 40  # pixels of an item that must lie on the canvas
GREY, SPREAD = 0.25, 0.3  # about the mean and deviation of a scene


@dataclass(frozen=True)
class Scenes:
    """`images` float ``[n, 1, 64, 64]``; `labels` ``[n, 64, 64]``, 0 for the background and 1 + class for an item.

    `boxes` and `classes`, one tensor a scene: ``[items, 4]`` as x1, y1, x2, y2, and ``[items]``, 1 + class.
    """

    images: Tensor
    labels: Tensor
    boxes: list[Tensor]
    classes: list[Tensor]


@cache
def load(source: str, training: int, test: int) -> tuple[Scenes, Scenes]:
    """Scenes to train with and to test with, the same in each run."""
    images = data.load(source, ITEMS, 10_000)
    return (
        compose(images.images[:, 0].numpy(), images.classes.numpy(), training, seed=1),
        compose(images.test_images[:, 0].numpy(), images.test_classes.numpy(), test, seed=2),
    )


def compose(items: NDArray[np.uint8], classes: NDArray[np.int64], number: int, seed: int) -> Scenes:
    """`number` scenes, each of one to four items."""
    random = np.random.default_rng(seed)
    images, labels, boxes, kinds = [], [], [], []
    while len(images) < number:
        image, label = clutter(items, random), np.zeros((SIDE, SIDE), np.int64)
        found = []
        for _ in range(random.integers(2, 5)):
            chosen = random.integers(len(items))
            item = items[chosen][:, ::-1] if random.random() < 0.5 else items[chosen]
            top, left = random.integers(-4, SIDE - 24, 2)
            rows, columns = np.nonzero(item > LIT)
            inside = (rows + top >= 0) & (rows + top < SIDE) & (columns + left >= 0) & (columns + left < SIDE)
            rows, columns = rows[inside], columns[inside]
            if len(rows) < SEEN:
                continue
            y, x, kind = rows + top, columns + left, 1 + classes[chosen]
            image[y, x], label[y, x] = item[rows, columns], kind
            found.append((x.min(), y.min(), x.max() + 1, y.max() + 1, kind))
        if found:
            images.append(image)
            labels.append(label)
            *corners, kind = torch.tensor(np.array(found)).unbind(1)
            boxes.append(torch.stack(corners, 1).float())
            kinds.append(kind)
    scaled = (torch.tensor(np.array(images), dtype=torch.float32)[:, None] / 255 - GREY) / SPREAD
    return Scenes(scaled, torch.tensor(np.array(labels)), boxes, kinds)


def clutter(items: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.float64]:
    """A background of smooth noise and of patches of items, so that a lit pixel alone tells nothing."""
    coarse = random.normal(size=(8, 8)).repeat(8, 0).repeat(8, 1)
    canvas = 30 + 12 * coarse + 8 * random.normal(size=(SIDE, SIDE))
    for _ in range(4):
        top, left = random.integers(0, 18, 2)
        patch = items[random.integers(len(items))][top : top + 10, left : left + 10].astype(float)
        y, x = random.integers(0, SIDE - 10, 2)
        place = canvas[y : y + 10, x : x + 10]
        place[:] = np.where(patch > 30, patch, place)
    return canvas.clip(0, 255)
