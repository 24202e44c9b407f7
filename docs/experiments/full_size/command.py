"""The command line that the three scripts share."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import torch

from docs.experiments.full_size import checkpoints, ranks
from docs.experiments.full_size.training import Options, Run, Task

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def precision(context: Any, option: Any, name: str) -> torch.dtype:
    if name != "auto":
        return DTYPES[name]
    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def command_of(task: Task, what: str, layout: str) -> click.Command:
    """A command that trains `task`, and goes on where an earlier one of the same --out stopped."""

    @click.command(context_settings={"show_default": True}, help=what)
    @click.option("--configuration", type=click.Choice(list(task.recipes)), required=True, help="By name.")
    @click.option("--data", type=click.Path(path_type=Path), required=True, help=layout)
    @click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run; made if new.")
    @click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, help="For weights, order and masks.")
    @click.option("--workers", type=click.IntRange(0), default=8, help="Processes a GPU that read images.")
    @click.option("--precision", "dtype", type=click.Choice(["auto", *DTYPES]), default="auto", callback=precision)
    @click.option("--compile", "compiled", is_flag=True, help="Run the network through torch.compile.")
    @click.option("--accumulate", "parts", type=click.IntRange(1), default=1, help="Parts of a GPU's share of a batch.")
    @click.option("--save-every", type=click.IntRange(0), default=0, help="Steps; each epoch's end besides.")
    def main(configuration: str, data: Path, **given: Any) -> None:
        options, recipe, here = Options(**given), task.recipes[configuration], ranks.find()
        settings = {"configuration": configuration, "seed": options.seed, **asdict(recipe)}
        shares = here.world * options.parts
        if recipe.batch_size % shares:
            raise click.UsageError(
                f"a batch of {recipe.batch_size} images does not divide into {shares} shares ({here.world} processes, "
                f"--accumulate {options.parts}): start another number of processes, or pass another --accumulate"
            )
        datasets = task.datasets(recipe, data)
        if len(datasets[0]) < recipe.batch_size:
            raise click.UsageError(
                f"--data {data} has {len(datasets[0])} images to train with, less than one batch of "
                f"{recipe.batch_size}: pass the whole data set"
            )
        checkpoints.check(options.out, settings)
        with ranks.together(here):
            if here.rank == 0:
                checkpoints.begin(options.out, settings)
            Run(task, recipe, datasets, options, here).train()

    return main


def need(found: bool, data: Path, what: str, layout: str) -> None:
    """Refuse a --data folder that lacks something."""
    if not found:
        raise click.UsageError(f"--data {data} has no {what}: pass the folder that has {layout}")
