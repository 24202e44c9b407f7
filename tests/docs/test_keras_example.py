"""The Keras example runs on each backend: a stopped run goes on bit for bit, and one trace serves the schedule."""

import importlib.util
import json
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

if None in map(importlib.util.find_spec, ("keras", "sklearn")):  # Keras takes seconds to import: not to collect
    pytest.skip("keras or sklearn is not installed", allow_module_level=True)
from click.testing import CliRunner

from tests.docs.example_support import (
    EXAMPLES,
    FEW,
    NO_CHECKPOINTS,
    WHOLE,
    documented_options_exist,
    imported,
    refusal,
    refusals,
    refuses_what_is_there,
    run,
)

PATH = EXAMPLES / "keras_fashion_mnist.py"
# Keras's own conversions to NumPy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

# The example, saying after each epoch how often its layers were called.
COUNTED = """
import keras_fashion_mnist as example

calls, call, silent = [], example.DropBlock2D.call, example.save

def counted(self, inputs, training=False):
    calls.append(bool(training))
    return call(self, inputs, training)

def saying(*rest):
    silent(*rest)
    print(f"calls {sum(calls)}")

example.DropBlock2D.call, example.save = counted, saying
"""


@pytest.fixture(scope="module")
def example() -> Any:
    return imported(PATH)


def small(example: Any, block_size: int) -> Any:
    """A network that is quick to train."""
    images = example.keras.Input((28, 28), dtype="uint8")
    x = example.DropBlock2D(block_size=block_size)(example.layers.Rescaling(1 / 255)(images[..., None]))
    return example.keras.Model(images, example.layers.Dense(10)(example.layers.Flatten()(x)))


def output(example: Any, *options: str) -> str:
    """What the example says, with the small network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example, "resnet", partial(small, example))
        return CliRunner().invoke(example.main, [*FEW, *options], catch_exceptions=False).output


@pytest.fixture(scope="module")
def stopped(example: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of this process's backend that left after its first epoch: its checkpoint, and what it printed."""
    path = tmp_path_factory.mktemp("stopped") / "run.keras"
    return path, output(example, "--checkpoint", str(path), "--stop-after", "1")


def state(path: Path) -> tuple[bytes, dict[str, Any]]:
    """What a checkpoint holds but for its date: weights and the optimizer's and the layers' state; and the run."""
    with zipfile.ZipFile(path) as archive:
        return archive.read("model.weights.h5"), json.loads(archive.read("run.json"))


