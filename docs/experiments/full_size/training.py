"""The training loop of all three tasks: DistributedDataParallel, mixed precision, the schedule, checkpoints."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from docs.experiments.full_size import checkpoints
from docs.experiments.full_size.ranks import Ranks
from docs.experiments.full_size.recipe import Recipe, learning_rate
from docs.experiments.full_size.samples import Collate, Order, seed_step, training_batches, validation_batches
from dropblock_core import LinearSchedule
from dropblock_torch import DropBlock2d, KeepProbScheduler


class Task(ABC):
    """What the loop has to be told of classification, detection or segmentation."""

    recipes: Mapping[str, Any]
    collate: Collate | None = None  # None: PyTorch's own

    @abstractmethod
    def datasets(self, recipe: Any, folder: Path) -> tuple[Any, Any]:
        """Images to train with and images to validate with. Raises ``click.UsageError`` where the folder has none."""

    @abstractmethod
    def network(self, recipe: Any) -> tuple[nn.Module, list[DropBlock2d]]:
        """The network with random weights, and its DropBlock layers, for the schedule."""

    @abstractmethod
    def loss(self, net: nn.Module, batch: Any, recipe: Any, device: torch.device) -> Tensor:
        """Of one batch, by a call of `net`."""

    @abstractmethod
    def metrics(self, net: nn.Module, batches: Iterable[Any], validation: Any, ranks: Ranks) -> dict[str, float]:
        """In percent, of the images of all processes."""

    def optimizer(self, recipe: Any, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, lr=recipe.rate, momentum=0.9, nesterov=recipe.nesterov)

    def compile(self, net: nn.Module) -> None:
        net.compile()


@dataclass(frozen=True)
class Options:
    """What does not change what a run is: how it is computed, and how often it is saved."""

    out: Path
    seed: int
    workers: int
    dtype: torch.dtype
    compiled: bool
    parts: int  # of each process's share of a batch, whose gradients add up
    save_every: int  # steps; 0: an epoch


def weight_groups(net: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters of norms apart: the authors decay none of them."""
    norms = {p for module in net.modules() if isinstance(module, _BatchNorm) for p in module.parameters()}
    others = [p for p in net.parameters() if p not in norms]
    return [
        {"params": others, "weight_decay": weight_decay},
        {"params": [p for p in net.parameters() if p in norms], "weight_decay": 0.0},
    ]


