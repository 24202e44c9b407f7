"""One training run: its steps, its schedules, and a checkpoint after each epoch to go on from, bit for bit."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn

from dropblock_core import LinearSchedule

Metrics = dict[str, Any]
Layers = dict[str, list[Any]]  # those with a keep_prob to schedule, by the place they are in


@dataclass(frozen=True)
class Task:
    """What is trained: a network, its layers to schedule, and the loss of a batch of training examples."""

    net: nn.Module
    layers: Layers
    examples: int
    loss: Callable[[Tensor], Tensor]
    measure: Callable[[], Metrics]  # once, of the trained network


def train(task: Task, settings: dict[str, Any], checkpoint: Path, stop_after: int | None = None) -> Metrics | None:
    """Train to the end and measure; None if it stops on the way, after the epoch `stop_after`.

    A checkpoint that is there is gone on from. It stays: who has stored the result removes it.
    """
    epochs, batch_size = settings["epochs"], settings["batch_size"]
    steps = task.examples // batch_size  # of an epoch, without its last, incomplete batch
    if not steps:
        raise click.UsageError(f"{task.examples} examples are less than one batch of {batch_size}: train with more")
    optimizer = torch.optim.SGD(
        task.net.parameters(),
        settings["learning_rate"],
        momentum=0.9,
        nesterov=True,
        weight_decay=settings["weight_decay"],
        fused=True,
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings["learning_rate"], total_steps=epochs * steps, pct_start=0.1, cycle_momentum=False
    )
    parts = {"net": task.net, "optimizer": optimizer, "rate": rate}
    keep_prob = schedule(settings, epochs * steps)
    begun = time.process_time()
    done, spent = load(checkpoint, settings, parts) if checkpoint.exists() else (0, 0.0)
    begun -= spent
    task.net.train()
    dropped = Dropped(task.layers)
    for epoch in range(done, epochs):
        if epoch == stop_after:
            return None
        total = torch.zeros(())
        for step, batch in enumerate(torch.randperm(task.examples).split(batch_size)[:steps], start=epoch * steps):
            for layers in task.layers.values():
                for layer in layers:
                    layer.keep_prob = keep_prob(step)
            loss = task.loss(batch)
            optimizer.zero_grad()
            loss.backward()
            if settings.get("clip"):
                nn.utils.clip_grad_norm_(task.net.parameters(), settings["clip"])
            optimizer.step()
            rate.step()
            total += loss.detach()
            if epoch == epochs - 1:
                dropped.note()
        if epoch < epochs - 1:
            save(checkpoint, settings, parts, epoch + 1, time.process_time() - begun)
    task.net.eval()
    measured = task.measure()
    return {
        **measured,
        "training_loss": total.item() / steps,
        "dropped": dropped.shares(),
        "cpu_seconds": round(time.process_time() - begun, 1),
    }


def schedule(settings: dict[str, Any], steps: int) -> Callable[[int], float]:
    """keep_prob by the number of finished steps."""
    keep_prob = settings.get("keep_prob", 1.0)
    return LinearSchedule(keep_prob, steps) if settings.get("scheduled", True) else lambda step: keep_prob


class Dropped:
    """The share that was really dropped, by place: the mean over its layers and over the calls noted."""

    def __init__(self, layers: Layers) -> None:
        self.layers, self.calls = layers, 0
        self.sums = dict.fromkeys(layers, 0.0)

    def note(self) -> None:
        self.calls += 1
        for place, layers in self.layers.items():
            self.sums[place] += sum(float(layer.dropped_fraction) for layer in layers) / len(layers)

    def shares(self) -> dict[str, float]:
        return {place: round(total / max(1, self.calls), 5) for place, total in self.sums.items()}


def save(path: Path, settings: dict[str, Any], parts: dict[str, Any], epoch: int, cpu_seconds: float) -> None:
    state: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}
    state |= {"settings": settings, "epoch": epoch, "cpu_seconds": cpu_seconds, "random": torch.get_rng_state()}
    temporary = path.with_name(f"{path.name}.tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)  # a run killed before this line goes on from the epoch before


def load(path: Path, settings: dict[str, Any], parts: dict[str, Any]) -> tuple[int, float]:
    """Set `parts` and the random state to what they were. Returns the finished epochs and their CPU seconds."""
    remedy = "remove it, and this run starts anew"
    try:
        state = torch.load(path, weights_only=True)
        before, epoch, cpu_seconds = state["settings"], state["epoch"], state["cpu_seconds"]
        if before == settings:
            for name, part in parts.items():
                part.load_state_dict(state[name])
            torch.set_rng_state(state["random"])
            return epoch, cpu_seconds
    except Exception as error:  # PyTorch names no smaller set for a file that is none of its own
        raise click.ClickException(f"{path} is no checkpoint of this run ({type(error).__name__}): {remedy}") from error
    changed = [f"{key}={before.get(key)!r}" for key in {**before, **settings} if before.get(key) != settings.get(key)]
    raise click.ClickException(f"{path} was made with {', '.join(changed)}, which are now other values: {remedy}")
