# SPDX-License-Identifier: Apache-2.0
"""Line 8 of Algorithm 1: what `renorm` counts over, and the factor that units are multiplied by (rules R8 and R10).

A mask is ``[samples, maps, *spatial]``. A scope holds all axes from a first one on, and each scope has a count and a
factor of its own.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from dropblock_core.law import expected_keep

# The first axis that a scope holds. The other two values of `renorm`, "expected" and "none", count nothing.
FIRST_AXIS = {"tensor": 0, "sample": 1, "map": 2}


def is_counted(renorm: str) -> bool:
    """Whether line 8 counts the mask, which is not known before it is drawn."""
    return renorm in FIRST_AXIS


def scope_axes(renorm: str, rank: int) -> tuple[int, ...]:
    """The axes that a scope holds, of a mask with `rank` axes."""
    return tuple(range(FIRST_AXIS[renorm], rank))


def scope_units(renorm: str, shape: Sequence[Any]) -> Any:
    """count(M) of line 8: the units of one scope of a mask of `shape`."""
    return prod(shape[FIRST_AXIS[renorm] :])


def scope_number(renorm: str, shape: Sequence[Any]) -> Any:
    """The number of scopes of a mask of `shape`, each with a factor; one factor serves all where nothing is counted."""
    return prod(shape[: FIRST_AXIS.get(renorm, 0)])


def counted_factor(dropped: npt.NDArray[np.bool_], renorm: str, count: int) -> Any:
    """``count(M) / count_ones(M)`` of each scope, in float64, to broadcast against the mask; any where nothing is kept.

    `dropped` is ``[samples, maps, *spatial]``, True = dropped, and `count` the units of a scope.
    """
    # Over the tensor, the count without axes is ten times as fast.
    over = scope_axes(renorm, dropped.ndim) if renorm != "tensor" else None
    return factor(np.count_nonzero(dropped, axis=over, keepdims=over is not None), count)


def factor(dropped: Any, count: int) -> Any:
    """``count(M) / count_ones(M)`` in float64, from the number of dropped units of each scope."""
    return count / np.maximum(count - dropped, 1)  # 0 / 0 must not warn


def expected_factor(gamma: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
    """The factor of ``renorm="expected"``: 1 / the exact expected keep fraction, or 0 where that is 0."""
    kept = expected_keep(gamma, block, feat)
    return 1.0 / kept if kept else 0.0
