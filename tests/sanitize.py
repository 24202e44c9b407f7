"""Run the C library under the sanitizers of GCC or Clang: ``make sanitize``.

Address and undefined behaviour: with the tests of the library. Threads: masks and products of many sizes, on four
threads, in the smallest tasks there may be.
"""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from dropblock_core.native import calls, compile, library
from dropblock_core.stream import Batch, Segments

FLAGS = f"{compile.FLAGS} -O1 -g -fno-sanitize-recover=all"


def in_threads(file: str) -> None:
    """Draw and apply masks of 200 sizes."""
    found = library.opened(Path(file))
    found.dropblock_threads(4)
    library.library = calls.library = lambda: found
    calls.TASK_BITS = 64
    threads = library.parallel_for()
    rng = random.Random(0)
    for seed in range(200):
        feat = rng.randint(1, 20), rng.randint(1, 40)
        segments = Segments.of(feat, tuple(rng.randint(1, f) for f in feat))
        samples, maps = rng.randint(1, 6), rng.choice([1, 3, 5, 64, 1280])
        units = samples * maps * segments.units
        state, x, y = np.empty(calls.state_words(units), np.uint64), np.ones(units, np.float32), np.empty(units, "f4")
        batch, scale = Batch(seed, samples, maps, segments, rng.choice([0.01, 0.3])), np.array(1.5, "f4")
        calls.draw(batch, state.ctypes.data, channels_last=rng.random() < 0.5, parallel_for=threads)
        rows = calls.Rows.of(samples, maps, maps, segments.units, 1, False)
        places = (array.ctypes.data for array in (x, y, state, scale))
        calls.apply(*places, rows, "float32", parallel_for=threads)


def run(sanitizers: str, runtimes: list[str], *command: str) -> None:
    """A command of Python's whose last word is the library, with the runtimes loaded before anything else."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "libdropblock.so")
        if (obstacle := compile.compile_library(f"{FLAGS} -fsanitize={sanitizers}", file)) is not None:
            sys.exit(obstacle)
        names = [subprocess.check_output(["cc", f"-print-file-name={name}"], text=True).strip() for name in runtimes]
        options = {"LD_PRELOAD": " ".join(names), "ASAN_OPTIONS": "detect_leaks=0"}
        subprocess.run([sys.executable, *command, str(file)], env=os.environ | options, check=True)
        print(f"{sanitizers}: nothing was found")


def main() -> None:
    run("address,undefined", ["libasan.so", "libubsan.so"], "-m", "tests.sanitize", "tests")
    run("thread", ["libtsan.so"], "-m", "tests.sanitize", "threads")


def tested(file: str) -> int:
    """The tests of the library on the one in a file."""
    import pytest

    library.FILE = Path(file)
    return int(pytest.main(["-q", "-p", "no:cacheprovider", "tests/core/test_native.py", "tests/core/test_apply.py"]))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["tests", file]:
            sys.exit(tested(file))
        case ["threads", file]:
            in_threads(file)
        case _:
            main()