# Half a minute and more each: `make test` trains one epoch, of a small network.
@pytest.mark.exhaustive
@pytest.mark.parametrize("backend", ["torch", "tensorflow", "jax"])
def test_a_resumed_run_ends_in_the_bits_of_one_that_was_not_stopped(backend: str, tmp_path: Path) -> None:
    first, last, resumed = (tmp_path / f"{name}.keras" for name in ("first", "last", "resumed"))
    command = ["-c", COUNTED + WHOLE, "keras_fashion_mnist", *FEW, "--checkpoint", str(last)]
    lines = run(*command, KERAS_BACKEND=backend, XLA_FLAGS="")
    calls = [int(line.split()[1]) for line in lines if line.startswith("calls")]
    *whole, rest, done = (line for line in lines if not line.startswith("calls"))
    assert done == f"all epochs are done: {last} holds the trained network"
    assert [line.split("keep_prob ")[1] for line in whole] == ["0.9500", "0.9000"]
    # PyTorch calls each of the twelve layers in each of the eight steps. JAX traces once; TensorFlow twice in the first
    # step, where Keras makes the variables of optimizer and metrics.
    assert calls[1] == 12 * {"tensorflow": 2, "jax": 1, "torch": 8}[backend]

    assert rest == whole[1]
    assert state(resumed) == state(last)
    assert state(resumed)[0] != state(first)[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.keras", "last.keras", "resumed.keras"]


@pytest.mark.exhaustive
def test_stop_after_leaves_a_run_to_go_on_with(example: Any, stopped: tuple[Path, str], tmp_path: Path) -> None:
    checkpoint, first = stopped
    path = tmp_path / "run.keras"
    path.write_bytes(checkpoint.read_bytes())
    assert state(path)[1]["epoch"] == 1
    rest = output(example, "--checkpoint", str(path), "--resume")
    assert first + rest == output(example) != output(example, "--seed", "1")
    assert state(path)[1]["epoch"] == 2


def test_the_network_has_the_paper_s_layers_on_the_paper_s_maps(example: Any) -> None:
    placed = [layer for layer in example.resnet(7).layers if isinstance(layer, example.DropBlock2D)]
    seen = [(layer.input.shape[1], layer.get_config()["gamma_scale"]) for layer in placed]
    assert seen == [(14, 0.25)] * 6 + [(7, 1.0)] * 6
    assert {layer.get_config()["block_size"] for layer in placed} == {7}


def test_commands_in_the_documents_have_options_that_exist(example: Any) -> None:
    documented_options_exist(example, PATH, "keras.md")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *refusals(".keras"),
        (["--checkpoint", "run.npz"], "--checkpoint run.npz: to Keras, a file of its own ends in .keras"),
        (["--seed", str(2**32)], f"{2**32} is not in the range 0<=x<={2**32 - 1}"),
    ],
)
def test_a_wrong_command_is_refused_with_a_remedy(example: Any, options: list[str], message: str) -> None:
    assert message in refusal(example, *FEW, *options)


def test_a_checkpoint_serves_the_run_that_made_it_only(
    example: Any, stopped: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = stopped
    refuses_what_is_there(example, path)
    backend = example.keras.backend.backend()
    monkeypatch.setattr(example.keras.backend, "backend", lambda: "abacus")
    message = refusal(example, *FEW, "--checkpoint", str(path), "--resume")
    assert f"{path} was made with KERAS_BACKEND {backend}" in message


def rewritten(path: Path, whole: bytes, **members: Any) -> None:
    """A copy of a checkpoint with other contents of these members; None leaves one out."""
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            other = members.get(name.split(".")[0], content)
            if other is not None:
                archive.writestr(name, other)


@pytest.mark.parametrize(
    "write",
    [
        *NO_CHECKPOINTS.values(),
        lambda path, whole: path.write_bytes(whole[:10_000] + bytes(1000) + whole[11_000:]),
        lambda path, whole: rewritten(path, whole, run=None),
        lambda path, whole: rewritten(path, whole, run="[1, 2]"),
        lambda path, whole: rewritten(path, whole, run="{}"),
        lambda path, whole: rewritten(path, whole, config=None),
        lambda path, whole: rewritten(path, whole, config="{}"),
        lambda path, whole: rewritten(path, whole, model=b"no HDF5"),
    ],
    ids=[*NO_CHECKPOINTS, "a hole", "no run", "a list", "no settings", "no config", "empty config", "no weights"],
)
def test_what_is_no_checkpoint_is_refused(
    example: Any, stopped: tuple[Path, str], tmp_path: Path, write: Callable[[Path, bytes], Any]
) -> None:
    path = tmp_path / "run.keras"
    write(path, stopped[0].read_bytes())
    message = refusal(example, *FEW, "--checkpoint", str(path), "--resume")
    assert f"{path} cannot be used as a checkpoint of this example" in message


def test_a_run_killed_while_it_saves_leaves_the_last_checkpoint(
    example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.keras"
    model = example.keras.Sequential([example.keras.Input((1,)), example.layers.Dense(1)])
    example.save(path, 1, {}, model)
    before = path.read_bytes()

    def interrupted(model: Any, file: Any) -> None:
        Path(file).write_bytes(before[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(example.keras.Model, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        example.save(path, 2, {}, model)
    assert path.read_bytes() == before
