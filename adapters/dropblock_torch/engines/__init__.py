# SPDX-License-Identifier: Apache-2.0
"""The engines that draw and apply a mask: C or NumPy on the CPU, Triton on a GPU, plain tensor operations elsewhere.

An engine is a module with `state_bytes(plan)`, `mask(key, keep_prob, call, plan, dtype)` and
`apply(x, state, scale, plan)`. WAITS says whether it reads values from the device. All engines give the same mask for
the same key, bit for bit.
"""

import functools
import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor

from dropblock_core.native.library import library

_forced: ContextVar[str | None] = ContextVar("dropblock_engine", default=None)


@functools.cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def of(x: Tensor) -> Any:
    """The engine for the device of `x`."""
    name = _forced.get()
    if name is None:
        device = x.device.type
        if device in ("cpu", "meta"):
            name = "host" if library() is None else "native"
        else:
            name = "gpu" if device == "cuda" and _has_triton() else "tensors"
    return _named(name)


@functools.cache
def _named(name: str) -> Any:
    return importlib.import_module(f"dropblock_torch.engines.{name}")


@contextmanager
def force(name: str) -> Iterator[None]:
    """Within the block, use this engine whatever the device, so that it can be tested without its device."""
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)
