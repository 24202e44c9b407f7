"""One run, from its settings to its line of the results file."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from docs.experiments.configurations import Run
from docs.experiments.training import Task, train


def task_of(experiment: str, settings: dict[str, Any]) -> Task:
    # Each is imported where it is asked for: torchvision's detectors take seconds.
    if experiment == "Table 4":
        from docs.experiments.segmentation import segmentation

        return segmentation(settings)
    if experiment == "Table 3":
        from docs.experiments.detection import detection

        return detection(settings)
    if experiment == "Table 2":
        from docs.experiments.cells import cells

        return cells(settings)
    from docs.experiments.classification import classification

    return classification(settings)


def make(run: Run, checkpoint: Path, stop_after: int | None = None) -> dict[str, Any] | None:
    """The result of a run, or None if it was stopped on the way, to go on from its checkpoint."""
    torch.set_num_threads(1)  # two runs at a time, and the same sums on any machine of this kind
    torch.manual_seed(run.seed)
    if run.experiment == "photographs":
        from docs.experiments.photographs import photographs

        metrics: dict[str, Any] | None = photographs(run.settings)
    else:
        metrics = train(task_of(run.experiment, run.settings), run.settings, checkpoint, stop_after)
    if metrics is None:
        return None
    cpu_seconds = metrics.pop("cpu_seconds")
    return {
        "experiment": run.experiment,
        "row": run.row,
        "settings": run.settings,
        "metrics": metrics,
        "cpu_seconds": cpu_seconds,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def machine() -> str:
    """The processor and how many there are, as far as the system says."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name}, {os.cpu_count()} cores"
