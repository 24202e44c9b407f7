# SPDX-License-Identifier: Apache-2.0
"""From keep_prob to the integers that a mask is drawn by: exactly on the host, in float32 inside a program."""

from math import prod
from typing import Any, NamedTuple, Self

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from dropblock_core import validate
from dropblock_core.gamma import area_ratio, gamma
from dropblock_core.law import cover_counts
from dropblock_core.renorm import expected_factor
from dropblock_core.stream import Segments, threshold_word, thresholds
from dropblock_core.words import limb_product
from dropblock_jax.words import CpuWordSpace, on_its_platform


class Threshold(NamedTuple):
    """Eq. (1)'s gamma as an operand of a program, so that a whole schedule compiles once.

    A `keep_prob` that is traced becomes a gamma in float32, whose mask follows the law but may differ from NumPy's in
    rare units. A Threshold is computed on the host in float64, and keeps the mask equal bit for bit:

    >>> import jax
    >>> from dropblock_jax import Threshold, drop_block
    >>> step = jax.jit(lambda x, keep_prob, seed: drop_block(x, keep_prob, 7, seed=seed))
    >>> x, seed = jax.numpy.ones((8, 14, 14, 64)), jax.numpy.array([5, 0], "uint32")
    >>> y = step(x, Threshold.of(0.95, block_size=7, feat_size=14), seed)
    >>> bool((y == drop_block(x, 0.95, 7, seed=5)).all())
    True

    It belongs to one block and one map: make one for each feature size, with :meth:`of`.
    """

    table: Any  # uint32 [32], T_1 and so on of the stream's rule; means nothing where nothing is drawn
    draws: Any  # bool, whether gamma > 0
    factor: Any  # 1 / the exact expected keep fraction, for ``renorm="expected"``

    @classmethod
    def of(
        cls,
        keep_prob: float,
        block_size: int | tuple[int, ...],
        feat_size: int | tuple[int, ...],
        *,
        gamma_scale: float = 1.0,
        calibrated: bool = False,
    ) -> Self:
        """On the host, from the arguments of :func:`dropblock_core.gamma`, which says what they mean."""
        feat = validate.feat_sizes(feat_size)
        block = validate.block_sides(block_size, feat)
        return cls.of_gamma(
            gamma(keep_prob, block, feat, gamma_scale=gamma_scale, calibrated=calibrated), Segments.of(feat, block)
        )

    @classmethod
    def of_gamma(cls, gamma: float, segments: Segments) -> Self:
        t = threshold_word(gamma)
        factor = expected_factor(gamma, segments.block, segments.feat)
        # Arrays and not scalars: Flax and Equinox take a scalar for a part of the program.
        return cls(np.array(thresholds(max(t, 1), 32), np.uint32), np.array(t > 0), np.array(factor))

    @classmethod
    def traced(cls, keep_prob: Array, segments: Segments, gamma_scale: float) -> Self:
        """Inside a program, from any scalar: clamped to [0, 1], and NaN drops nothing."""
        # A layer may hold keep_prob among its parameters, but it has no gradient.
        keep_prob = jnp.clip(lax.stop_gradient(keep_prob).astype(jnp.float32), 0, 1)
        ratio = np.float32(gamma_scale * area_ratio(segments.block, segments.feat))
        g = ratio * (1 - keep_prob)
        draws = g > 0  # False for NaN
        # float32 holds neither 1 - g nor 2^32 - 1 exactly, so q is made in integers. For g >= 1 t would be undefined:
        # it is not used.
        t = jnp.rint(jnp.where(draws & (g < 1), g, 0) * 2.0**32).astype(jnp.uint32)
        q = jnp.where(g >= 1, jnp.uint32(0), -jnp.maximum(t, 1))
        table = on_its_platform(_table, q)
        n, units = np.unique(cover_counts(segments.block, segments.feat), return_counts=True)
        g = jnp.where(draws, jnp.minimum(g, 1), 0)
        kept = (units.astype(np.float32) * jnp.exp(n.astype(np.float32) * jnp.log1p(-g))).sum() / prod(segments.feat)
        return cls(table, draws, jnp.where(kept > 0, 1 / kept, 0))


def _table(space_of: type[CpuWordSpace], q: Array) -> Array:
    """``T_1`` to ``T_32`` of the stream's rule: T_1 is q, and each next one the high word of the last times q."""
    space = space_of.of(q)
    places = space.arange(32)

    def next_threshold(threshold: Array, j: Array, table: Array) -> tuple[Array, Array, Array]:
        return limb_product(threshold, q)[0], j + 1, jnp.where(places == j, threshold, table)

    return space.repeat(32, next_threshold, (q, space.word(0), jnp.zeros_like(places)))[-1]
