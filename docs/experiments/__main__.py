"""The paper's tables and figures in miniature: run what is missing, draw the figures, write the page.

    make experiments
    python -m docs.experiments --only "Table 1" --jobs 1

It needs what `make install` installs. A run that was stopped goes on from its last epoch, bit for bit.
"""

import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from time import monotonic
from typing import Any

import click

from docs.experiments import configurations
from docs.experiments.configurations import RUNS, Run
from docs.experiments.one_run import make
from docs.experiments.results import RESULTS, Results, append, read

PAGE = Path(__file__).parents[1] / "experiments.md"
FIGURES_FOLDER = Path(__file__).with_name("figures")
CHECKPOINTS = Path("build/experiments")


def checkpoint_of(run: Run, folder: Path) -> Path:
    return folder / f"{'-'.join(map(str, run.key)).replace(' ', '_').replace(',', '')}.pt"


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a results file, so that no run is made twice."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise click.ClickException(f"another process is filling {path}: wait for it, or pass --results") from error
        yield


def estimate(run: Run, results: Results) -> float:
    """CPU seconds, by what runs alike took: of the row, of the experiment, of all."""
    for depth in (2, 1, 0):
        if like := [result["cpu_seconds"] for key, result in results.items() if key[:depth] == run.key[:depth]]:
            return sum(like) / len(like)
    return 1.0


def fill(path: Path, runs: list[Run], jobs: int, folder: Path, known: Results) -> None:
    """Make those of `runs` that have no result, `jobs` at a time."""
    missing = [run for run in runs if run.key not in known]
    folder.mkdir(parents=True, exist_ok=True)
    begun, total = monotonic(), len(missing)
    # Fresh processes: a fork would inherit the threads of PyTorch.
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool, ExitStack() as stack:
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)  # of those that wait, if one fails
        futures = {pool.submit(make, run, checkpoint_of(run, folder)): run for run in missing}
        spent = 0.0
        for number, future in enumerate(as_completed(futures), start=1):
            run, result = futures[future], future.result()
            append(path, result)
            checkpoint_of(run, folder).unlink(missing_ok=True)
            known[run.key] = result
            spent += result["cpu_seconds"]
            left = sum(estimate(other, known) for other in missing if other.key not in known)
            minutes = left * (monotonic() - begun) / max(spent, 0.1) / 60
            click.echo(f"{number}/{total}  {run.name}: {brief(result)}; about {minutes:.0f} min left", err=True)


def brief(result: dict[str, Any]) -> str:
    numbers = {name: value for name, value in result["metrics"].items() if isinstance(value, float)}
    shown = ", ".join(f"{name} {value:.4f}" for name, value in list(numbers.items())[:2])
    return f"{shown}, {result['cpu_seconds']:.0f} s of CPU"


def runs_on(data: str, only: tuple[str, ...], smoke: bool) -> list[Run]:
    experiments = list(dict.fromkeys(run.experiment for run in RUNS))
    if unknown := [name for name in only if name not in experiments]:
        raise click.UsageError(f"--only {unknown[0]}: there is no such experiment; there are {', '.join(experiments)}")
    runs = [Run(run.experiment, run.row, {**run.settings, "data": data}) for run in RUNS]
    runs = [configurations.small(run) for run in runs if run.seed == 0] if smoke else runs
    return [run for run in runs if run.experiment in (only or experiments)]


@click.command(context_settings={"show_default": True})
@click.option("--data", type=click.Choice(["fashion-mnist", "digits"]), default="fashion-mnist", help="The images.")
@click.option("--only", multiple=True, help="An experiment, such as 'Table 1'; may be given more than once.")
@click.option("--jobs", type=click.IntRange(1), default=2, help="Processes, one core each.")
@click.option("--results", type=click.Path(dir_okay=False, path_type=Path), default=RESULTS, help="The file to fill.")
@click.option("--checkpoints", type=click.Path(file_okay=False, path_type=Path), default=CHECKPOINTS)
@click.option("--smoke", is_flag=True, help="One seed of everything on little, to see that it runs.")
@click.option("--draw-only", is_flag=True, help="Run nothing: draw the figures and write the page of what there is.")
def main(
    data: str, only: tuple[str, ...], jobs: int, results: Path, checkpoints: Path, smoke: bool, draw_only: bool
) -> None:
    """Run what the results file lacks; then draw the figures and write the page."""
    if (smoke or data != "fashion-mnist") and results == RESULTS:
        raise click.UsageError("--results is the file behind docs/experiments.md: pass another one for these runs")
    if not results.parent.is_dir():
        raise click.UsageError(f"--results {results}: there is no folder {results.parent}")
    runs, every = runs_on(data, only, smoke), runs_on(data, (), smoke)
    if not draw_only:
        os.environ["OMP_NUM_THREADS"] = "1"  # of the processes to come
        with alone(results):
            fill(results, runs, jobs, checkpoints, read(results, every))
    if results == RESULTS:
        from docs.experiments.drawing import draw  # Matplotlib, which the runs do without

        draw(read(results, every), PAGE, FIGURES_FOLDER)


if __name__ == "__main__":
    main()
