"""The scripts of docs/experiments/full_size: two processes by torchrun, on tiny data in the formats of the large."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("pycocotools")

from tests.docs import full_size_support  # after the skips

ROOT = Path(__file__).parents[2]
DATA = {"classification": "image_folder", "detection": "coco", "segmentation": "voc"}


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Two processes, of one thread each."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("data")
    return {script: getattr(full_size_support, maker)(home / script) for script, maker in DATA.items()}


def options(data: dict[str, Path], script: str, out: Path) -> list[str]:
    """Two epochs of three steps, and a checkpoint within the second."""
    tiny = ["--configuration", "tiny-dropblock", "--workers", "0", "--save-every", "4"]
    return [*tiny, "--data", str(data[script]), "--out", str(out)]


@pytest.fixture(scope="module")
def runs(data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each script: a whole run, and one that is killed and goes on."""
    home = tmp_path_factory.mktemp("runs")
    plan: list[Any] = []
    for script in DATA:
        killed = options(data, script, home / f"{script}-killed")
        plan += [(script, options(data, script, home / script), False), (script, killed, True), (script, killed, False)]
    with ExitStack() as stack:  # all at once, so that they differ
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in plan]
        ports = [one.getsockname()[1] for one in sockets]
    plan = [(port, *run) for port, run in zip(ports, plan, strict=True)]
    done = torchrun("-m", "tests.docs.full_size_ranks", json.dumps(plan))
    assert done.returncode == 0, done.stdout + done.stderr
    (home / "printed").write_text(done.stdout)
    return home


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("script", DATA)
def test_a_run_that_was_killed_ends_in_the_bits_of_one_that_was_not(script: str, runs: Path) -> None:
    whole, killed = files(runs / script), files(runs / f"{script}-killed")
    assert sorted(whole) == sorted(killed)
    assert sum(path.startswith("step-000000006/") for path in whole) == 3  # the last alone: two files, and .metadata
    for path in whole:
        if not path.endswith(".metadata"):  # which has the names of the folders
            assert whole[path] == killed[path], path
    lines = [json.loads(line) for line in (runs / script / "results.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(1, 3), (2, 6)]
    assert lines[0]["loss"] != lines[1]["loss"]


@pytest.mark.parametrize("script", DATA)
def test_each_process_drops_its_own_units_and_more_from_step_to_step(script: str, runs: Path) -> None:
    first, second = (json.loads((runs / f"{script}-dropped-{rank}.json").read_text()) for rank in (0, 1))
    layers = len(first) // 6
    assert len(first) == len(second) == 6 * layers
    for step in range(6):
        of_step = [dropped[step * layers : (step + 1) * layers] for dropped in (first, second)]
        assert (sum(of_step[0]) == 0) == (step == 0)  # keep_prob is 1 at step 0
        assert step == 0 or of_step[0] != of_step[1]
    again = json.loads((runs / f"{script}-killed-dropped-0.json").read_text())
    assert again == first[4 * layers :]


def test_what_is_printed(runs: Path) -> None:
    printed = (runs / "printed").read_text()
    assert printed.count("goes on after step 4 of 6") == len(DATA)
    assert printed.count("keep_prob 0.9000") == 4  # whole runs and resumed ones of two scripts
    assert printed.count("keep_prob 0.2000") == 2


@pytest.mark.exhaustive
@pytest.mark.parametrize("script", DATA)
def test_torchrun_restarts_a_run_whose_process_died(script: str, runs: Path, data: dict[str, Path]) -> None:
    out = runs / f"{script}-restarted"
    run = json.dumps([script, options(data, script, out)])
    done = torchrun("--max-restarts", "1", "-m", "tests.docs.full_size_ranks", "restarted", run)
    assert done.returncode == 0, done.stderr
    assert "goes on after step 4 of 6" in done.stdout
    assert (out / "results.jsonl").read_bytes() == (runs / script / "results.jsonl").read_bytes()


def test_without_torchrun_a_run_says_how_to_start_it(data: dict[str, Path], tmp_path: Path) -> None:
    arguments = options(data, "classification", tmp_path / "run")
    module = "docs.experiments.full_size.classification"
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 2
    assert "start this by torchrun, for one process too: torchrun --nproc-per-node 8 -m" in done.stderr
    assert not (tmp_path / "run").exists()
