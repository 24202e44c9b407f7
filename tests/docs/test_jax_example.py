"""The JAX example runs: a stopped run goes on bit for bit, one program serves the schedule, mistakes get a sentence."""

import json
from collections.abc import Callable, Iterator
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
    WHOLE,
    documented_options_exist,
    imported,
    refusal,
    refusals,
    refuses_what_is_there,
    run,
)

PATH = EXAMPLES / "jax_fashion_mnist.py"


@pytest.fixture(scope="module")
def example() -> Any:
    return imported(PATH)


@pytest.mark.exhaustive  # half a minute of compilation
def test_a_resumed_run_ends_in_the_bits_of_one_that_was_not_stopped(tmp_path: Path) -> None:
    first, last, resumed = (tmp_path / f"{name}.npz" for name in ("first", "last", "resumed"))
    quickly = {"XLA_FLAGS": "", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # which compiles in half the time
    *whole, rest, done = run("-c", WHOLE, "jax_fashion_mnist", *FEW, "--checkpoint", str(last), **quickly)
    assert done == f"all epochs are done: {last} holds the trained network"
    assert [line.split("keep_prob ")[1] for line in whole] == ["0.9500", "0.9000"]
    assert rest == whole[1]
    assert resumed.read_bytes() == last.read_bytes() != first.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.npz", "last.npz", "resumed.npz"]

    with np.load(last) as saved:
        assert json.loads(saved["about"].item())["epoch"] == 2
        assert saved["['optimizer']['step'].value"] == 8
        counts = [saved[name] for name in saved.files if name.endswith("['rngs']['count'].value")]
    assert counts == [8] * 12  # one key a step for each layer, and none for evaluation


def small(example: Any, seen: list[Any]) -> type:
    """A network that is quick to compile, which notes each keep_prob that it is given."""

    class Net(nnx.Module):
        def __init__(self, block_size: int, rngs: Any) -> None:
            self.drop, self.head = example.DropBlock(block_size=block_size, rngs=rngs), nnx.Linear(1, 10, rngs=rngs)

        def __call__(self, images: Any, keep_prob: Any = None) -> Any:
            if keep_prob is not None:
                seen.append(keep_prob)
            return self.head(self.drop(images[:, ::4, ::4, None] / 255.0, keep_prob=keep_prob).mean((1, 2)))

    return Net


def output(example: Any, *options: str) -> str:
    return CliRunner().invoke(example.main, [*FEW, *options], catch_exceptions=False).output


@pytest.fixture(scope="module")
def quick(example: Any) -> Iterator[Any]:
    """The example with that network, compiled once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example, "ResNet", small(example, []))
        yield example


@pytest.fixture(scope="module")
def stopped(quick: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of that network which left after its first epoch: its checkpoint, and what it printed."""
    path = tmp_path_factory.mktemp("stopped") / "run.npz"
    return path, output(quick, "--checkpoint", str(path), "--stop-after", "1")


@pytest.mark.exhaustive  # three runs of the small network
def test_stop_after_leaves_a_run_to_go_on_with(quick: Any, stopped: tuple[Path, str], tmp_path: Path) -> None:
    checkpoint, first = stopped
    path = tmp_path / "run.npz"
    path.write_bytes(checkpoint.read_bytes())
    rest = output(quick, "--checkpoint", str(path), "--resume")
    assert first + rest == output(quick) != output(quick, "--seed", "1")


def test_one_program_serves_the_whole_schedule(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    traced: list[Any] = []
    monkeypatch.setattr(example, "ResNet", small(example, traced))
    result = CliRunner().invoke(example.main, FEW, catch_exceptions=False)
    assert [line.split("keep_prob ")[1] for line in result.output.splitlines()] == ["0.9500", "0.9000"]
    assert len(traced) == 1
    assert isinstance(traced[0], jax.core.Tracer)


def test_the_network_has_the_paper_s_layers_on_the_paper_s_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    example, seen = imported(PATH), []

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


def test_a_checkpoint_serves_the_run_that_made_it_only(quick: Any, stopped: tuple[Path, str]) -> None:
    refuses_what_is_there(quick, stopped[0])


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
    quick: Any, stopped: tuple[Path, str], tmp_path: Path, write: Callable[[Path, bytes], Any]
) -> None:
    path = tmp_path / "run.npz"
    write(path, stopped[0].read_bytes())
    message = refusal(quick, *FEW, "--checkpoint", str(path), "--resume")
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
