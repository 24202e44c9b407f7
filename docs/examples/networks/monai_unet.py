"""MONAI's U-Net for volumes, with DropBlock3d in place of dropout: after each norm, block 5 and keep_prob 0.9.

MONAI has a slot for it. Its convolutions end in a norm, a dropout and an activation, and its factory of dropouts takes
other layers.
"""

from typing import Any

from monai.networks.layers import Dropout
from monai.networks.nets import UNet

from dropblock_torch import DropBlock1d, DropBlock2d, DropBlock3d

_OF_RANK = {1: DropBlock1d, 2: DropBlock2d, 3: DropBlock3d}


def unet(rank: int = 3, keep_prob: float = 0.9, block_size: int = 5, **options: Any) -> UNet:
    """MONAI's `UNet`, which takes `in_channels`, `out_channels`, `channels`, `strides` and more."""
    # The dimension that MONAI asks its factory for is 1 wherever the data have more: it drops units, not maps.
    Dropout.add_factory_callable(f"dropblock{rank}d", lambda _: _OF_RANK[rank])
    dropout = (f"dropblock{rank}d", {"keep_prob": keep_prob, "block_size": block_size})
    return UNet(spatial_dims=rank, dropout=dropout, **options)
