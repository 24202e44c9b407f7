# SPDX-License-Identifier: Apache-2.0
"""Which arrays we know: those of the libraries that array-api-compat knows, NumPy among them."""

import sys
from typing import Any

import array_api_compat

compat: Any = array_api_compat  # Any: its types name no library's arrays


def is_array(x: Any) -> bool:
    """Whether `x` is an array that :func:`dropblock_core.drop_block` takes."""
    return bool(compat.is_array_api_obj(x)) and not isinstance(x, type)  # it says yes of the class, too


def is_torch(xp: Any) -> bool:
    """Whether `xp` is array-api-compat's namespace of PyTorch."""
    return bool(compat.is_torch_namespace(xp))


def is_traced(x: Any) -> bool:
    """Whether `x` stands for an array in a program that JAX compiles: its value cannot be looked at."""
    jax = sys.modules.get("jax")  # nobody has its arrays who has not imported it
    return jax is not None and isinstance(x, jax.core.Tracer)
