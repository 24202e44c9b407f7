# SPDX-License-Identifier: Apache-2.0
"""The paper's placement: DropBlock in a network that exists already."""

from dropblock_torch.placement.add import add_dropblock
from dropblock_torch.placement.plan import Place, Plan, plan_dropblock
from dropblock_torch.placement.where import Where

__all__ = ["Place", "Plan", "Where", "add_dropblock", "plan_dropblock"]
