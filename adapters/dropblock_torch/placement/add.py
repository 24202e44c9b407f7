# SPDX-License-Identifier: Apache-2.0
"""The paper's placement (section 4.1): DropBlock in a network that exists already."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from dropblock_torch.modules import DropBlock2d, DropBlock3d
from dropblock_torch.placement.plan import plan_dropblock
from dropblock_torch.placement.where import Where


def add_dropblock(
    model: nn.Module,
    groups: Iterable[int] = (3, 4),
    block_size: int | tuple[int, ...] = 7,
    keep_prob: float = 0.9,
    skip: bool = True,
    *,
    where: str | Where | Iterable[str | Where] | None = None,
    **options: Any,
) -> list[DropBlock2d | DropBlock3d]:
    """Put DropBlock where the paper has it into a network that exists already, in place.

    In each residual block of `groups`, one layer after every convolution's norm and one on the skip connection (section
    4.1: "DropBlock after every convolution layer and skip connection"): on an identity skip too, on a projection after
    its norm. Group g drops ``(1 - keep_prob) / 4^(4 - g)``, in group 3 a quarter, by means of `gamma_scale`: one
    keep_prob, and so one :class:`KeepProbScheduler`, serves all layers. :class:`Where` names other parts of a network:
    the last half of its cells, a neck, a head.

    Inside a block the authors' DropBlock follows the ReLU; here it precedes the ReLU. The result is the same, since
    DropBlock multiplies by 0 or by a positive scale. With an activation of which that is not true, SiLU say, the layer
    follows the activation.

    The layers have no parameters, and no key of the state dict changes. A norm runs its layer in a forward hook. The
    hook is lost when something replaces the norm, so call ``SyncBatchNorm.convert_sync_batchnorm`` and the like before
    this. In the wrong order the next training step raises; it never trains without DropBlock.

    Args:
        model: a network; for `groups` one of residual blocks, or one that has such a network in it, as detectors do.
        groups: which of the groups 1 to 4 of residual blocks; the paper's best is (3, 4).
        block_size: side of the dropped block, or one per spatial axis, the same in every group.
        keep_prob: probability of keeping a unit in group 4.
        skip: whether skip connections get a layer too.
        where: instead of `groups`, names of modules, or a :class:`Where`, or several of these.
        options: as :class:`DropBlock2d` takes them. `gamma_scale` multiplies the group's. With `seed` every layer draws
            masks of its own: their streams count up from `stream`, past the layers that the model has already.
            ``inplace=True`` spares what something else still needs, as the input of an identity skip.

    Returns:
        The new layers, for a scheduler to take, in the order of the model's modules; in a block the skip's is the last.
        Each is in training mode if its block is.

    Raises:
        ValueError, TypeError: an argument breaks rule R14, or the model does not fit; the message names it and the
            remedy, and the model is as it was.

    >>> import torch
    >>> class Block(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.conv1, self.bn1 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
    ...
    ...     def forward(self, x):
    ...         return torch.relu(self.bn1(self.conv1(x)) + x)
    >>> class Net(nn.Sequential):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer3, self.layer4 = nn.Sequential(Block()), nn.Sequential(Block())
    >>> net = Net()
    >>> [(layer.keep_prob, layer.gamma_scale) for layer in add_dropblock(net, block_size=3)]
    [(0.9, 0.25), (0.9, 0.25), (0.9, 1.0), (0.9, 1.0)]
    >>> net(torch.ones(2, 8, 7, 7)).shape
    torch.Size([2, 8, 7, 7])
    """
    return plan_dropblock(model, groups, block_size, keep_prob, skip, where=where, **options).apply()
