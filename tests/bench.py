"""Measure drop_block: time as ratios within one run, and peak memory. `make bench` prints the table.

Nothing here is asserted: speed depends on the machine and on who else uses it. The contenders of a shape take turns,
so that a busy moment hits all of them, and the median of each counts. To add a backend, add a function to BACKENDS.
"""

import itertools
import json
import platform
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dropblock_core import drop_block, gamma

OUTPUT = Path(__file__).resolve().parent.parent / "build" / "bench.json"
ROUNDS = 9
TARGET_SHAPE, TARGET_RATIO, TARGET_PEAK = (32, 1024, 14, 14), 10.0, 1.6
OURS, FLOOR = "drop_block", "x * s (floor)"


class Case(NamedTuple):
    shape: tuple[int, ...]
    block: int
    keep_prob: float


CASES = [
    Case(TARGET_SHAPE, 7, 0.9),
    Case((32, 2048, 7, 7), 7, 0.9),
    Case((8, 256, 56, 56), 7, 0.9),
    Case((16, 256, 80, 80), 5, 0.9),
    Case((4, 512, 64, 64), 16, 0.2),
]


class Row(NamedTuple):
    backend: str
    case: Case
    name: str
    milliseconds: float
    ratio: float  # to the floor
    peak: float | None  # memory at its highest, as a multiple of input plus output; None where nobody counts it


def max_pool(x: np.ndarray[Any, Any], case: Case) -> np.ndarray[Any, Any]:
    """DropBlock as it is often written: a random number a unit, and a maximum over windows, axis by axis."""
    feat = x.shape[2:]
    seeds = np.random.default_rng(0).random(x.shape, np.float32) < gamma(case.keep_prob, case.block, feat)
    for axis, f in enumerate(feat, start=2):
        valid = f - case.block + 1
        seeds = seeds.take(range(valid), axis)
        padding = [(0, 0)] * x.ndim
        padding[axis] = (case.block - 1,) * 2
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(seeds, padding), case.block, axis)
        seeds = windows.max(axis=-1)
    mask = ~seeds
    return x * mask * np.float32(mask.size / mask.sum())


def numpy_contenders(x: np.ndarray[Any, Any], case: Case) -> dict[str, Callable[[], Any]]:
    scale = np.float32(1.1)
    return {
        OURS: lambda: drop_block(x, case.keep_prob, case.block, seed=1),
        FLOOR: lambda: x * scale,
        "max-pool formulation": lambda: max_pool(x, case),
    }


# A backend turns activations into what it runs on them; each call must have finished when it returns.
BACKENDS: dict[str, Callable[[np.ndarray[Any, Any], Case], dict[str, Callable[[], Any]]]] = {"numpy": numpy_contenders}


def peak(run: Callable[[], Any], x: np.ndarray[Any, Any]) -> float | None:
    """Peak memory of a call as a multiple of input plus output, if the library reports its arrays to tracemalloc."""
    tracemalloc.start()
    y = run()
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (x.nbytes + traced) / (x.nbytes + y.nbytes) if traced >= y.nbytes else None


def measure(backend: str, case: Case) -> list[Row]:
    x = np.random.default_rng(0).standard_normal(case.shape, np.float32)
    contenders = BACKENDS[backend](x, case)
    peaks = {name: peak(run, x) for name, run in contenders.items()}  # also the first run of each, which is not timed
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            times[name].append(1e3 * (time.perf_counter() - start))
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    return [Row(backend, case, name, t, t / medians[FLOOR], peaks[name]) for name, t in medians.items()]


def show(rows: list[Row]) -> None:
    table = Table("forward, float32", caption="floor: one read, one write; peak: memory / (input + output)")
    for column in ("median ms", "/ floor", "peak"):
        table.add_column(column, justify="right")
    for (backend, case), group in itertools.groupby(rows, key=lambda row: (row.backend, row.case)):
        table.add_section()
        table.add_row(Text(f"{backend} {list(case.shape)}, block {case.block}, keep_prob {case.keep_prob}", "bold"))
        for row in group:
            memory = "" if row.peak is None else f"{row.peak:.2f}"
            table.add_row(f"  {row.name}", f"{row.milliseconds:.1f}", f"{row.ratio:.1f}", memory)
    console = Console()
    console.print(table)
    ours = next(row for row in rows if (row.backend, row.case.shape, row.name) == ("numpy", TARGET_SHAPE, OURS))
    for what, value, target in (("time / floor", ours.ratio, TARGET_RATIO), ("peak", ours.peak, TARGET_PEAK)):
        verdict = "met" if value <= target else "missed"
        console.print(Text(f"numpy at {list(TARGET_SHAPE)}: {what} is {value:.2f}, target <= {target}: {verdict}"))


def main() -> None:
    rows = [row for backend in BACKENDS for case in CASES for row in measure(backend, case)]
    show(rows)
    machine = {"python": platform.python_version(), "numpy": np.__version__, "machine": platform.machine()}
    OUTPUT.parent.mkdir(exist_ok=True)
    report = {"rounds": ROUNDS, **machine, "rows": [row._asdict() | {"case": row.case._asdict()} for row in rows]}
    OUTPUT.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
