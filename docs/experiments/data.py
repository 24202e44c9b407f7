"""Small grey images in ten classes, as tensors: Fashion-MNIST, or scikit-learn's digits where that is not installed."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from docs.examples.images import DATA, load_images

CLASSES = 10


@dataclass(frozen=True)
class Images:
    """uint8 ``[n, 1, 28, 28]`` and their classes ``[n]``, to train with and to test with."""

    images: Tensor
    classes: Tensor
    test_images: Tensor
    test_classes: Tensor
    mean: float
    deviation: float

    def normalised(self, images: Tensor) -> Tensor:
        """Floats of mean 0 and variance 1 over the training images."""
        return (images.float() / 255 - self.mean) / self.deviation


@cache
def load(data: str, training: int, test: int) -> Images:
    """The first training / 10 images of each class, the same in each run, and the first `test` test images."""
    (images, classes), (test_images, test_classes) = load_images("digits" if data == "digits" else DATA, 60_000)
    chosen = np.concatenate([np.flatnonzero(classes == c)[: training // CLASSES] for c in range(CLASSES)])
    chosen.sort()
    return Images(
        torch.tensor(images[chosen])[:, None],
        torch.tensor(classes[chosen]),
        torch.tensor(test_images[:test])[:, None],
        torch.tensor(test_classes[:test]),
        images[chosen].mean().item() / 255,
        images[chosen].std().item() / 255,
    )
