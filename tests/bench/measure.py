"""Times of contenders that take turns, and peak memory.

Contenders take turns, so that a busy moment hits all of them, in another order each round, since who comes after a
large array is freed pays for its pages. The median of each counts. Threads and allocator are as a user has them.
"""

import random
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.bench.cases import FLOOR, Backend, Case, Contenders

ROUNDS = 21


class Row(NamedTuple):
    backend: str
    case: Case
    name: str
    milliseconds: float
    ratio: float  # to the floor
    peak: float | None  # memory at its highest, as a multiple of input plus output; None where nobody counts it


def measure(backend: Backend, case: Case) -> list[Row]:
    x = np.random.default_rng(0).standard_normal(case.shape, np.float32)
    with backend.within():
        contenders = backend.contenders(x, case)
        peaks = {name: peak(run, x) for name, run in contenders.items()}  # also the first run of each, which is untimed
        medians = taking_turns(contenders, backend.repeats)
    return [Row(backend.name, case, name, t, t / medians[FLOOR], peaks[name]) for name, t in medians.items()]


def taking_turns(contenders: Contenders, repeats: int = 1, rounds: int = ROUNDS) -> dict[str, float]:
    """The median time of each, in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    shuffled = random.Random(0)
    for _ in range(rounds):
        for name, run in shuffled.sample(list(contenders.items()), len(contenders)):
            start = time.perf_counter()
            for _ in range(repeats):
                run()
            times[name].append(1e3 * (time.perf_counter() - start) / repeats)
    return {name: statistics.median(taken) for name, taken in times.items()}


def peak(run: Callable[[], Any], x: np.ndarray[Any, Any]) -> float | None:
    """Peak memory of a call as a multiple of input plus output, if the library reports its arrays to tracemalloc."""
    tracemalloc.start()
    y = run()
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (x.nbytes + traced) / (2 * x.nbytes) if isinstance(y, np.ndarray) and traced >= x.nbytes else None


PEAK_OF_A_PROCESS = """
import re, torch
from dropblock_torch import drop_block
def kilobytes(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])
# What is loaded at the first call is no part of it.
drop_block(torch.ones(2, 64, 14, 14), keep_prob={keep_prob}, block_size={block})
x = torch.ones({shape})
before = kilobytes("VmRSS")
y = drop_block(x, keep_prob={keep_prob}, block_size={block})
print((x.nbytes + 1024 * (kilobytes("VmHWM") - before)) / (2 * x.nbytes))
"""


def torch_peak(case: Case) -> float:
    """The same for PyTorch, on Linux, from what a process of its own takes at its highest."""
    program = PEAK_OF_A_PROCESS.format(**case._asdict())
    return float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)
