"""The page's pictures: a photograph with units dropped, class activation maps, and scenes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docs.experiments import data, scenes
from docs.experiments.claims import BLOCK_1, DROPBLOCK, NONE
from docs.experiments.configurations import CLASSIFICATION, DETECTION
from docs.experiments.figures import saved
from docs.experiments.photographs import PHOTOGRAPHS, loaded
from docs.experiments.results import Results
from dropblock_core import drop_block

SMALL = 112  # a photograph's side in a picture
NAMES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")


def photograph(name: str) -> NDArray[np.uint8]:
    [package] = [package for package, names in PHOTOGRAPHS.items() if any(n.endswith(name) for n in names)]
    [path] = [n for n in PHOTOGRAPHS[package] if n.endswith(name)]
    [(_, image)] = loaded(package, (path,))
    return image.reshape(SMALL, 2, SMALL, 2, 3).mean((1, 3)).round().astype(np.uint8)


def show(ax: Any, image: Any, title: str = "", **options: Any) -> None:
    ax.imshow(image, interpolation="none", **options)  # as it is, and not enlarged
    ax.set_title(title, fontsize=8)
    ax.set_axis_off()


def figure_1(results: Results, path: Path) -> None:
    """Fig. 1: a photograph, and the same share of a 14x14 map of it dropped by units and by blocks.

    With this seed the two shares are the same.
    """
    image, side = photograph("chelsea.png"), 14
    ones = np.ones((1, 1, side, side), np.float32)
    with saved(path, 6, 2.2) as figure:
        axes = figure.subplots(1, 3)
        show(axes[0], image, "a photograph")
        for ax, block_size in zip(axes[1:], (1, 4), strict=True):
            name = "dropout: single units" if block_size == 1 else "DropBlock: blocks of 4x4 units"
            [[kept]] = drop_block(ones, keep_prob=0.65, block_size=block_size, calibrated=True, seed=47) > 0
            enlarged = kept.repeat(SMALL // side, 0).repeat(SMALL // side, 1)[..., None]
            show(ax, np.where(enlarged, image, 96).astype(np.uint8), f"{name}\n{1 - kept.mean():.0%} dropped")


def figure_6(results: Results, path: Path) -> None:
    """Fig. 6: class activation maps of the first test images, by networks of seed 0."""
    rows = {"none": NONE, "block 1": BLOCK_1, "block 7": DROPBLOCK}
    found = {name: results.get((*row, 0)) for name, row in rows.items()}
    if not all(found.values()):
        return
    images = data.load("fashion-mnist", CLASSIFICATION["training_images"], CLASSIFICATION["test_images"])
    maps = {name: result["metrics"]["activation_maps"]["shown"] for name, result in found.items() if result}
    number = len(maps["none"])
    with saved(path, 7, 4.6) as figure:
        axes = figure.subplots(1 + len(maps), number)
        for i, column in enumerate(axes.T):
            show(column[0], images.test_images[i, 0], NAMES[images.test_classes[i]], cmap="gray_r")
            for ax, name in zip(column[1:], maps, strict=True):
                show(ax, maps[name][i], cmap="magma", vmin=0, vmax=99)
        for ax, name in zip(axes[1:, 0], maps, strict=True):
            ax.text(-0.15, 0.5, name, rotation=90, ha="right", va="center", transform=ax.transAxes)


def figure_6_photographs(results: Results, path: Path) -> None:
    """Class activation maps of the network with ImageNet's weights."""
    found = results.get(("photographs", "EfficientNet-lite0", 0))
    if not found:
        return
    photographs = found["metrics"]["photographs"]
    with saved(path, 1.25 * len(photographs), 2.9) as figure:
        axes = figure.subplots(2, len(photographs), squeeze=False)
        for (above, below), one in zip(axes.T, photographs, strict=True):
            show(above, photograph(one["name"]), f"{one['class']}\n{one['probability']:.0%}")
            show(below, one["map"], f"area {one['area']:.0%}", cmap="magma", vmin=0, vmax=99)


def of_scenes(results: Results, path: Path) -> None:
    """Some test scenes, with the boxes that Table 3 asks for and the labels that Table 4 asks for."""
    _, test = scenes.load("fashion-mnist", DETECTION["training_scenes"], DETECTION["test_scenes"])
    with saved(path, 6, 3) as figure:
        for i, (above, below) in enumerate(figure.subplots(2, 4).T):
            show(above, test.images[i, 0], cmap="gray")
            for (x1, y1, x2, y2), kind in zip(test.boxes[i].tolist(), test.classes[i].tolist(), strict=True):
                above.plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], color=f"C{kind - 1}", linewidth=1)
            labels = np.ma.masked_equal(test.labels[i].numpy(), 0)
            show(below, labels - 1, cmap="tab10", vmin=-0.5, vmax=9.5)


PICTURES: dict[str, Callable[[Results, Path], None]] = {
    "fig_1": figure_1,
    "fig_6": figure_6,
    "fig_6_photographs": figure_6_photographs,
    "scenes": of_scenes,
}
