"""A run's folder: its settings, its results, and its newest checkpoint by torch.distributed.checkpoint."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import click
import torch.distributed as dist
import torch.distributed.checkpoint as dcp

SETTINGS, RESULTS = "settings.json", "results.jsonl"


def check(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse a folder that is not of a run with these settings. Nothing is written."""
    if not folder.parent.is_dir():
        raise click.UsageError(f"--out {folder}: there is no folder {folder.parent}; make it first")
    if not folder.exists():
        return
    try:
        made_with = json.loads((folder / SETTINGS).read_text())
        changed = [name for name in settings if made_with[name] != json.loads(json.dumps(settings[name]))]
    except (OSError, ValueError, LookupError, TypeError) as error:
        if folder.is_dir() and not any(folder.iterdir()):
            return
        raise click.UsageError(
            f"--out {folder} is there, and is no folder of a run (its {SETTINGS} cannot be read): pass a free path"
        ) from error
    if changed:
        kept = ", ".join(f"{name} {made_with[name]}" for name in changed)
        raise click.UsageError(
            f"--out {folder} is of a run with {kept}: a run goes on with the settings that it began with, so pass "
            "those, or another --out"
        )


def begin(folder: Path, settings: dict[str, Any]) -> None:
    """Make the folder, by process 0."""
    folder.mkdir(exist_ok=True)
    write(folder / SETTINGS, json.dumps(settings, indent=1) + "\n")


def write(path: Path, text: str) -> None:
    """At once or not at all."""
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_text(text)
    os.replace(temporary, path)


def steps(folder: Path) -> list[int]:
    """Those that have a whole checkpoint, the newest last."""
    names = (path.name.split("-") for path in folder.glob("step-*"))
    return sorted(int(name[1]) for name in names if name[1].isdigit())


def place(folder: Path, step: int) -> Path:
    return folder / f"step-{step:09}"


def save(folder: Path, step: int, state: dict[str, Any]) -> None:
    """By all processes. Killed within, the run leaves the last checkpoint as it was."""
    new = place(folder, step)
    part = new.with_name(f"{new.name}.part")
    if dist.get_rank() == 0:
        shutil.rmtree(part, ignore_errors=True)
    dist.barrier()
    dcp.save(state, checkpoint_id=part)
    if dist.get_rank() == 0:
        part.rename(new)
        for old in folder.glob("step-*"):
            if old != new:
                shutil.rmtree(old)
    dist.barrier()


def load(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Fill `state`, which has the shapes of what was saved."""
    try:
        dcp.load(state, checkpoint_id=place(folder, step))
    except (dcp.CheckpointException, OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise click.ClickException(
            f"{place(folder, step)} cannot be read ({type(error).__name__}): remove it to start anew, or bring it back"
        ) from error


def results(folder: Path) -> list[dict[str, Any]]:
    path = folder / RESULTS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def keep_results(folder: Path, kept: list[dict[str, Any]]) -> None:
    write(folder / RESULTS, "".join(f"{json.dumps(line)}\n" for line in kept))
