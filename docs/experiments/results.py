"""The file of results: a run a line, as JSON. What is in it is not run again, and the page is made of it alone."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from docs.experiments.configurations import Run

RESULTS = Path(__file__).with_name("results.jsonl")
FIELDS = {"experiment", "row", "settings", "metrics", "cpu_seconds", "date", "machine", "versions"}
Key = tuple[str, str, int]
Results = dict[Key, dict[str, Any]]


def read(path: Path, runs: Iterable[Run]) -> Results:
    """The results of those of `runs` that have one, each made with the settings that the run has now."""
    if not path.exists():
        return {}
    settings = {run.key: run.settings for run in runs}
    results: Results = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            result = json.loads(line)
            key = result["experiment"], result["row"], result["settings"]["seed"]
            missing = sorted(FIELDS - result.keys())
        except (ValueError, LookupError, TypeError) as error:
            raise click.ClickException(f"line {number} of {path} is not a result ({error}): remove the line") from error
        if missing:
            raise click.ClickException(f"line {number} of {path} lacks {', '.join(missing)}: remove the line")
        if key in results:
            raise click.ClickException(f"line {number} of {path} repeats {key}: remove one of the two lines")
        if key not in settings:
            raise click.ClickException(
                f"line {number} of {path} is of a run that is not there, {key}: remove the line, or add the run to "
                "configurations.py"
            )
        changed = [name for name in settings[key] if settings[key][name] != result["settings"].get(name)]
        if changed or settings[key].keys() != result["settings"].keys():
            named = ", ".join(f"{name}={result['settings'].get(name)!r}" for name in changed) or "other settings"
            raise click.ClickException(
                f"line {number} of {path} was made with {named}, which {key} does not have now: remove the line to run "
                "it anew, or pass another --results"
            )
        results[key] = result
    return results


def append(path: Path, result: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(result) + "\n")
