"""Measure drop_block: time as ratios within one run, and peak memory. `make bench` prints the table.

Nothing here is asserted: speed depends on the machine and on who else uses it. The contenders of a shape take turns, so
that a busy moment hits all of them, in another order each round, since who comes after a large array is freed pays for
its pages; the median of each counts. Threads and allocator are as a user has them. ``python -m tests.bench jax`` runs
one framework.
"""

import importlib
import itertools
import json
import platform
import random
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.bench.cases import CASES, DENSE, FLOOR, OURS, Backend, Case

OUTPUT = Path(__file__).resolve().parents[2] / "build" / "bench.json"
ROUNDS = 21
FRAMEWORKS = ("numpy", "torch", "jax", "tf")
PEAK_TARGET = 1.6


class Row(NamedTuple):
    backend: str
    case: Case
    name: str
    milliseconds: float
    ratio: float  # to the floor
    peak: float | None  # memory at its highest, as a multiple of input plus output; None where nobody counts it


def peak(run: Callable[[], Any], x: np.ndarray[Any, Any]) -> float | None:
    """Peak memory of a call as a multiple of input plus output, if the library reports its arrays to tracemalloc."""
    tracemalloc.start()
    y = run()
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (x.nbytes + traced) / (2 * x.nbytes) if isinstance(y, np.ndarray) and traced >= x.nbytes else None


def measure(backend: Backend, case: Case) -> list[Row]:
    x = np.random.default_rng(0).standard_normal(case.shape, np.float32)
    contenders = backend.contenders(x, case)
    peaks = {name: peak(run, x) for name, run in contenders.items()}  # also the first run of each, which is not timed
    times: dict[str, list[float]] = {name: [] for name in contenders}
    shuffled = random.Random(0)
    for _ in range(ROUNDS):
        for name, run in shuffled.sample(list(contenders.items()), len(contenders)):
            start = time.perf_counter()
            run()
            times[name].append(1e3 * (time.perf_counter() - start))
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    return [Row(backend.name, case, name, t, t / medians[FLOOR], peaks[name]) for name, t in medians.items()]


def show(rows: list[Row], backends: list[Backend]) -> None:
    targets = {(backend.name, case): asked for backend in backends for case, asked in backend.targets.items()}
    table = Table("float32", caption="floor: one read, one write a direction; peak: memory / (input + output)")
    for column in ("median ms", "/ floor", "/ ours", "peak"):
        table.add_column(column, justify="right")
    console = Console()
    verdicts = []
    for (backend, case), group in itertools.groupby(rows, key=lambda row: (row.backend, row.case)):
        times = {row.name: row for row in group}
        ours = times[OURS]
        table.add_section()
        table.add_row(Text(f"{backend} {list(case.shape)}, block {case.block}, keep_prob {case.keep_prob}", "bold"))
        for row in times.values():
            memory = "" if row.peak is None else f"{row.peak:.2f}"
            to_ours = row.milliseconds / ours.milliseconds
            table.add_row(f"  {row.name}", f"{row.milliseconds:.1f}", f"{row.ratio:.1f}", f"{to_ours:.1f}", memory)
        for target in targets.get((backend, case), []):
            faster = times[target.contender].milliseconds / ours.milliseconds
            met = faster >= target.at_least and 1 / faster <= target.at_most
            asked = f"{faster:.1f} times as fast as {target.contender}, target >= {target.at_least}"
            if not target.at_least:
                asked = f"{1 / faster:.1f} times the {target.contender}, target <= {target.at_most}"
            verdicts.append(f"{'met' if met else 'MISSED'}: {backend} {list(case.shape)} block {case.block}: {asked}")
    console.print(table)
    for verdict in verdicts:
        console.print(Text(verdict), soft_wrap=True)
    for row in rows:
        if row.name == OURS and row.peak is not None and row.case == CASES[0]:
            console.print(f"{row.backend}: peak is {row.peak:.2f} of input plus output, target <= {PEAK_TARGET}")


def main(names: list[str]) -> None:
    modules = {name: importlib.import_module(f"tests.bench.{name}_rows") for name in names or FRAMEWORKS}
    backends = [backend for module in modules.values() for backend in module.BACKENDS]
    rows = [row for backend in backends for case in backend.cases for row in measure(backend, case)]
    show(rows, backends)
    if "torch" in modules:
        for case in [*CASES, DENSE[0]]:
            bits = modules["torch"].saved_bits_a_unit(case)
            print(f"torch saves {bits:.3f} bits a unit at {list(case.shape)} block {case.block}, target <= 1")
    OUTPUT.parent.mkdir(exist_ok=True)
    report = {
        "rounds": ROUNDS,
        "python": platform.python_version(),
        **{name: version(name) for name in modules},
        "machine": platform.machine(),
        "rows": [row._asdict() | {"case": row.case._asdict()} for row in rows],
    }
    OUTPUT.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
