"""The runnable examples run: a stopped run goes on bit for bit, and what is wrong is said in a sentence."""

import gzip
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
from click.testing import CliRunner  # noqa: E402  # after the skips
from sklearn.datasets import load_digits  # noqa: E402

from tests.docs.example_support import (  # noqa: E402
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

PATH = EXAMPLES / "pytorch_fashion_mnist.py"


@pytest.fixture(scope="module")
def example() -> Any:
    return imported(PATH)


@pytest.fixture(scope="module")
def images(example: Any) -> Any:
    return sys.modules["images"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run: the folder with its checkpoints, and what it printed."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run("-c", WHOLE, "pytorch_fashion_mnist", *FEW, "--checkpoint", str(folder / "last.pt"))


@pytest.fixture(scope="module")
def stopped(whole: tuple[Path, list[str]]) -> Path:
    return whole[0] / "first.pt"


def test_a_resumed_run_ends_in_the_bits_of_one_that_was_not_stopped(whole: tuple[Path, list[str]]) -> None:
    folder, (*lines, rest, done) = whole
    first, last, resumed = (folder / f"{name}.pt" for name in ("first", "last", "resumed"))
    assert done == f"all epochs are done: {last} holds the trained network"
    assert [line.split("keep_prob ")[1] for line in lines] == ["0.9500", "0.9000"]
    assert rest == lines[1]
    assert resumed.read_bytes() == last.read_bytes() != first.read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["first.pt", "last.pt", "resumed.pt"]

    state = torch.load(last)
    assert (state["epoch"], state["keep_prob"]) == (2, {"last_step": 8, "keep_prob": 0.9})


def test_stop_after_leaves_the_checkpoint_to_go_on_from(example: Any, stopped: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    result = CliRunner().invoke(example.main, [*FEW, "--checkpoint", str(path), "--stop-after", "1"])
    assert result.output.startswith("epoch 1/2 ")
    assert result.output.count("\n") == 1
    assert torch.load(path)["epoch"] == torch.load(stopped)["epoch"] == 1


def test_the_network_has_the_paper_s_layers_on_the_paper_s_maps(example: Any) -> None:
    model, seen = example.ResNet(), []
    for layer in example.add_dropblock(model):
        layer.register_forward_pre_hook(lambda layer, inputs: seen.append((inputs[0].shape[-1], layer.gamma_scale)))
    model(torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
    assert seen == [(14, 0.25)] * 6 + [(7, 1.0)] * 6


def test_help_shows_every_option_with_its_default(example: Any) -> None:
    result = CliRunner().invoke(example.main, ["--help"], terminal_width=200)
    assert result.exit_code == 0
    for parameter in example.main.params:
        assert parameter.opts[0] in result.output
    assert "[default: 0.9; 0<=x<=1]" in result.output


def test_commands_in_the_documents_have_options_that_exist(example: Any) -> None:
    documented_options_exist(example, PATH, "pytorch.md")


def test_a_data_set_that_is_not_there(example: Any, tmp_path: Path) -> None:
    message = refusal(example, "--data", str(tmp_path))
    assert f"No such file or directory: '{tmp_path}/train-images-idx3-ubyte.gz'" in message
    assert "`apt install dataset-fashion-mnist`, or pass --data digits" in message


def test_a_file_of_the_data_set_that_is_cut_off(example: Any, tmp_path: Path) -> None:
    for part in ("train", "t10k"):
        for name, size in ((f"{part}-images-idx3-ubyte.gz", 16 + 784 * 2 - 1), (f"{part}-labels-idx1-ubyte.gz", 10)):
            (tmp_path / name).write_bytes(gzip.compress(bytes(size)))
    assert f"--data {tmp_path} cannot be read" in refusal(example, "--data", str(tmp_path))


def test_mnist_s_format_is_read(images: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    shown, classes = random.integers(256, size=(3, 28, 28), dtype=np.uint8), np.array([7, 0, 9])
    header = b"header of sixteen"[:16]
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + shown.tobytes()))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(header[:8] + bytes(classes.tolist())))
    read = images.read(tmp_path, "t10k")
    assert np.array_equal(read[0], shown)
    assert np.array_equal(read[1], classes)


def test_digits_are_enlarged_bilinearly(images: Any) -> None:
    (training, _), (test, classes) = images.digits()
    small = torch.tensor(load_digits().images)[:, None]
    exact = torch.nn.functional.interpolate(small, size=28, mode="bilinear")[:, 0].numpy() * 255 / 16
    rest = exact - np.concatenate([training, test])
    assert -1e-9 < rest.min() < rest.max() < 1  # rounded down, but for the rounding errors of `exact`
    assert len(test) == len(classes) == 360


@pytest.mark.skipif(not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="Fashion-MNIST is not installed")
def test_fashion_mnist_is_read(images: Any) -> None:
    for part, number in (("train", 60_000), ("t10k", 10_000)):
        shown, classes = images.read(Path(images.DATA), part)
        assert shown.shape == (number, 28, 28)
        assert np.bincount(classes).tolist() == [number // 10] * 10


@pytest.mark.parametrize(
    ("options", "message"), [*refusals(".pt"), (["--device", "tpu"], "PyTorch has no device 'tpu' here")]
)
def test_a_wrong_command_is_refused_with_a_remedy(example: Any, options: list[str], message: str) -> None:
    assert message in refusal(example, *FEW, *options)


def test_a_checkpoint_serves_the_run_that_made_it_only(example: Any, stopped: Path) -> None:
    refuses_what_is_there(example, stopped)


@pytest.mark.parametrize(
    "write",
    [
        *NO_CHECKPOINTS.values(),
        lambda path, whole: torch.save({"model": {}}, path),
        lambda path, whole: torch.save([1, 2], path),
        lambda path, whole: torch.save(torch.nn.ReLU(), path),
    ],
    ids=[*NO_CHECKPOINTS, "another dict", "a list", "a module"],
)
def test_what_is_no_checkpoint_is_refused(
    example: Any, stopped: Path, tmp_path: Path, write: Callable[[Path, bytes], Any]
) -> None:
    path = tmp_path / "run.pt"
    write(path, stopped.read_bytes())
    message = refusal(example, *FEW, "--checkpoint", str(path), "--resume")
    assert f"{path} cannot be used as a checkpoint of this example" in message


def test_a_run_killed_while_it_saves_leaves_the_last_checkpoint(
    example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.pt"
    example.save(path, 1, {}, {}, torch.device("cpu"))
    before = path.read_bytes()

    def interrupted(state: Any, file: Any) -> None:
        file.write(before[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        example.save(path, 2, {}, {}, torch.device("cpu"))
    assert path.read_bytes() == before
