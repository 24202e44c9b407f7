"""Train a small ResNet with Scheduled DropBlock on Fashion-MNIST; stop it, and go on: on the CPU bit for bit.

    python docs/examples/pytorch_fashion_mnist.py --checkpoint run.pt
    python docs/examples/pytorch_fashion_mnist.py --checkpoint run.pt --resume

It needs what `make install` installs, or `pip install '.[torch,conformance]' scikit-learn` in a checkout. Fashion-MNIST
comes with Debian's package dataset-fashion-mnist. Where that is not installed, scikit-learn's handwritten digits serve,
enlarged to the same size.

An epoch of the digits takes about 3 s of one CPU core (of a machine with 2 cores); one of Fashion-MNIST has 42 times as
many images.
"""

import os
import pickle
from pathlib import Path
from typing import Any

import click
import torch
import torch.nn.functional as F
from images import DEFAULT, load_images
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from dropblock_core import LinearSchedule
from dropblock_torch import KeepProbScheduler, add_dropblock

Images = tuple[Tensor, Tensor]  # uint8 [n, 1, 28, 28], and their classes [n]


# --- the network ----------------------------------------------------------------------------------------------------


class Block(nn.Module):
    """A residual block. `add_dropblock` finds conv*, bn* and downsample by their names."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = None
        if before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + skip)


class ResNet(nn.Module):
    """ResNet-18 with an eighth of its channels. Groups 3 and 4 see maps of 14x14 and 7x7, as in the paper's ResNet-50,
    so that its block_size of 7 means the same here: a quarter of a map in group 3, and all of it in group 4.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.layer1 = nn.Sequential(Block(8, 8, 1), Block(8, 8, 1))  # 28x28
        self.layer2 = nn.Sequential(Block(8, 16, 2), Block(16, 16, 1))  # 14x14
        self.layer3 = nn.Sequential(Block(16, 32, 1), Block(32, 32, 1))  # 14x14
        self.layer4 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1))  # 7x7
        self.head = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images.float() / 255)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.head(x.mean((2, 3)))


# --- training -------------------------------------------------------------------------------------------------------


def train(net: Any, data: Images, batch_size: int, parts: dict[str, Any], progress: str) -> float:
    """One epoch, without the last, incomplete batch. Returns the mean loss."""
    net.train()
    images, classes = data
    batches = torch.randperm(len(images)).to(images.device).split(batch_size)[: len(images) // batch_size]
    screen = Console(stderr=True)
    total = torch.zeros((), device=images.device)
    for batch in track(batches, progress, console=screen, transient=True, disable=not screen.is_terminal):
        loss = F.cross_entropy(net(images[batch]), classes[batch])
        parts["optimizer"].zero_grad()
        loss.backward()
        parts["optimizer"].step()
        parts["learning_rate"].step()
        parts["keep_prob"].step()  # a training step moves the schedule; a forward call, or evaluation, does not
        total += loss.detach()
    return total.item() / len(batches)


@torch.no_grad()
def accuracy(net: Any, data: Images) -> float:
    net.eval()  # DropBlock is the identity now
    guesses = torch.cat([net(images).argmax(1) for images in data[0].split(1000)])
    return (guesses == data[1]).double().mean().item()


# --- checkpoints ----------------------------------------------------------------------------------------------------


def random_states(device: torch.device) -> list[Any]:
    """Where random numbers come from: the order of the images from the CPU, the masks from the device."""
    return [torch.random] if device.type == "cpu" else [torch.random, torch.get_device_module(device)]


def save(path: Path, epoch: int, settings: dict[str, Any], parts: dict[str, Any], device: torch.device) -> None:
    state: dict[str, Any] = {name: part.state_dict() for name, part in parts.items()}
    state |= {"epoch": epoch, "settings": settings, "random": [r.get_rng_state() for r in random_states(device)]}
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)  # killed before this line, the run leaves the last checkpoint as it was


