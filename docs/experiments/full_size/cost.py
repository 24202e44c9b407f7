"""What each table would cost on 8 GPUs, computed: operations of the real networks, times images, times epochs.

python -m docs.experiments.full_size.cost

It counts multiplications and additions of convolutions and matrix products in a forward pass, as
torch.utils.flop_counter does, on PyTorch's meta device: nothing is computed. A backward pass is two forward passes: one
for the gradients of the activations, one for those of the weights. (The counter's own count of it is too high for
convolutions in groups.) DropBlock, norms, the optimizer, validation and the reading of images are not counted: they are
bound by memory, by the disk and by the CPUs.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import click
import torch
from torch.utils.flop_counter import FlopCounterMode

from docs.experiments.full_size import classification, detection, segmentation
from docs.experiments.full_size.recipe import Recipe

GPUS = 8
THROUGHPUT = 60e12  # operations a second and GPU, sustained in training: an assumption, and nothing measured
IMAGES = {"classification": 1_281_167, "detection": 118_287, "segmentation": 10_582}  # to train with
TASKS: dict[str, Any] = {
    "classification": classification.ImageNet(),
    "detection": detection.Coco(),
    "segmentation": segmentation.Voc(),
}


@cache
def operations(task: str, network: str, size: int) -> int:
    """Of one image in a training step."""
    recipe = next(r for r in TASKS[task].recipes.values() if (r.network, r.size) == (network, size))
    with torch.device("meta"):
        net, _ = TASKS[task].network(recipe)
        images = torch.zeros(1, 3, size, size)
    net.eval()  # without DropBlock
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        if task == "detection":  # what else it does asks for values, of which there are none
            net.head(list(net.backbone(images).values()))
        else:
            net(images)
    return 3 * counter.get_total_flops()


@dataclass(frozen=True)
class Cost:
    """Of one run."""

    task: str
    recipe: Recipe

    @property
    def images(self) -> int:
        return IMAGES[self.task] // self.recipe.batch_size * self.recipe.batch_size * self.recipe.epochs

    @property
    def total(self) -> int:
        return operations(self.task, self.recipe.network, self.recipe.size) * self.images

    @property
    def hours(self) -> float:
        return self.total / THROUGHPUT / GPUS / 3600


def costs() -> dict[str, Cost]:
    """By configuration, those of the paper alone."""
    return {
        name: Cost(task, recipe)
        for task in TASKS
        for name, recipe in TASKS[task].recipes.items()
        if not name.startswith("tiny")
    }


def table() -> str:
    """Configurations that cost the same are one row."""
    same: dict[Any, list[str]] = {}
    for name, cost in costs().items():
        key = (cost.task, cost.recipe.network, cost.recipe.size, cost.images, cost.total)
        same.setdefault(key, []).append(name)
    lines = [
        "| Configurations | GFLOP an image | Million images | EFLOP a run | Hours on 8 GPUs | Images/s of all 8 |",
        "|---|---|---|---|---|---|",
    ]
    for names in same.values():
        cost = costs()[names[0]]
        each = operations(cost.task, cost.recipe.network, cost.recipe.size)
        lines.append(
            f"| {', '.join(f'`{name}`' for name in names)} | {each / 1e9:.1f} | {cost.images / 1e6:.1f} | "
            f"{cost.total / 1e18:.2f} | {cost.hours:.1f} | {cost.images / cost.hours / 3600:,.0f} |"
        )
    return "\n".join(lines)


@click.command()
def main() -> None:
    """Print the table of docs/full-size.md."""
    click.echo(table())


if __name__ == "__main__":
    main()
