# SPDX-License-Identifier: Apache-2.0
"""DropBlock (Ghiasi, Lin, Le 2018), spec-exact in NumPy: the ground truth of every backend, and a teaching reference.

Start with :mod:`dropblock_core.algorithm1`, which is Algorithm 1 line by line.
"""

from dropblock_core.algorithm1 import algorithm1
from dropblock_core.apply import drop_block
from dropblock_core.gamma import gamma
from dropblock_core.law import expected_keep, joint_keep, keep_map
from dropblock_core.mask import block_mask, sample_seeds
from dropblock_core.native.library import native_status
from dropblock_core.schedule import LinearSchedule

__version__ = "0.1.0"

__all__ = [
    "LinearSchedule",
    "algorithm1",
    "block_mask",
    "drop_block",
    "expected_keep",
    "gamma",
    "joint_keep",
    "keep_map",
    "native_status",
    "sample_seeds",
]
