"""The Keras example runs on each backend: a stopped run goes on bit for bit, and one trace serves the schedule."""

import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("sklearn")
from click.testing import CliRunner  # noqa: E402  # after the skips

from tests.docs.example_support import (  # noqa: E402
    EXAMPLES,
    FEW,
    NO_CHECKPOINTS,
    documented_options_exist,
    imported,
    refusal,
    refusals,
    refuses_what_is_there,
    run,
)

PATH = EXAMPLES / "keras_fashion_mnist.py"
BACKEND = keras.backend.backend()  # this process's
# Keras's own conversions to NumPy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

# The example, keeping its first checkpoint, which is that of a run that leaves then, and counting the layers' calls.
WHOLE = """
import shutil, sys
import keras_fashion_mnist as example

stopped, calls, call, save = sys.argv.pop(1), [], example.DropBlock2D.call, example.save

def counted(self, inputs, training=False):
    calls.append(training)
    return call(self, inputs, training)

def kept(path, epoch, *rest):
    save(path, epoch, *rest)
    if epoch == 1:
        shutil.copy(path, stopped)

example.DropBlock2D.call, example.save = counted, kept
example.main(standalone_mode=False)
print(sum(calls))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """Python on a backend of Keras. What JAX compiled in one process serves the next."""
    cache = str(tmp_path_factory.mktemp("compiled"))

    def on(backend: str, *command: str) -> list[str]:
        environment = {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        return run(*command, KERAS_BACKEND=backend, PYTHONPATH=str(EXAMPLES), XLA_FLAGS="", **environment)

    return on


@pytest.fixture(scope="module")
def example() -> Any:
    return imported(PATH)


@pytest.fixture(scope="module")
def whole(python: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """A run on a backend: a folder with its two checkpoints, the lines it prints and the number of calls."""

    @cache
    def on(backend: str) -> tuple[Path, list[str], int]:
        folder = tmp_path_factory.mktemp(backend)
        first, last = str(folder / "first.keras"), str(folder / "last.keras")
        *lines, calls = python(backend, "-c", WHOLE, first, *FEW, "--checkpoint", last)
        return folder, lines, int(calls)

    return on


@pytest.fixture(scope="module")
def stopped(whole: Callable[[str], Any]) -> Path:
    """A checkpoint after the first epoch, of this process's backend."""
    return whole(BACKEND)[0] / "first.keras"


def state(path: Path) -> tuple[bytes, dict[str, Any]]:
    """What a checkpoint holds but for its date: weights and the optimizer's and the layers' state; and the run."""
    with zipfile.ZipFile(path) as archive:
        return archive.read("model.weights.h5"), json.loads(archive.read("run.json"))


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_resumed_run_ends_in_the_bits_of_one_that_was_not_stopped(
    backend: str, python: Callable[..., list[str]], whole: Callable[[str], Any], tmp_path: Path
) -> None:
    folder, lines, calls = whole(backend)
    assert sorted(path.name for path in folder.iterdir()) == ["first.keras", "last.keras"]
    assert [line.split("keep_prob ")[1] for line in lines] == ["0.9500", "0.9000"]
    # PyTorch calls each of the twelve layers in each of the eight steps. JAX traces once; TensorFlow twice in the first
    # step, where Keras makes the variables of optimizer and metrics.
    assert calls == 12 * {"tensorflow": 2, "jax": 1, "torch": 8}[backend]

    resumed = tmp_path / "run.keras"
    resumed.write_bytes((folder / "first.keras").read_bytes())
    assert python(backend, str(PATH), *FEW, "--checkpoint", str(resumed), "--resume") == lines[1:]
    assert state(resumed) == state(folder / "last.keras")
    assert state(resumed)[0] != state(folder / "first.keras")[0]


def test_stop_after_leaves_a_run_to_go_on_with(example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def small(block_size: int) -> Any:
        images = example.keras.Input((28, 28), dtype="uint8")
        x = example.DropBlock2D(block_size=block_size)(example.layers.Rescaling(1 / 255)(images[..., None]))
        return example.keras.Model(images, example.layers.Dense(10)(example.layers.Flatten()(x)))

    def output(*options: str) -> str:
        return CliRunner().invoke(example.main, [*FEW, *options], catch_exceptions=False).output

    monkeypatch.setattr(example, "resnet", small)
    path = tmp_path / "run.keras"
    first = output("--checkpoint", str(path), "--stop-after", "1")
    assert state(path)[1]["epoch"] == 1
    rest = output("--checkpoint", str(path), "--resume")
    assert first + rest == output() != output("--seed", "1")
    assert state(path)[1]["epoch"] == 2
    assert output("--checkpoint", str(path), "--resume") == f"all epochs are done: {path} holds the trained network\n"


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
    example: Any, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses_what_is_there(example, stopped)
    monkeypatch.setattr(example.keras.backend, "backend", lambda: "abacus")
    message = refusal(example, *FEW, "--checkpoint", str(stopped), "--resume")
    assert f"{stopped} was made with KERAS_BACKEND {BACKEND}" in message


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
        lambda path, whole: path.write_bytes(whole[:100_000] + bytes(1000) + whole[101_000:]),
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
    example: Any, stopped: Path, tmp_path: Path, write: Callable[[Path, bytes], Any]
) -> None:
    path = tmp_path / "run.keras"
    write(path, stopped.read_bytes())
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
