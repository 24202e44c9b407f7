# SPDX-License-Identifier: Apache-2.0
"""DropBlock for JAX: one pure function, compiled by XLA for CPU, GPU and TPU.

`dropblock_jax.flax` (NNX), `dropblock_jax.linen` and `dropblock_jax.equinox` have a layer each; nothing of theirs is
imported unless its module is.
"""

from dropblock_core import LinearSchedule
from dropblock_jax.functional import drop_block
from dropblock_jax.threshold import Threshold

__all__ = ["LinearSchedule", "Threshold", "drop_block"]
