"""What came out, beside what the paper has: a table of the folders that runs left.

python -m docs.experiments.full_size.report runs/*
"""

import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import click

from docs.experiments import published
from docs.experiments.full_size.checkpoints import SETTINGS, results

TABLES = {number: getattr(published, f"TABLE_{number}") for number in (1, 2, 3, 4)}
HEAD = "| Configuration | Metric | The paper | Best epoch | Last epoch | Runs | Epochs |\n|---|---|---|---|---|---|---|"


def spread(values: list[float]) -> str:
    """The mean, and the standard deviation of several runs."""
    return f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def printed(number: Any) -> str:
    return " ± ".join(f"{part:.2f}" for part in number) if isinstance(number, tuple) else f"{number:.1f}"


def rows(folders: list[Path]) -> list[str]:
    """A row for each metric of each configuration, over the seeds that there are."""
    runs: dict[str, list[tuple[dict[str, Any], list[dict[str, Any]]]]] = {}
    for folder in folders:
        try:
            settings = json.loads((folder / SETTINGS).read_text())
        except (OSError, ValueError) as error:
            raise click.UsageError(f"{folder} is no folder of a run (it has no {SETTINGS}): leave it out") from error
        if lines := results(folder):
            runs.setdefault(settings["configuration"], []).append((settings, lines))
    table = []
    for configuration, of_seeds in runs.items():
        settings = of_seeds[0][0]
        paper = TABLES[settings["table"]][settings["row"]] if settings["table"] else {}
        epochs = [lines[-1]["epoch"] for _, lines in of_seeds]
        for metric in of_seeds[0][1][0].keys() - {"epoch", "step", "loss"}:
            curves = [[line[metric] for line in lines] for _, lines in of_seeds]
            table.append(
                f"| {configuration} | {metric} | {printed(paper[metric]) if paper else ''} | "
                f"{spread([max(curve) for curve in curves])} | {spread([curve[-1] for curve in curves])} | "
                f"{len(of_seeds)} | {min(epochs)} of {settings['epochs']} |"
            )
    return sorted(table)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def main(folders: tuple[Path, ...]) -> None:
    """Print a table of runs by their FOLDERS, those of one configuration together.

    The paper reports the best epoch (section 4.1), which flatters: the last one is beside it.
    """
    click.echo("\n".join([HEAD, *rows(list(folders))]))


if __name__ == "__main__":
    main()
