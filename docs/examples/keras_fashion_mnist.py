"""Train a small ResNet with Scheduled DropBlock on Fashion-MNIST; stop it, and go on: on the CPU bit for bit.

    KERAS_BACKEND=jax python docs/examples/keras_fashion_mnist.py --checkpoint run.keras
    KERAS_BACKEND=jax python docs/examples/keras_fashion_mnist.py --checkpoint run.keras --resume

The backends are tensorflow, jax and torch. It needs what `make install` installs, or for JAX `pip install
'.[jax,conformance]' keras scikit-learn` in a checkout, and for the others likewise. Fashion-MNIST comes with Debian's
package dataset-fashion-mnist. Where that is not installed, scikit-learn's handwritten digits serve, enlarged to the
same size.

With JAX an epoch of the digits takes about 4 s of one CPU core (of a machine with 2 cores), the first 30 s more, to
compile; one of Fashion-MNIST has 42 times as many images.
"""

import json
import os
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
from images import DEFAULT, load_images
from keras import layers

from dropblock_keras import DropBlock2D, KeepProbSchedule, LinearSchedule

# --- the network ----------------------------------------------------------------------------------------------------


def conv_norm(x: Any, channels: int, side: int, stride: int = 1) -> Any:
    x = layers.Conv2D(channels, side, stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization(momentum=0.9)(x)


def block(x: Any, channels: int, stride: int, drop: Callable[[], Any]) -> Any:
    """A residual block. `drop` makes a layer for each of the paper's places: after either norm, and on the skip."""
    skip = x if x.shape[-1] == channels else conv_norm(x, channels, 1, stride)
    x = layers.ReLU()(drop()(conv_norm(x, channels, 3, stride)))
    x = drop()(conv_norm(x, channels, 3))
    return layers.ReLU()(layers.Add()([x, drop()(skip)]))


def resnet(block_size: int) -> keras.Model:
    """ResNet-18 with an eighth of its channels. Groups 3 and 4 see maps of 14x14 and 7x7, as in the paper's ResNet-50,
    so that its block_size of 7 means the same here: a quarter of a map in group 3, and all of it in group 4.
    """
    none, group4 = layers.Identity, partial(DropBlock2D, block_size=block_size)
    group3 = partial(group4, gamma_scale=1 / 4)
    images = keras.Input((28, 28), dtype="uint8")
    x = layers.Rescaling(1 / 255)(layers.Reshape((28, 28, 1))(images))
    x = layers.ReLU()(conv_norm(x, 8, 3))
    x = block(block(x, 8, 1, none), 8, 1, none)  # 28x28
    x = block(block(x, 16, 2, none), 16, 1, none)  # 14x14
    x = block(block(x, 32, 1, group3), 32, 1, group3)  # 14x14
    x = block(block(x, 64, 2, group4), 64, 1, group4)  # 7x7
    return keras.Model(images, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def compiled(model: keras.Model, steps: int) -> keras.Model:
    rate = keras.optimizers.schedules.CosineDecay(0.1, steps)
    # Keras decays weights beside the momentum, not through it: hence ten times the usual 5e-4.
    sgd = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=5e-3)
    model.compile(sgd, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


# --- checkpoints ----------------------------------------------------------------------------------------------------


def save(path: Path, epoch: int, settings: dict[str, Any], model: keras.Model) -> None:
    """A file of Keras's: the network, its optimizer and where each layer's masks come from; and the run beside them."""
    temporary = path.with_name(f"{path.name}.tmp.keras")
    model.save(temporary)
    with temporary.open("r+b") as file:
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("run.json", json.dumps({"epoch": epoch, "settings": settings}))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)  # killed before this line, the run leaves the last checkpoint as it was


def load(path: Path, settings: dict[str, Any]) -> tuple[int, keras.Model]:
    """The number of finished epochs, and the model as it was."""
    try:
        with zipfile.ZipFile(path) as archive:
            run = json.loads(archive.read("run.json"))
        changed = [name for name in settings if run["settings"][name] != settings[name]]
        if not changed:
            return run["epoch"], keras.models.load_model(path)
    except (OSError, EOFError, zipfile.BadZipFile, LookupError, TypeError, ValueError) as error:
        remedy = "give the path of one, or leave out --resume and start anew with a path that is free"
        reason = f"{path} cannot be used as a checkpoint of this example ({type(error).__name__})"
        raise click.ClickException(f"{reason}: {remedy}") from error
    made = " and ".join(f"{name} {run['settings'][name]}" for name in changed)
    raise click.ClickException(f"{path} was made with {made}: a run goes on with the settings that it began with")


# --- the command ----------------------------------------------------------------------------------------------------


@click.command(context_settings={"show_default": True})
@click.option("--data", default=DEFAULT, help="Folder of MNIST's files, or digits.")
@click.option("--limit", type=click.IntRange(1), default=60_000, help="Train with so many images at most.")
@click.option("--epochs", type=click.IntRange(1), default=5, help="Epochs of the whole run, which the schedule spans.")
@click.option("--batch-size", type=click.IntRange(1), default=128, help="Images a step.")
@click.option("--keep-prob", type=click.FloatRange(0, 1), default=0.9, help="Where the schedule ends; 1 drops nothing.")
@click.option("--block-size", type=click.IntRange(1), default=7, help="Side of the dropped blocks.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="For weights, order and masks.")
@click.option("--checkpoint", type=click.Path(dir_okay=False, path_type=Path), help="Save here after each epoch.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint.")
@click.option("--stop-after", type=click.IntRange(1), help="Leave after so many epochs, to go on with --resume.")
def main(checkpoint: Path | None, resume: bool, stop_after: int | None, **options: Any) -> None:
    """Train a small ResNet with DropBlock at the paper's places, keep_prob going down from 1 over the whole run."""
    if checkpoint is None and (resume or stop_after):
        raise click.UsageError("--resume and --stop-after need a --checkpoint")
    if checkpoint and checkpoint.suffix != ".keras":
        raise click.UsageError(f"--checkpoint {checkpoint}: to Keras, a file of its own ends in .keras")
    if checkpoint and not checkpoint.parent.is_dir():
        raise click.UsageError(f"--checkpoint {checkpoint}: there is no folder {checkpoint.parent}")
    if checkpoint and checkpoint.exists() and not resume:
        raise click.UsageError(f"--checkpoint {checkpoint} is there already: go on from it with --resume, or remove it")
    if checkpoint and resume and not checkpoint.exists():
        raise click.UsageError(f"--checkpoint {checkpoint} is not there: --resume has nothing to go on from")
    settings = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    settings["KERAS_BACKEND"] = keras.backend.backend()
    seed, epochs, batch_size = options["seed"], options["epochs"], options["batch_size"]
    (images, classes), test = load_images(options["data"], options["limit"])
    used = len(images) // batch_size * batch_size  # without the last, incomplete batch
    if not used:
        raise click.UsageError(f"{len(images)} images are less than one batch: pass a smaller --batch-size")
    steps = epochs * used // batch_size

    keras.utils.set_random_seed(seed)
    done, model = load(checkpoint, settings) if resume else (0, compiled(resnet(options["block_size"]), steps))
    schedule = LinearSchedule(options["keep_prob"], steps)
    if done == epochs:
        click.echo(f"all epochs are done: {checkpoint} holds the trained network")
    for epoch in range(done + 1, epochs + 1)[:stop_after]:
        order = np.random.default_rng((seed, epoch)).permutation(len(images))[:used]
        said = model.fit(
            images[order],
            classes[order],
            batch_size,
            initial_epoch=epoch - 1,
            epochs=epoch,
            shuffle=False,
            validation_data=test,
            callbacks=[KeepProbSchedule(schedule)],
            verbose=int(sys.stdout.isatty()),
        ).history
        line = f"epoch {epoch}/{epochs}  loss {said['loss'][0]:.4f}  test accuracy {said['val_accuracy'][0]:.2%}"
        click.echo(f"{line}  keep_prob {schedule(int(model.optimizer.iterations.numpy())):.4f}")
        if checkpoint:
            save(checkpoint, epoch, settings, model)


if __name__ == "__main__":
    main()
