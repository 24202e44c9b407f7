# SPDX-License-Identifier: Apache-2.0
"""PyTorch's own threads for the native library: the settings, and the pool, are those of every other operator."""

import ctypes
import functools
import os
from pathlib import Path

import torch

_HOME = os.getpid()


def parallel_for() -> int | None:
    """The address of ``torch_parallel_for``, which is part of PyTorch's stable C interface; None for one thread.

    After a fork the pool's threads are gone, and who waits for them waits for ever.
    """
    return _address() if os.getpid() == _HOME else None


@functools.cache
def _address() -> int | None:
    try:
        home = next((Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*"))
        return ctypes.cast(ctypes.CDLL(str(home)).torch_parallel_for, ctypes.c_void_p).value
    except (StopIteration, OSError, AttributeError):
        return None