class Run:
    """A run of a recipe, from its last checkpoint or from the start to its end."""

    def __init__(self, task: Task, recipe: Recipe, data: tuple[Any, Any], options: Options, ranks: Ranks) -> None:
        self.task, self.recipe, self.options, self.ranks = task, recipe, options, ranks
        training, self.validation = data
        self.an_epoch = len(training) // recipe.batch_size
        self.steps = recipe.epochs * self.an_epoch

        torch.manual_seed(options.seed)  # the same weights in all processes
        net, layers = task.network(recipe)
        self.net = net.to(ranks.device, memory_format=torch.channels_last)
        self.optimizer = task.optimizer(recipe, weight_groups(net, recipe.weight_decay))
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=options.dtype == torch.float16)
        average = get_ema_multi_avg_fn(recipe.averaged)
        self.average = AveragedModel(net, multi_avg_fn=average, use_buffers=True) if recipe.averaged else None
        self.loss = torch.zeros((), dtype=torch.float64, device=ranks.device)  # this process's, summed over the epoch
        self.done = self._resume()

        schedule = LinearSchedule(recipe.keep_prob, self.steps)
        self.keep_prob = KeepProbScheduler(layers, schedule, last_step=self.done) if layers else None
        if options.compiled:
            task.compile(net)
        self.parallel = DistributedDataParallel(net, gradient_as_bucket_view=True)
        order = Order(options.seed, len(training), recipe.batch_size, ranks, options.parts, self.done, self.steps)
        self.batches = training_batches(training, order, options.workers, task.collate)

    def _state(self) -> dict[str, Any]:
        state = {
            "net": self.net.state_dict(),
            "optimizer": get_optimizer_state_dict(self.net, self.optimizer),
            "scaler": self.scaler.state_dict(),
            "loss": self.loss,
        }
        return state | ({"average": self.average.state_dict()} if self.average else {})

    def _resume(self) -> int:
        """Set all that trains to what it was. Returns the number of finished steps."""
        folder = self.options.out
        done = max(checkpoints.steps(folder), default=0)
        if done:
            state = self._state()
            checkpoints.load(folder, done, state)
            self.net.load_state_dict(state["net"])
            set_optimizer_state_dict(self.net, self.optimizer, state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            if self.average:
                self.average.load_state_dict(state["average"])
        if self.ranks.rank == 0:
            checkpoints.keep_results(folder, [r for r in checkpoints.results(folder) if r["step"] <= done])
            if done:
                click.echo(f"goes on after step {done} of {self.steps}")
        return done

    def train(self) -> None:
        self.net.train()
        started = time.monotonic()
        for step in range(self.done, self.steps):
            self._step(step)
            at_end = (step + 1) % self.an_epoch == 0
            if at_end:
                seconds = time.monotonic() - started
                self._validate(step + 1, seconds)
                self.net.train()
                started = time.monotonic()
            if at_end or (self.options.save_every and (step + 1) % self.options.save_every == 0):
                self._save(step + 1)

    def _precision(self) -> torch.autocast:
        dtype = self.options.dtype
        return torch.autocast(self.ranks.device.type, dtype, enabled=dtype != torch.float32)

    def _step(self, step: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, step / self.an_epoch)
        for part in range(self.options.parts):
            batch = next(self.batches)
            seed_step(self.options.seed, step, self.ranks, part)
            last = part == self.options.parts - 1
            with nullcontext() if last else self.parallel.no_sync():
                with self._precision():
                    loss = self.task.loss(self.parallel, batch, self.recipe, self.ranks.device) / self.options.parts
                self.scaler.scale(loss).backward()
            self.loss += loss.detach()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self.average:
            self.average.update_parameters(self.net)
        if self.keep_prob:
            self.keep_prob.step()

    def _validate(self, step: int, seconds: float) -> None:
        net: nn.Module = self.average.module if self.average else self.net
        self.ranks.share_buffers(net)
        net.eval()
        share = max(1, self.recipe.batch_size // self.ranks.world // self.options.parts)
        batches = validation_batches(self.validation, share, self.ranks, self.options.workers, self.task.collate)
        with torch.inference_mode(), self._precision():
            metrics = self.task.metrics(net, batches, self.validation, self.ranks)
        loss = self.ranks.sum(self.loss.clone()).item() / self.ranks.world / self.an_epoch
        self.loss.zero_()
        if self.ranks.rank:
            return
        epoch = step // self.an_epoch
        line = {"epoch": epoch, "step": step, "loss": loss, **metrics}
        checkpoints.keep_results(self.options.out, [*checkpoints.results(self.options.out), line])
        shown = "  ".join(f"{name} {value:.2f}%" for name, value in metrics.items())
        kept = f"  keep_prob {self.keep_prob.get_last_keep_prob():.4f}" if self.keep_prob else ""
        speed = min(self.an_epoch, step - self.done) * self.recipe.batch_size / seconds
        click.echo(f"epoch {epoch}/{self.recipe.epochs}  loss {loss:.4f}  {shown}{kept}  {speed:.0f} images/s")

    def _save(self, step: int) -> None:
        for module in filter(None, (self.net, self.average)):
            self.ranks.share_buffers(module)
        # Their mean, so that one number stands for what each has summed up.
        self.loss = self.ranks.sum(self.loss) / self.ranks.world
        checkpoints.save(self.options.out, step, self._state())
