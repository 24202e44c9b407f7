# SPDX-License-Identifier: Apache-2.0
"""Compile dropblock.c beside itself: ``python dropblock_core/native/compile.py``. A wheel is built by this too.

It needs the standard library alone, so that a build can run it before anything is installed.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

SOURCE = Path(__file__).with_name("dropblock.c")
LIBRARY = Path(__file__).with_name("libdropblock.so")
# Every product is rounded once, and nothing looks at the flags of the floating-point unit.
FLAGS = "-std=gnu11 -O3 -fPIC -shared -pthread -fvisibility=hidden -fno-math-errno -fno-trapping-math -ffp-contract=off"


def compile_library(flags: str = FLAGS, library: Path = LIBRARY) -> str | None:
    """Compile the library with ``$CC``, or the compiler of this Python. Returns what stands in the way, or None."""
    if os.name != "posix":
        return "it has not been tried on this system"
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    made = library.with_suffix(f".{os.getpid()}")
    command = [*shlex.split(compiler), *shlex.split(flags), str(SOURCE), "-o", str(made)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except OSError as error:
        return f"no C compiler: {error}"
    except subprocess.CalledProcessError as error:
        return f"{shlex.join(command)}: {error.stderr.strip()}"
    made.replace(library)  # a process that has loaded the old one keeps it
    return None


if __name__ == "__main__":  # with more flags, if any are given
    obstacle = compile_library(shlex.join([*shlex.split(FLAGS), *sys.argv[1:]]))
    print(f"{LIBRARY} is compiled" if obstacle is None else f"NumPy will do the work of the C library: {obstacle}")
    sys.exit(0)
