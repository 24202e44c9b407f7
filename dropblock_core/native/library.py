# SPDX-License-Identifier: Apache-2.0
"""The shared library: whether there is one here, and the structures that its functions take."""

import ctypes
import functools
import os
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("libdropblock.so")
ABI = 3  # of the structures below
SWITCH = "DROPBLOCK_NATIVE"
MOST_THREADS = 16  # each is started by a call, and memory serves no more of them faster

_word, _number, _pointer = ctypes.c_uint32, ctypes.c_int64, ctypes.c_void_p


class MaskArguments(ctypes.Structure):
    """``mask_t`` of dropblock.c, which says what the fields mean."""

    _fields_ = [
        ("key", _word * 2),
        ("stream", _word),
        ("sample_offset", _word),
        ("samples", _number),
        ("maps", _number),
        *((name, _word) for name in ("per_map", "packed", "cuts", "width", "rows", "length")),
        ("thresholds", _pointer),
        ("row_of", ctypes.c_uint8 * 32),
        *((name, _number) for name in ("sample_stride", "map_stride", "unit_stride")),
        ("row_start", _pointer),
        ("shifts", _pointer),
        ("n_shifts", _number),
        *((name, _number) for name in ("pieces", "maps_a_piece", "piece_bits", "pieces_a_task", "slab")),
        ("state", _pointer),
        ("dropped", _number),
    ]


class UnitsArguments(ctypes.Structure):
    """``units_t`` of dropblock.c."""

    _fields_ = [
        *((name, _pointer) for name in ("x", "y", "state", "scale")),
        *((name, _number) for name in ("rows", "row", "rows_a_mask", "rows_a_scale", "bit_a_row", "dtype")),
    ]


def library() -> Any:
    """The library, or None where it cannot be used; :func:`native_status` says why."""
    return _loaded()[0]


def native_status() -> str:
    """Whether ``drop_block`` runs in C on this CPU, and if not, why: then it runs in NumPy, with the same results.

    It raises no errors, and neither does anything else where the library cannot be loaded. The environment variable
    ``DROPBLOCK_NATIVE=0``, set before the first call, switches it off, as does anything else but 1.

    >>> from dropblock_core import native_status
    >>> native_status().split(":")[0] in ("on", "off")
    True
    """
    return _loaded()[1]


@functools.cache
def _loaded() -> tuple[Any, str]:
    if (switch := os.environ.get(SWITCH, "1")) != "1":
        return None, f"off: {SWITCH}={switch}"
    if sys.byteorder != "little":
        return None, "off: this machine is big-endian, and the bits of a mask are counted from the little end"
    if not FILE.exists():
        return None, f"off: {FILE.name} was not built; install the package from source where there is a C compiler"
    try:
        found = opened(FILE)
    except (OSError, AttributeError) as error:
        return None, f"off: {FILE} cannot be loaded ({error})"
    if (abi := found.dropblock_abi()) != ABI:
        return None, f"off: {FILE} is of another version ({abi}, not {ABI}); install the package again"
    found.dropblock_threads(threads())
    return found, f"on: {FILE}"


def threads() -> int:
    """How many threads NumPy's path may use: what ``OMP_NUM_THREADS`` says, or the CPUs of this process."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdecimal() and int(asked):
        return min(int(asked), MOST_THREADS)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cpus, MOST_THREADS)


def parallel_for() -> int | None:
    """The address of the library's own way to run a function on threads, which end with the call."""
    return ctypes.cast(library().dropblock_parallel_for, ctypes.c_void_p).value


def opened(file: Path) -> Any:
    """The library in a file, with the types of its functions. OSError or AttributeError if it is another."""
    found = ctypes.CDLL(str(file))
    found.dropblock_mask.restype = _number
    found.dropblock_mask.argtypes = [ctypes.POINTER(MaskArguments), _pointer]
    found.dropblock_count.restype = None
    found.dropblock_count.argtypes = [_pointer, _number, _number, _pointer]
    found.dropblock_apply.restype = None
    found.dropblock_apply.argtypes = [ctypes.POINTER(UnitsArguments), _pointer]
    found.dropblock_threads.restype = None
    found.dropblock_threads.argtypes = [ctypes.c_int32]
    found.dropblock_abi.restype = ctypes.c_int32
    return found
