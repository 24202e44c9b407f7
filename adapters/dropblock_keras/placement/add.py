# SPDX-License-Identifier: Apache-2.0
"""The paper's placement (section 4.1) in a copy of a model."""

from collections.abc import Iterable
from typing import Any

import keras

from dropblock_keras.placement.plan import plan_dropblock
from dropblock_keras.placement.where import Where


def add_dropblock(
    model: keras.Model,
    groups: Iterable[int] = (3, 4),
    block_size: int | tuple[int, ...] = 7,
    keep_prob: float = 0.9,
    *,
    skip: bool = True,
    where: str | Where | Iterable[str | Where] | None = None,
    **options: Any,
) -> keras.Model:
    """A copy of a functional model with DropBlock after the norms of its convolutions and on its skip connections.

    In a ResNet of ``keras.applications`` that is in each block of `groups`. Gamma is scaled by ``1 / 4^(4 - group)``,
    the authors' rule, which is the paper's 1/4 in group 3. :class:`Where` names parts of other models: their stages, or
    the last half of their cells.

    A skip connection is found in the model's graph: a tensor that an ``Add`` takes as it is while other layers take it
    too; or one that comes from the same tensor as another input of that ``Add``, by way of fewer convolutions. A
    projection gets its layer behind its norm.

    Args:
        model: a functional model, or a sequential one that is built.
        groups: of 1 to 4, the ones that get it; the paper's best are 3 and 4.
        skip: whether the skip connections get it too, as in the paper.
        where: instead of `groups`, names of layers, or a :class:`Where`, or several of these.
        block_size, keep_prob, options: as in :class:`DropBlock2D`. What has one or three spatial axes gets
            :class:`DropBlock1D` or :class:`DropBlock3D`, what has none gets none. `gamma_scale` multiplies the group's.
            With `seed` each layer has its own: they count up from it.

    Returns:
        A new model with the same weights. Its layers have the names that they had; that of a DropBlock layer is, say,
        ``conv5_block1_1_bn_dropblock``. Compile it before you train.

    Raises:
        ValueError, TypeError: the model does not fit, or an argument breaks rule R14; the message names it.
    """
    return plan_dropblock(model, groups, block_size, keep_prob, skip=skip, where=where, **options).apply()
