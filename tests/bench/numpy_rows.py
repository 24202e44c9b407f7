"""The NumPy reference, beside DropBlock as it is often written."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from dropblock_core import drop_block, gamma
from dropblock_core.native import library
from tests.bench.cases import CASES, FLOOR, OURS, Backend, Case, Contenders, Target


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


def contenders(x: np.ndarray[Any, Any], case: Case) -> Contenders:
    scale = np.float32(1.1)
    return {
        OURS: lambda: drop_block(x, keep_prob=case.keep_prob, block_size=case.block, seed=1),
        FLOOR: lambda: x * scale,
        "max-pool formulation": lambda: max_pool(x, case),
    }


@contextmanager
def one_thread() -> Iterator[None]:
    """As with ``OMP_NUM_THREADS=1``."""
    threads = library.library().dropblock_threads if library.library() else lambda number: None
    threads(1)
    yield
    threads(library.threads())


BACKENDS = [
    Backend("forward", contenders, {case: [Target(FLOOR, at_most=1.6)] for case in CASES}),
    Backend("forward, one thread", contenders, cases=CASES, within=one_thread),
]
