# SPDX-License-Identifier: Apache-2.0
"""DropBlock for Keras 3, on its TensorFlow, JAX and PyTorch backends."""

from dropblock_core import LinearSchedule
from dropblock_keras.layers import DropBlock1D, DropBlock2D, DropBlock3D
from dropblock_keras.placement import Place, Plan, Where, add_dropblock, plan_dropblock
from dropblock_keras.rematerialisation import remat
from dropblock_keras.schedule import KeepProbSchedule
from dropblock_keras.summary import summary

__all__ = [
    "DropBlock1D",
    "DropBlock2D",
    "DropBlock3D",
    "KeepProbSchedule",
    "LinearSchedule",
    "Place",
    "Plan",
    "Where",
    "add_dropblock",
    "plan_dropblock",
    "remat",
    "summary",
]
