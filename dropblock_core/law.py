# SPDX-License-Identifier: Apache-2.0
"""The exact law of the mask (rule R11), which the paper calls "only an approximation" and leaves open.

A unit is kept if none of the anchors whose block covers it is a seed. Seeds are independent, so a unit covered by n
anchors is kept with probability ``(1 - gamma)^n``, and any set of units with ``(1 - gamma)^|union of their anchors|``.
"""

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt

from dropblock_core import validate


def _axis_cover(block: int, feat: int) -> list[range]:
    """For each unit of one axis, the anchors whose block covers it."""
    valid = feat - block + 1
    return [range(max(0, i - block + 1), min(i, valid - 1) + 1) for i in range(feat)]


def cover_counts(block: Sequence[int], feat: Sequence[int]) -> npt.NDArray[np.int64]:
    """The number n of anchors that cover each unit, int64 of shape `feat`; `block` must fit the map."""
    axes = [np.array([len(c) for c in _axis_cover(b, f)], np.int64) for b, f in zip(block, feat, strict=True)]
    return np.asarray(reduce(np.multiply.outer, axes))


def keep_map(
    gamma: float, block_size: int | tuple[int, ...], feat_size: int | tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """The exact probability that each unit is kept: float64 of shape `feat_size`.

    Args:
        gamma: probability in [0, 1] that an anchor is a seed.
        block_size: side of the block, or one side per axis; clipped to the map.
        feat_size: one int for a square map, or the sizes of one to three spatial axes.

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it.

    >>> keep_map(0.1, 2, (3,))
    array([0.9 , 0.81, 0.9 ])
    """
    gamma = validate.probability("gamma", gamma)
    feat = validate.feat_sizes(feat_size)
    return np.power(np.float64(1.0 - gamma), cover_counts(validate.block_sides(block_size, feat), feat))


def expected_keep(gamma: float, block_size: int | tuple[int, ...], feat_size: int | tuple[int, ...]) -> float:
    """The exact expected fraction of kept units: the mean of :func:`keep_map`, with its arguments and errors.

    >>> from dropblock_core import gamma
    >>> round(expected_keep(gamma(0.9, 7, 14), 7, 14), 4)
    0.9071
    >>> round(expected_keep(gamma(0.2, 16, 64), 16, 64), 4)
    0.5023
    """
    return float(keep_map(gamma, block_size, feat_size).mean())


def joint_keep(
    gamma: float,
    block_size: int | tuple[int, ...],
    feat_size: int | tuple[int, ...],
    units: Sequence[tuple[int, ...]],
) -> float:
    """The exact probability that all of `units` (indices into one map) are kept: ``(1 - gamma)^|union|``.

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it.
        IndexError: a unit lies outside the map.

    >>> round(joint_keep(0.1, 2, (4,), [(1,), (2,)]), 6)  # anchors {0, 1} and {1, 2}: three in the union
    0.729
    """
    gamma = validate.probability("gamma", gamma)
    feat = validate.feat_sizes(feat_size)
    axes = [_axis_cover(b, f) for b, f in zip(validate.block_sides(block_size, feat), feat, strict=True)]
    seedless = np.zeros([axis[-1].stop for axis in axes], bool)
    for unit in units:
        if (
            not isinstance(unit, tuple)
            or len(unit) != len(feat)
            or not all(0 <= i < f for i, f in zip(unit, feat, strict=True))
        ):
            raise IndexError(f"units holds {unit!r}, which is not a unit of a map of {feat}")
        covering = [axis[i] for axis, i in zip(axes, unit, strict=True)]
        seedless[tuple(slice(c.start, c.stop) for c in covering)] = True
    return math.pow(1.0 - gamma, int(seedless.sum()))
