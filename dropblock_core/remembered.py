# SPDX-License-Identifier: Apache-2.0
"""Checks that are made once for the same arguments: a training loop asks the same at every step."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

R = TypeVar("R")
LAYERS = 1024  # that may take turns


def remembered(check: Callable[..., R]) -> Callable[..., R]:
    """`check`, whose results are kept by its arguments and their types: True is no 1, and 7.0 no 7."""
    kept = lru_cache(LAYERS, typed=True)(check)

    @wraps(check)
    def ask(*arguments: Any) -> R:
        try:
            return kept(*arguments)
        except TypeError:  # an argument has no hash, or is refused
            pass
        return check(*arguments)

    return ask


def flat(block_size: Any) -> tuple[Any, ...]:
    """block_size as arguments of a remembered check, which looks at the types of its own arguments alone."""
    return (tuple, *block_size) if type(block_size) is tuple else (None, block_size)


def unflat(kind: Any, *block_size: Any) -> Any:
    """block_size as it was before :func:`flat`."""
    return block_size if kind is tuple else block_size[0]
