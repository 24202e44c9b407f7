# SPDX-License-Identifier: Apache-2.0
"""Eq. (1): from keep_prob to gamma, and the calibrated gamma that keeps what keep_prob says."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from dropblock_core import validate
from dropblock_core.law import cover_counts


def gamma(
    keep_prob: float,
    block_size: int | tuple[int, ...],
    feat_size: int | tuple[int, ...],
    *,
    gamma_scale: float = 1.0,
    calibrated: bool = False,
) -> float:
    """The probability that an anchor is a seed: Eq. (1) for any spatial rank, capped at 1 (rule R2).

    ``gamma = min(1, gamma_scale * (1 - keep_prob) * (prod(feat) / prod(b * (f - b + 1))))``

    Eq. (1) ignores that blocks overlap, so it keeps more than keep_prob: 0.9071 instead of 0.9 at 14x14, block 7.
    ``calibrated=True`` solves for the gamma whose expected keep fraction is keep_prob exactly (rule R11).

    Args:
        keep_prob: probability of keeping a unit "in traditional dropout" (section 3), in [0, 1].
        block_size: side of the block, or one side per axis; clipped to the map (rule R3).
        feat_size: one int for the paper's square map, or the sizes of one to three spatial axes.
        gamma_scale: factor on Eq. (1), at least 0; the paper takes 1/4 for a ResNet's group 3 (section 4.1.1).
        calibrated: solve the exact law instead of Eq. (1); not together with `gamma_scale`.

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it.

    >>> gamma(0.9, 7, 14)
    0.006249999999999999
    >>> round(gamma(0.9, 7, 14, calibrated=True), 6)
    0.006764
    """
    keep_prob = validate.probability("keep_prob", keep_prob)
    feat = validate.feat_sizes(feat_size)
    block = validate.block_sides(block_size, feat)
    gamma_scale = validate.gamma_scale(gamma_scale, calibrated=calibrated)
    if calibrated:
        return _calibrated(keep_prob, block, feat)
    # The order of evaluation is part of the rule: every backend gets these bits.
    return min(1.0, gamma_scale * (1.0 - keep_prob) * area_ratio(block, feat))


def area_ratio(block: Sequence[int], feat: Sequence[int]) -> float:
    """Eq. (1)'s ``feat_size^2 / (block_size^2 * (feat_size - block_size + 1)^2)``; the products are exact integers."""
    return math.prod(feat) / math.prod(b * (f - b + 1) for b, f in zip(block, feat, strict=True))


@lru_cache(maxsize=4096)  # a schedule asks for the same values in every layer
def _calibrated(keep_prob: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
    """The smallest double whose expected drop fraction reaches ``1 - keep_prob``, by bisection.

    The drop fraction ``mean(1 - (1 - gamma)^n)`` grows strictly from 0 to 1, so the root is unique. With
    ``1 <= n <= n_max`` it lies between ``gamma`` and ``n_max * gamma``, which brackets it; halving a bracket of
    doubles ends when no double is left inside. Only +, - and * are used, which IEEE 754 fixes to the bit, so that
    every machine finds the same gamma; `pow` may differ in its last bit from one C library to the next.
    """
    drop = 1.0 - keep_prob
    if drop in (0.0, 1.0):
        return drop
    n, units = np.unique(cover_counts(block, feat), return_counts=True)
    low, high = drop / float(n[-1]), drop
    while low < (middle := low + (high - low) / 2) < high:
        if math.fsum(units * _at_least_one(middle, n)) < drop * math.prod(feat):
            low = middle
        else:
            high = middle
    return high


def _at_least_one(gamma: float, n: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``1 - (1 - gamma)^n``, the probability of a seed among n anchors, by squaring, without cancellation."""
    drop = np.zeros(n.shape)
    for bit in reversed(range(int(n.max()).bit_length())):
        drop = drop * (2.0 - drop)  # n doubles: 1 - (1 - d)^2
        drop = np.where(n >> bit & 1, drop + gamma * (1.0 - drop), drop)  # n grows by one
    return drop
