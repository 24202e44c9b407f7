# SPDX-License-Identifier: Apache-2.0
"""From keep_prob to the integers that a mask is drawn by, in a program: in float64, so it gives the host's bits."""

from typing import Any, NamedTuple, Self

import numpy as np
import tensorflow as tf

from dropblock_core.gamma import area_ratio
from dropblock_core.law import cover_counts
from dropblock_core.renorm import expected_factor
from dropblock_core.stream import Segments, threshold_word, thresholds
from dropblock_core.words import limb_product
from dropblock_tf.namespace import Array


class Threshold(NamedTuple):
    table: Any  # int64 [32], T_1 and so on of the stream's rule; means nothing where nothing is drawn
    draws: Any  # bool, whether gamma > 0
    factor: Any  # float64, 1 / the exact expected keep fraction, for renorm="expected"

    @classmethod
    def of_gamma(cls, gamma: float, segments: Segments) -> Self:
        """From a gamma that the host knows."""
        t = threshold_word(gamma)
        factor = expected_factor(gamma, segments.block, segments.feat)
        table = tf.constant(thresholds(max(t, 1), 32), tf.int64)
        return cls(table, tf.constant(t > 0), tf.constant(factor, tf.float64))

    @classmethod
    def symbolic(cls, keep_prob: Any, segments: Segments, gamma_scale: float) -> Self:
        """From a tensor that has no value yet: clamped to [0, 1], and NaN drops nothing."""
        keep_prob = tf.clip_by_value(tf.cast(keep_prob, tf.float64), 0.0, 1.0)
        # Eq. (1) in the host's order of evaluation. The maximum keeps compilers from multiplying the constants first.
        gamma = tf.maximum(gamma_scale * (1.0 - keep_prob), 0.0) * area_ratio(segments.block, segments.feat)
        gamma = tf.minimum(gamma, 1.0)
        draws = gamma > 0  # False for NaN
        gamma = tf.where(draws, gamma, 0.0)
        q = Array(2**32 - tf.maximum(tf.cast(tf.round(gamma * 2.0**32), tf.int64), 1))
        table = [q]
        while len(table) < 32:
            table.append(limb_product(table[-1], q)[0])
        n, units = np.unique(cover_counts(segments.block, segments.feat), return_counts=True)
        kept = tf.reduce_sum(units / units.sum() * (1.0 - gamma) ** n.astype(float))
        factor = tf.where(kept > 0, 1.0 / tf.maximum(kept, 2.0**-1000), 0.0)
        return cls(tf.stack([threshold.tensor for threshold in table]), draws, factor)
