"""Which arrays we know: those of array-api-compat, or, in a plain checkout on a machine without it, NumPy's alone.

The dependency is declared and installed with the package. A checkout put on the path beside a framework, as on a
borrowed GPU machine, lacks it, and the adapters' own kernels do not need it.
"""

import importlib
import sys
from typing import Any

import numpy as np

compat: Any
try:
    compat = importlib.import_module("array_api_compat")
except ModuleNotFoundError:
    compat = None


def is_array(x: Any) -> bool:
    """Whether `x` is an array that :func:`dropblock_core.drop_block` takes."""
    return isinstance(x, np.ndarray) if compat is None else bool(compat.is_array_api_obj(x))


def is_torch(xp: Any) -> bool:
    """Whether `xp` is array-api-compat's namespace of PyTorch."""
    return bool(compat.is_torch_namespace(xp))


def is_traced(x: Any) -> bool:
    """Whether `x` stands for an array in a program that JAX compiles: its value cannot be looked at."""
    jax = sys.modules.get("jax")  # nobody has its arrays who has not imported it
    return jax is not None and isinstance(x, jax.core.Tracer)
