# SPDX-License-Identifier: Apache-2.0
"""Checks that are made once for the same arguments: a training loop asks the same at every step."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar

import numpy as np

R = TypeVar("R")
LAYERS = 1024  # that may take turns


# What cannot change: only their results are kept. A tensor has a hash too, and another value the next time.
CONSTANTS = frozenset({bool, int, float, str, type(None), type, object})
CONSTANTS |= {np.bool_, np.int32, np.int64, np.uint64, np.float32, np.float64}


def remembered(*, trusted: int = 0) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Have a check's results kept by its arguments and their types: True is no 1, and 7.0 no 7.

    Nothing is kept where an argument is of a type that is not among `CONSTANTS`, the first `trusted` excepted.
    """

    def decorate(check: Callable[..., R]) -> Callable[..., R]:
        kept = lru_cache(LAYERS, typed=True)(check)

        @wraps(check)
        def ask(*arguments: Any) -> R:
            if CONSTANTS.issuperset(map(type, arguments[trusted:])):
                try:
                    return kept(*arguments)
                except TypeError:  # a trusted argument has no hash, or an argument is refused
                    pass
            return check(*arguments)

        return ask

    return decorate


def flat(block_size: Any) -> tuple[Any, ...]:
    """block_size as arguments of a remembered check, which looks at the types of its own arguments alone."""
    return (tuple, *block_size) if type(block_size) is tuple else (None, block_size)


def unflat(kind: Any, *block_size: Any) -> Any:
    """block_size as it was before :func:`flat`."""
    return block_size if kind is tuple else block_size[0]
