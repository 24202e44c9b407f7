"""Train a small ResNet with Scheduled DropBlock on Fashion-MNIST; stop it, and go on: on the CPU bit for bit.

    python docs/examples/jax_fashion_mnist.py --checkpoint run.npz
    python docs/examples/jax_fashion_mnist.py --checkpoint run.npz --resume

It needs what `make install` installs, or `pip install '.[jax,conformance]' flax optax scikit-learn` in a checkout.
Fashion-MNIST comes with Debian's package dataset-fashion-mnist. Where that is not installed, scikit-learn's handwritten
digits serve, enlarged to the same size.

An epoch of the digits takes about 5 s of one CPU core (of a machine with 2 cores), the first 25 s more, to compile; one
of Fashion-MNIST has 42 times as many images.
"""

import json
import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from images import DEFAULT, Images, load_images
from jax import Array
from rich.console import Console
from rich.progress import track

from dropblock_jax import LinearSchedule
from dropblock_jax.flax import DropBlock

# --- the network ----------------------------------------------------------------------------------------------------


class ConvNorm(nnx.Module):
    def __init__(self, before: int, after: int, side: int, stride: int, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(before, after, (side, side), stride, use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(after, momentum=0.9, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.norm(self.conv(x))


class Block(nnx.Module):
    """A residual block. `drop` makes a layer for each of the paper's places: after either norm, and on the skip."""

    def __init__(self, before: int, after: int, stride: int, drop: Callable[[], Any], rngs: nnx.Rngs) -> None:
        self.conv1 = ConvNorm(before, after, 3, stride, rngs)
        self.conv2 = ConvNorm(after, after, 3, 1, rngs)
        self.downsample = None if before == after else ConvNorm(before, after, 1, stride, rngs)
        self.drop1, self.drop2, self.drop_skip = drop(), drop(), drop()

    def __call__(self, x: Array, keep_prob: Array | None) -> Array:
        skip = x if self.downsample is None else self.downsample(x)
        x = nnx.relu(self.drop1(self.conv1(x), keep_prob=keep_prob))
        x = self.drop2(self.conv2(x), keep_prob=keep_prob)
        return nnx.relu(x + self.drop_skip(skip, keep_prob=keep_prob))


def keep_all(x: Array, keep_prob: Array | None) -> Array:
    return x


class ResNet(nnx.Module):
    """ResNet-18 with an eighth of its channels. Groups 3 and 4 see maps of 14x14 and 7x7, as in the paper's ResNet-50,
    so that its block_size of 7 means the same here: a quarter of a map in group 3, and all of it in group 4.
    """

    def __init__(self, block_size: int, rngs: nnx.Rngs) -> None:
        none, group4 = lambda: keep_all, partial(DropBlock, block_size=block_size, rngs=rngs)
        group3 = partial(group4, gamma_scale=1 / 4)
        self.stem = ConvNorm(1, 8, 3, 1, rngs)
        self.layer1 = nnx.List([Block(8, 8, 1, none, rngs), Block(8, 8, 1, none, rngs)])  # 28x28
        self.layer2 = nnx.List([Block(8, 16, 2, none, rngs), Block(16, 16, 1, none, rngs)])  # 14x14
        self.layer3 = nnx.List([Block(16, 32, 1, group3, rngs), Block(32, 32, 1, group3, rngs)])  # 14x14
        self.layer4 = nnx.List([Block(32, 64, 2, group4, rngs), Block(64, 64, 1, group4, rngs)])  # 7x7
        self.head = nnx.Linear(64, 10, rngs=rngs)

    def __call__(self, images: Array, keep_prob: Array | None = None) -> Array:
        x = nnx.relu(self.stem(images[..., None] / jnp.float32(255)))
        for block in (*self.layer1, *self.layer2, *self.layer3, *self.layer4):
            x = block(x, keep_prob)
        return self.head(x.mean((1, 2)))


# --- training -------------------------------------------------------------------------------------------------------


@partial(nnx.jit, static_argnames="schedule")
def training_step(
    model: ResNet, optimizer: nnx.Optimizer, images: Any, classes: Any, schedule: LinearSchedule
) -> Array:
    """One step; the loss. The optimizer's count of steps is an array, so one program serves the whole schedule."""

    def loss(model: ResNet) -> Array:
        scores = model(images, schedule(optimizer.step[...]))
        return optax.softmax_cross_entropy_with_integer_labels(scores, classes).mean()

    value, gradients = nnx.value_and_grad(loss)(model)
    optimizer.update(model, gradients)
    return value


@nnx.jit
def guesses(model: ResNet, images: Any) -> Array:
    return model(images).argmax(1)


def train(parts: dict[str, Any], data: Images, batches: Any, schedule: LinearSchedule, progress: str) -> float:
    """One epoch. Returns the mean loss."""
    parts["model"].train()
    images, classes = data
    screen = Console(stderr=True)
    total = jnp.zeros(())
    for batch in track(batches, progress, console=screen, transient=True, disable=not screen.is_terminal):
        total += training_step(parts["model"], parts["optimizer"], images[batch], classes[batch], schedule)
    return total.item() / len(batches)


def accuracy(model: ResNet, data: Images) -> float:
    model.eval()  # DropBlock is the identity now
    found = [guesses(model, data[0][first : first + 1000]) for first in range(0, len(data[0]), 1000)]
    return (np.concatenate(found) == data[1]).mean().item()


# --- checkpoints ----------------------------------------------------------------------------------------------------


def is_key(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def numbers(leaf: Array) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)


def save(path: Path, epoch: int, settings: dict[str, Any], parts: dict[str, Any]) -> None:
    """Parameters, statistics, the optimizer's state and count of steps, and where each layer's masks come from."""
    leaves = jax.tree.leaves_with_path(nnx.state(parts))
    arrays = {jax.tree_util.keystr(place): numbers(leaf) for place, leaf in leaves}
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, about=json.dumps({"epoch": epoch, "settings": settings}), **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)  # killed before this line, the run leaves the last checkpoint as it was


def load(path: Path, settings: dict[str, Any], parts: dict[str, Any]) -> int:
    """Set `parts` to what they were. Returns the number of finished epochs."""

    def restored(place: Any, leaf: Array) -> Array:
        value = saved[jax.tree_util.keystr(place)].reshape(numbers(leaf).shape)
        return jax.random.wrap_key_data(value) if is_key(leaf) else jnp.asarray(value)

    try:
        with path.open("rb") as file, np.load(file) as arrays:  # without pickles, which could run a program
            saved = dict(arrays)
        about = json.loads(saved["about"].item())
        changed = [name for name in settings if about["settings"][name] != settings[name]]
        if not changed:
            nnx.update(parts, jax.tree.map_with_path(restored, nnx.state(parts)))
            return about["epoch"]
    except (OSError, EOFError, zipfile.BadZipFile, LookupError, TypeError, ValueError) as error:
        remedy = "give the path of one, or leave out --resume and start anew with a path that is free"
        reason = f"{path} cannot be used as a checkpoint of this example ({type(error).__name__})"
        raise click.ClickException(f"{reason}: {remedy}") from error
    options = " and ".join(f"--{name.replace('_', '-')} {about['settings'][name]}" for name in changed)
    raise click.ClickException(f"{path} was made with {options}: a run goes on with the settings that it began with")


# --- the command ----------------------------------------------------------------------------------------------------


def device_named(context: Any, option: Any, name: str) -> jax.Device:
    try:
        return jax.devices(name)[0]
    except RuntimeError as error:
        raise click.BadParameter(f"JAX has no device {name!r} here") from error


@click.command(context_settings={"show_default": True})
@click.option("--data", default=DEFAULT, help="Folder of MNIST's files, or digits.")
@click.option("--limit", type=click.IntRange(1), default=60_000, help="Train with so many images at most.")
@click.option("--epochs", type=click.IntRange(1), default=5, help="Epochs of the whole run, which the schedule spans.")
@click.option("--batch-size", type=click.IntRange(1), default=128, help="Images a step.")
@click.option("--keep-prob", type=click.FloatRange(0, 1), default=0.9, help="Where the schedule ends; 1 drops nothing.")
@click.option("--block-size", type=click.IntRange(1), default=7, help="Side of the dropped blocks.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="For weights, order and masks.")
@click.option("--device", callback=device_named, default=jax.default_backend(), help="JAX's name of a platform.")
@click.option("--checkpoint", type=click.Path(dir_okay=False, path_type=Path), help="Save here after each epoch.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint.")
@click.option("--stop-after", type=click.IntRange(1), help="Leave after so many epochs, to go on with --resume.")
def main(device: jax.Device, checkpoint: Path | None, resume: bool, stop_after: int | None, **settings: Any) -> None:
    """Train a small ResNet with DropBlock at the paper's places, keep_prob going down from 1 over the whole run."""
    if checkpoint is None and (resume or stop_after):
        raise click.UsageError("--resume and --stop-after need a --checkpoint")
    if checkpoint and not checkpoint.parent.is_dir():
        raise click.UsageError(f"--checkpoint {checkpoint}: there is no folder {checkpoint.parent}")
    if checkpoint and checkpoint.exists() and not resume:
        raise click.UsageError(f"--checkpoint {checkpoint} is there already: go on from it with --resume, or remove it")
    if checkpoint and resume and not checkpoint.exists():
        raise click.UsageError(f"--checkpoint {checkpoint} is not there: --resume has nothing to go on from")
    settings["device"] = device.platform
    seed, epochs, batch_size = settings["seed"], settings["epochs"], settings["batch_size"]
    training, test = load_images(settings["data"], settings["limit"])
    steps_an_epoch = len(training[0]) // batch_size
    if not steps_an_epoch:
        raise click.UsageError(f"{len(training[0])} images are less than one batch: pass a smaller --batch-size")
    steps = epochs * steps_an_epoch

    with jax.default_device(device):
        model = ResNet(settings["block_size"], nnx.Rngs(seed))
        sgd = optax.sgd(optax.cosine_decay_schedule(0.1, steps), momentum=0.9, nesterov=True)
        optimizer = nnx.Optimizer(model, optax.chain(optax.add_decayed_weights(5e-4), sgd), wrt=nnx.Param)
        schedule = LinearSchedule(settings["keep_prob"], steps)
        parts = {"model": model, "optimizer": optimizer}
        done = load(checkpoint, settings, parts) if resume else 0
        if done == epochs:
            click.echo(f"all epochs are done: {checkpoint} holds the trained network")
        for epoch in range(done + 1, epochs + 1)[:stop_after]:
            label = f"epoch {epoch}/{epochs}"
            order = np.random.default_rng((seed, epoch)).permutation(len(training[0]))
            batches = order[: steps_an_epoch * batch_size].reshape(steps_an_epoch, batch_size)
            loss = train(parts, training, batches, schedule, label)
            keep_prob = schedule(optimizer.step.item())
            click.echo(
                f"{label}  loss {loss:.4f}  test accuracy {accuracy(model, test):.2%}  keep_prob {keep_prob:.4f}"
            )
            if checkpoint:
                save(checkpoint, epoch, settings, parts)


if __name__ == "__main__":
    main()
