# SPDX-License-Identifier: Apache-2.0
"""DropBlock for PyTorch: native, compiled, on CPU and GPU. The same seed gives the mask of every other backend."""

from dropblock_torch.functional import drop_block
from dropblock_torch.modules import DropBlock1d, DropBlock2d, DropBlock3d
from dropblock_torch.placement import add_dropblock
from dropblock_torch.replacement import Replacement, replace_dropblock
from dropblock_torch.schedule import KeepProbScheduler
from dropblock_torch.summary import summary

__all__ = [
    "DropBlock1d",
    "DropBlock2d",
    "DropBlock3d",
    "KeepProbScheduler",
    "Replacement",
    "add_dropblock",
    "drop_block",
    "replace_dropblock",
    "summary",
]
