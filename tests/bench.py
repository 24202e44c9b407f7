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
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dropblock_core import drop_block, gamma
from dropblock_torch import drop_block as torch_drop_block
from tests.third_party import import_torchvision

OUTPUT = Path(__file__).resolve().parent.parent / "build" / "bench.json"
ROUNDS = 9
OURS, FLOOR = "drop_block", "x * s (floor)"
TORCHVISION, TIMM, DROPOUT = "torchvision drop_block2d", "timm, per channel", "F.dropout"


class Case(NamedTuple):
    shape: tuple[int, ...]
    block: int
    keep_prob: float


CASES = [
    Case((32, 1024, 14, 14), 7, 0.9),
    Case((32, 2048, 7, 7), 7, 0.9),
    Case((8, 256, 56, 56), 7, 0.9),
    Case((16, 256, 80, 80), 5, 0.9),
    Case((4, 512, 64, 64), 16, 0.2),
]
DENSE = [Case((32, 1024, 14, 14), 1, keep_prob) for keep_prob in (0.9, 0.5, 0.1)]


class Target(NamedTuple):
    """What section 6 of the design asks for: `contender` takes at least (or ours at most) so many times as long."""

    contender: str
    at_least: float = 0.0
    at_most: float = float("inf")


NUMPY_TARGETS = [Target(FLOOR, at_most=10.0)]
TORCH_TARGETS = [Target(TORCHVISION, at_least=20.0), Target(DROPOUT, at_least=4.0), Target(FLOOR, at_most=6.0)]
TARGETS = {
    ("numpy forward", CASES[0]): NUMPY_TARGETS,
    **{(f"torch {way}", case): TORCH_TARGETS for way in ("forward", "forward + backward") for case in CASES[:3]},
    **{(f"torch {way}", DENSE[0]): [Target(DROPOUT, at_least=0.5)] for way in ("forward", "forward + backward")},
}
PEAK_TARGET = 1.6


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


def torch_layers(case: Case) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    import_torchvision()
    from timm.layers.drop import drop_block_2d
    from torchvision.ops import drop_block2d

    scale, drop = 1.1, 1 - case.keep_prob
    layers: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        OURS: lambda x: torch_drop_block(x, case.keep_prob, case.block),
        FLOOR: lambda x: x * scale,
        DROPOUT: lambda x: F.dropout(x, drop),
    }
    if case.block > 1:
        if case.block % 2:  # the only blocks it takes
            layers[TORCHVISION] = lambda x: drop_block2d(x, drop, case.block)
        layers[TIMM] = lambda x: drop_block_2d(x, drop, case.block, couple_channels=False)
    return layers


def torch_forward(x: np.ndarray[Any, Any], case: Case) -> dict[str, Callable[[], Any]]:
    activations = torch.from_numpy(x)
    return {name: lambda layer=layer: layer(activations) for name, layer in torch_layers(case).items()}


def torch_both(x: np.ndarray[Any, Any], case: Case) -> dict[str, Callable[[], Any]]:
    activations, dy = torch.from_numpy(x).requires_grad_(), torch.ones(x.shape)
    return {
        name: lambda layer=layer: torch.autograd.grad(layer(activations), activations, dy)
        for name, layer in torch_layers(case).items()
    }


def saved_bits_a_unit(case: Case) -> float:
    """What a call of ours leaves for the backward pass, beside the input that it does not keep."""
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.nbytes) or t, lambda t: t):
        y = torch_drop_block(torch.ones(case.shape, requires_grad=True), case.keep_prob, case.block)
    return 8 * sum(saved) / y.numel()


# A backend turns activations into what it runs on them; each call must have finished when it returns.
BACKENDS: dict[str, Callable[[np.ndarray[Any, Any], Case], dict[str, Callable[[], Any]]]] = {
    "numpy forward": numpy_contenders,
    "torch forward": torch_forward,
    "torch forward + backward": torch_both,
}
# Of one unit, block 1 is dropout: the densest masks there are.
EXTRA = {"torch forward": DENSE, "torch forward + backward": DENSE}


def peak(run: Callable[[], Any], x: np.ndarray[Any, Any]) -> float | None:
    """Peak memory of a call as a multiple of input plus output, if the library reports its arrays to tracemalloc."""
    tracemalloc.start()
    y = run()
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (x.nbytes + traced) / (2 * x.nbytes) if isinstance(y, np.ndarray) and traced >= x.nbytes else None


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
        for target in TARGETS.get((backend, case), []):
            faster = times[target.contender].milliseconds / ours.milliseconds
            met = faster >= target.at_least and 1 / faster <= target.at_most
            asked = f"{faster:.1f} times as fast as {target.contender}, target >= {target.at_least}"
            if not target.at_least:
                asked = f"{1 / faster:.1f} times the {target.contender}, target <= {target.at_most}"
            verdicts.append(f"{'met' if met else 'MISSED'}: {backend} {list(case.shape)} block {case.block}: {asked}")
    console.print(table)
    for verdict in verdicts:
        console.print(Text(verdict), soft_wrap=True)
    memory = next(row.peak for row in rows if row.name == OURS)
    console.print(f"numpy: peak is {memory:.2f} of input plus output, target <= {PEAK_TARGET}")
    for case in [*CASES, DENSE[0]]:
        bits = saved_bits_a_unit(case)
        console.print(f"torch saves {bits:.3f} bits a unit at {list(case.shape)} block {case.block}, target <= 1")


def main() -> None:
    rows = [row for backend in BACKENDS for case in [*CASES, *EXTRA.get(backend, [])] for row in measure(backend, case)]
    show(rows)
    machine = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
    }
    OUTPUT.parent.mkdir(exist_ok=True)
    report = {"rounds": ROUNDS, **machine, "rows": [row._asdict() | {"case": row.case._asdict()} for row in rows]}
    OUTPUT.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