def load(path: Path, settings: dict[str, Any], parts: dict[str, Any], device: torch.device) -> int:
    """Set `parts` and the random states to what they were. Returns the number of finished epochs."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        changed = [name for name in settings if state["settings"][name] != settings[name]]
        if not changed:
            for name, part in parts.items():
                part.load_state_dict(state[name])
            for source, value in zip(random_states(device), state["random"], strict=True):
                source.set_rng_state(value)
            return state["epoch"]
    except (OSError, EOFError, pickle.UnpicklingError, RuntimeError, LookupError, TypeError, ValueError) as error:
        remedy = "give the path of one, or leave out --resume and start anew with a path that is free"
        reason = f"{path} cannot be used as a checkpoint of this example ({type(error).__name__})"
        raise click.ClickException(f"{reason}: {remedy}") from error
    options = " and ".join(f"--{name.replace('_', '-')} {state['settings'][name]}" for name in changed)
    raise click.ClickException(f"{path} was made with {options}: a run goes on with the settings that it began with")


# --- the command ----------------------------------------------------------------------------------------------------


def device_named(context: Any, option: Any, name: str) -> torch.device:
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise click.BadParameter(f"PyTorch has no device {name!r} here") from error


@click.command(context_settings={"show_default": True})
@click.option("--data", default=DEFAULT, help="Folder of MNIST's files, or digits.")
@click.option("--limit", type=click.IntRange(1), default=60_000, help="Train with so many images at most.")
@click.option("--epochs", type=click.IntRange(1), default=5, help="Epochs of the whole run, which the schedule spans.")
@click.option("--batch-size", type=click.IntRange(1), default=128, help="Images a step.")
@click.option("--keep-prob", type=click.FloatRange(0, 1), default=0.9, help="Where the schedule ends; 1 drops nothing.")
@click.option("--block-size", type=click.IntRange(1), default=7, help="Side of the dropped blocks.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, help="For weights, order and masks.")
@click.option("--device", callback=device_named, default="cuda" if torch.cuda.is_available() else "cpu")
@click.option("--compile", "compiled", is_flag=True, help="Run the network through torch.compile.")
@click.option("--checkpoint", type=click.Path(dir_okay=False, path_type=Path), help="Save here after each epoch.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint.")
@click.option("--stop-after", type=click.IntRange(1), help="Leave after so many epochs, to go on with --resume.")
def main(
    device: torch.device, compiled: bool, checkpoint: Path | None, resume: bool, stop_after: int | None, **settings: Any
) -> None:
    """Train a small ResNet with DropBlock at the paper's places, keep_prob going down from 1 over the whole run."""
    if checkpoint is None and (resume or stop_after):
        raise click.UsageError("--resume and --stop-after need a --checkpoint")
    if checkpoint and not checkpoint.parent.is_dir():
        raise click.UsageError(f"--checkpoint {checkpoint}: there is no folder {checkpoint.parent}")
    if checkpoint and checkpoint.exists() and not resume:
        raise click.UsageError(f"--checkpoint {checkpoint} is there already: go on from it with --resume, or remove it")
    if checkpoint and resume and not checkpoint.exists():
        raise click.UsageError(f"--checkpoint {checkpoint} is not there: --resume has nothing to go on from")
    settings["device"] = device.type
    training, test = (
        (torch.tensor(images, device=device)[:, None], torch.tensor(classes, device=device))
        for images, classes in load_images(settings["data"], settings["limit"])
    )
    steps = settings["epochs"] * (len(training[0]) // settings["batch_size"])
    if not steps:
        raise click.UsageError(f"{len(training[0])} images are less than one batch: pass a smaller --batch-size")

    torch.manual_seed(settings["seed"])
    model = ResNet().to(device)
    layers = add_dropblock(model, groups=(3, 4), block_size=settings["block_size"], keep_prob=settings["keep_prob"])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    parts = {
        "model": model,
        "optimizer": optimizer,
        "learning_rate": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
        "keep_prob": KeepProbScheduler(layers, LinearSchedule(settings["keep_prob"], steps)),
    }
    done = load(checkpoint, settings, parts, device) if resume else 0
    if done == settings["epochs"]:
        click.echo(f"all epochs are done: {checkpoint} holds the trained network")
    net = torch.compile(model) if compiled else model
    for epoch in range(done + 1, settings["epochs"] + 1)[:stop_after]:
        label = f"epoch {epoch}/{settings['epochs']}"
        loss = train(net, training, settings["batch_size"], parts, label)
        keep_prob = parts["keep_prob"].get_last_keep_prob()
        click.echo(f"{label}  loss {loss:.4f}  test accuracy {accuracy(net, test):.2%}  keep_prob {keep_prob:.4f}")
        if checkpoint:
            save(checkpoint, epoch, settings, parts, device)


if __name__ == "__main__":
    main()
