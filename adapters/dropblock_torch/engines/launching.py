# SPDX-License-Identifier: Apache-2.0
"""The launch of a kernel, with all that is the same at every call made ready.

Triton asks at every launch, argument by argument, which of its compiled kernels is meant: with thirty arguments that
takes longer than all else that the host does. Here it asks once for each device.

How Triton hands over to a compiled kernel has no public name. A Triton in which it may differ does it itself.
"""

import ctypes
import functools
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import triton
from torch import Tensor

SAME_FROM, SAME_BEFORE = (3, 3), (3, 8)


def is_known(version: str) -> bool:
    """Whether this Triton hands over as :class:`Launch` does."""
    major, minor = version.split(".")[:2]
    return SAME_FROM <= (int(major), int(minor)) < SAME_BEFORE


IS_KNOWN = is_known(triton.__version__)


class Launch:
    """`kernel` over `programs` programs. `numbers` are its last arguments, by their names: they never change.

    A call gives its first ones: tensors, always of the same dtypes, where bytes stand for words of 32 bits, and then
    numbers whose type the kernel states, since Triton compiles apart for some values of the rest.
    """

    def __init__(self, kernel: Any, programs: int, **numbers: Any) -> None:
        self.kernel, self.programs = kernel, programs
        self._numbers = [numbers[name] for name in kernel.arg_names if name in numbers]
        self._compiled: dict[int, tuple[Any, ...]] = {}

    def __call__(self, *tensors: Tensor, numbers: tuple[int | float, ...] = ()) -> None:
        """Launch on the device of the tensors."""
        device = tensors[0].get_device()
        if device >= 0 and device != torch.cuda.current_device():  # setting it costs an allocation's time
            with torch.cuda.device(device):
                self(*tensors, numbers=numbers)
            return
        compiled = self._compiled.get(device)
        if compiled is None or _is_watched():
            self._launch(device, tensors, numbers)
            return
        places = [tensor.data_ptr() for tensor in tensors]
        if _are_aligned(places):
            _, run, function, metadata, stream_of = compiled
            stream = stream_of(device)
            run(self.programs, 1, 1, stream, function, metadata, None, None, None, *places, *numbers, *self._numbers)
        else:
            self._launch(device, tensors, numbers)

    def _launch(self, device: int, tensors: tuple[Tensor, ...], numbers: tuple[int | float, ...]) -> None:
        """Have Triton do it, which compiles first where it must, and keep what it compiled for later calls."""
        typed = [tensor.view(torch.int32) if tensor.dtype == torch.uint8 else tensor for tensor in tensors]
        with _capture_allows_loading(tensors[0]):
            compiled = self.kernel[(self.programs,)](*typed, *numbers, *self._numbers)
        is_made = IS_KNOWN and compiled is not None  # None: interpreted
        if is_made and _are_aligned([tensor.data_ptr() for tensor in tensors]):
            stream_of = triton.runtime.driver.active.get_current_stream
            # With itself: a kernel that nobody holds any more may take its code from the device.
            self._compiled[device] = compiled, compiled.run, compiled.function, compiled.packed_metadata, stream_of


def _are_aligned(places: list[int]) -> bool:
    """Whether all are what Triton compiles for by itself, multiples of 16 bytes."""
    return not functools.reduce(operator.or_, places) % 16


def _is_watched() -> bool:
    """Whether somebody, a profiler of Triton's, hooks into its launches: then they are left to Triton."""
    before, after = triton.knobs.runtime.launch_enter_hook, triton.knobs.runtime.launch_exit_hook
    return bool(getattr(before, "calls", before) or getattr(after, "calls", after))


@contextmanager
def _capture_allows_loading(on: Tensor) -> Iterator[None]:
    """Let a kernel's first launch load its code although a graph is captured, which would forbid it.

    The code is no part of the graph, so the driver may be told that this thread knows what it does.
    """
    if not (on.is_cuda and torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()):
        yield
        return
    exchange = _exchange_capture_mode()
    mode = ctypes.c_int(2)  # "relaxed"
    exchange(ctypes.byref(mode))  # which leaves there what was before
    try:
        yield
    finally:
        exchange(ctypes.byref(mode))


def _exchange_capture_mode() -> Any:
    """The driver's own function: PyTorch uses it as it takes memory during a capture, and has no name for it."""
    if torch.version.hip:
        return ctypes.CDLL(_loaded("libamdhip64.so")).hipThreadExchangeStreamCaptureMode
    return ctypes.CDLL("libcuda.so.1").cuThreadExchangeStreamCaptureMode


def _loaded(name: str) -> str:
    """Where the library lies that this process has loaded: ROCm's name ends with a number, which differs."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return next((path for line in lines if (path := line[line.find("/") :]).rpartition("/")[2].startswith(name)), name)
