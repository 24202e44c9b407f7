# SPDX-License-Identifier: Apache-2.0
"""timm's `DropBlock2d` (github.com/huggingface/pytorch-image-models), version 1.0.31, with PyTorch: written by others.

By default the channels of a sample share a mask; `couple_channels=False` is a subject of its own. The `fast` and
`batchwise` ways went with version 1.0.23.
"""

from importlib import import_module
from typing import Any

from dropblock_conformance.subject import DTYPES, Claims, Deviation, Subject
from dropblock_conformance.subjects.bridges.torch import of_modules
from dropblock_conformance.subjects.third_party import deviations, reproduce
from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision

import_torchvision()  # which timm imports
DropBlock2d = import_module("timm.layers").DropBlock2d


def build(rank: int, keep_prob: float, block_size: int) -> Any:
    return DropBlock2d(drop_prob=1 - keep_prob, block_size=block_size)


def build_per_channel(rank: int, keep_prob: float, block_size: int) -> Any:
    return DropBlock2d(drop_prob=1 - keep_prob, block_size=block_size, couple_channels=False)


# Its documentation names the paper, and the channels' one mask as the default. That a block is clipped to the map, that
# even blocks work and that the scale is found in float32 for inputs of any dtype, its code says.
CLAIMS = Claims(per_channel=False, dtypes=DTYPES)
PER_CHANNEL = Claims(dtypes=DTYPES)

LAW = deviations.WHOLE_MAP
EXPECT = [
    deviations.OVER_THE_BORDER,
    Deviation("mask.clipped", deviations.OVER_THE_BORDER.reason, deviations.ANY_SHARE),
    *deviations.MULTIPLIED,
    *deviations.rounding("the scale is rounded to the activations' dtype, so a product is rounded twice"),
    *deviations.nothing_kept("in float16 the scale, count / 1e-7, is infinite, and times zero NaN"),
    *deviations.of_law(
        LAW, "gamma is Eq. (1)'s, but seeds fall on the whole map: at 0.1 it drops 20.9% of 14x14 and 93% of 7x7"
    ),
]
IMPORT = "from timm.layers import DropBlock2d"
REPRODUCE = reproduce.torch_lines(IMPORT, "DropBlock2d({p}, {b})", EXPECT, LAW, "float16")
REPRODUCE_PER_CHANNEL = reproduce.torch_lines(
    IMPORT, "DropBlock2d({p}, {b}, couple_channels=False)", EXPECT, LAW, "float16"
)


def candidate() -> tuple[Subject, list[Deviation]]:
    return of_modules("timm", build, CLAIMS), reproduce.shown(EXPECT, REPRODUCE)


def per_channel() -> tuple[Subject, list[Deviation]]:
    return of_modules("timm-per-channel", build_per_channel, PER_CHANNEL), reproduce.shown(
        EXPECT, REPRODUCE_PER_CHANNEL
    )
