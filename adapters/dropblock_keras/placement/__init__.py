# SPDX-License-Identifier: Apache-2.0
"""The paper's placement: DropBlock in a model that exists already."""

from dropblock_keras.placement.add import add_dropblock
from dropblock_keras.placement.plan import Place, Plan, plan_dropblock
from dropblock_keras.placement.where import Where

__all__ = ["Place", "Plan", "Where", "add_dropblock", "plan_dropblock"]
