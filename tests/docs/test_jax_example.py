"""The JAX example runs: a stopped run goes on bit for bit, one program serves the schedule, mistakes get a sentence."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")
nnx = pytest.importorskip("flax.nnx")
for name in ("optax", "sklearn"):
    pytest.importorskip(name)
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

PATH = EXAMPLES / "jax_fashion_mnist.py"


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """Run the example as a user does, and return the lines it prints. What one run compiled serves the next."""
    cache = str(tmp_path_factory.mktemp("compiled"))
    environment = {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    return partial(run, str(PATH), *FEW, XLA_FLAGS="", **environment)


@pytest.fixture(scope="module")
def example() -> Any:
    return imported(PATH)


@pytest.fixture(scope="module")
def stopped(train: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run that left after its first epoch: its checkpoint, and what it printed."""
    path = tmp_path_factory.mktemp("stopped") / "run.npz"
    return path, train("--checkpoint", str(path), "--stop-after", "1")


def test_a_resumed_run_ends_in_the_bits_of_one_that_was_not_stopped(
    train: Callable[..., list[str]], stopped: tuple[Path, list[str]], tmp_path: Path
) -> None:
    checkpoint, first = stopped
    resumed, whole = tmp_path / "resumed.npz", tmp_path / "whole.npz"
    resumed.write_bytes(checkpoint.read_bytes())
    rest = train("--checkpoint", str(resumed), "--resume")
    lines = train("--checkpoint", str(whole))
    assert first + rest == lines
    assert resumed.read_bytes() == whole.read_bytes() != checkpoint.read_bytes()
    assert [line.split("keep_prob ")[1] for line in lines] == ["0.9500", "0.9000"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["resumed.npz", "whole.npz"]

    with np.load(whole) as saved:
        assert json.loads(saved["about"].item())["epoch"] == 2
        assert saved["['optimizer']['step'].value"] == 8
        counts = [saved[name] for name in saved.files if name.endswith("['rngs']['count'].value")]
    assert counts == [8] * 12  # one key a step for each layer, and none for evaluation

    assert train("--checkpoint", str(whole), "--resume") == [f"all epochs are done: {whole} holds the trained network"]


@pytest.fixture
def traced(example: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Give the example a network that is quick to compile, and collect each keep_prob that this is given."""

    class Net(nnx.Module):
        def __init__(self, block_size: int, rngs: Any) -> None:
            self.drop, self.head = example.DropBlock(block_size=block_size, rngs=rngs), nnx.Linear(1, 10, rngs=rngs)

        def __call__(self, images: Any, keep_prob: Any = None) -> Any:
            if keep_prob is not None:
                seen.append(keep_prob)
            return self.head(self.drop(images[:, ::4, ::4, None] / 255.0, keep_prob=keep_prob).mean((1, 2)))

    seen: list[Any] = []
    monkeypatch.setattr(example, "ResNet", Net)
    return seen


def test_one_program_serves_the_whole_schedule(example: Any, traced: list[Any]) -> None:
    result = CliRunner().invoke(example.main, FEW, catch_exceptions=False)
    assert [line.split("keep_prob ")[1] for line in result.output.splitlines()] == ["0.9500", "0.9000"]
    assert len(traced) == 1
    assert isinstance(traced[0], jax.core.Tracer)


def test_the_network_has_the_paper_s_layers_on_the_paper_s_maps(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def spy(layer: Any, x: Any, *, keep_prob: Any) -> Any:
        seen.append((x.shape[1], layer.block_size, dict(layer.options).get("gamma_scale", 1.0), keep_prob))
        return x

    monkeypatch.setattr(example.DropBlock, "__call__", spy)
    images = jax.ShapeDtypeStruct((2, 28, 28), "uint8")
    jax.eval_shape(lambda images: example.ResNet(7, nnx.Rngs(0))(images, 0.9), images)
    assert seen == [(14, 7, 0.25, 0.9)] * 6 + [(7, 7, 1.0, 0.9)] * 6


def test_commands_in_the_documents_have_options_that_exist(example: Any) -> None:
    documented_options_exist(example, PATH, "jax.md")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *refusals(".npz"),
        (["--device", "abacus"], "JAX has no device 'abacus' here"),
        (["--seed", str(2**32)], f"{2**32} is not in the range 0<=x<={2**32 - 1}"),
    ],
)
def test_a_wrong_command_is_refused_with_a_remedy(example: Any, options: list[str], message: str) -> None:
    assert message in refusal(example, *FEW, *options)


@pytest.mark.usefixtures("traced")
def test_a_checkpoint_serves_the_run_that_made_it_only(example: Any, stopped: tuple[Path, list[str]]) -> None:
    refuses_what_is_there(example, stopped[0])


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize(
    "write",
    [
        *NO_CHECKPOINTS.values(),
        lambda path, whole: path.write_bytes(whole[:1000] + bytes(1000) + whole[2000:]),
        lambda path, whole: np.savez(path, about="{}"),
        lambda path, whole: np.savez(path, about="[1, 2]"),
        lambda path, whole: np.savez(path, model=np.zeros(3)),
        lambda path, whole: path.write_bytes(npy()),
    ],
    ids=[*NO_CHECKPOINTS, "a hole", "no settings", "a list", "another npz", "npy"],
)
def test_what_is_no_checkpoint_is_refused(
    example: Any, stopped: tuple[Path, list[str]], tmp_path: Path, write: Callable[[Path, bytes], Any]
) -> None:
    path = tmp_path / "run.npz"
    write(path, stopped[0].read_bytes())
    message = refusal(example, *FEW, "--checkpoint", str(path), "--resume")
    assert f"{path} cannot be used as a checkpoint of this example" in message


def npy() -> bytes:
    from io import BytesIO

    file = BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def test_a_run_killed_while_it_saves_leaves_the_last_checkpoint(
    example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"
    example.save(path, 1, {}, {})
    before = path.read_bytes()

    def interrupted(file: Any, **arrays: Any) -> None:
        file.write(before[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        example.save(path, 2, {}, {})
    assert path.read_bytes() == before
