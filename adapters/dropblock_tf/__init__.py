# SPDX-License-Identifier: Apache-2.0
"""DropBlock for TensorFlow: eagerly, in graphs, and compiled by XLA for CPU, GPU and TPU."""

from dropblock_core import LinearSchedule
from dropblock_tf.functional import drop_block

__all__ = ["LinearSchedule", "drop_block"]
