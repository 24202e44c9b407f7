# SPDX-License-Identifier: Apache-2.0
"""DropBlock for PyTorch: native, compiled, on CPU and GPU. The same seed gives the mask of every other backend."""

from dropblock_torch.functional import drop_block
from dropblock_torch.modules import DropBlock1d, DropBlock2d, DropBlock3d
from dropblock_torch.placement import Place, Plan, Where, add_dropblock, plan_dropblock
from dropblock_torch.replacement import Replacement, replace_dropblock
from dropblock_torch.schedule import KeepProbScheduler
from dropblock_torch.summary import summary

__all__ = [
    "DropBlock1d",
    "DropBlock2d",
    "DropBlock3d",
    "KeepProbScheduler",
    "Place",
    "Plan",
    "Replacement",
    "Where",
    "add_dropblock",
    "drop_block",
    "plan_dropblock",
    "replace_dropblock",
    "summary",
]
