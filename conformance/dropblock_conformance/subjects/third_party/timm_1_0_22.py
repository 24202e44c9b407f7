# SPDX-License-Identifier: Apache-2.0
"""timm's `DropBlock2d` as it was up to version 1.0.22, tried there, with PyTorch: written by others.

Pinned environments have it still. By default it took its `fast` way; `fast=False` is a subject of its own.
"""

from importlib import import_module
from inspect import signature
from typing import Any

from dropblock_conformance.checks import events
from dropblock_conformance.subject import DTYPES, Claims, Deviation, Subject
from dropblock_conformance.subjects.bridges.torch import of_modules
from dropblock_conformance.subjects.third_party import deviations, reproduce
from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision

import_torchvision()  # which timm imports
DropBlock2d = import_module("timm.layers").DropBlock2d
if "fast" not in signature(DropBlock2d).parameters:  # later versions swallow it
    raise RuntimeError("a later timm is installed: it needs timm 1.0.22, in an environment of its own")


def build(rank: int, keep_prob: float, block_size: int) -> Any:
    return DropBlock2d(drop_prob=1 - keep_prob, block_size=block_size)


def build_exact(rank: int, keep_prob: float, block_size: int) -> Any:
    return DropBlock2d(drop_prob=1 - keep_prob, block_size=block_size, fast=False)


# Its documentation names the paper; masks are per channel, and the scale is found in float32 for inputs of any dtype,
# by its code. An even block fails, as the mask comes out one unit too large; a larger one gets a negative gamma.
CLAIMS = Claims(dtypes=DTYPES, even_blocks=False, clips=False)

COMMON = [
    deviations.OVER_THE_BORDER,
    *deviations.MULTIPLIED,
    *deviations.nothing_kept("in float16 the scale, count / 1e-6, is infinite, and times zero NaN"),
]
ROUNDS = "the scale is rounded to the activations' dtype, so a product is rounded twice"
LAW = deviations.WHOLE_MAP
EXPECT = [
    *COMMON,
    *deviations.rounding(ROUNDS),
    *deviations.of_law(LAW, "gamma is Eq. (1)'s, but the fast way seeds the whole map"),
]
REPRODUCE = reproduce.torch_lines(
    "from timm.layers import DropBlock2d", "DropBlock2d({p}, {b})", EXPECT, LAW, "float16"
)

# The valid region is laid out as [width, height] and read as [height, width].
SCRAMBLED: deviations.Law = {
    "law.non_square": ("unit (2, 4) kept", (-0.25, -0.18)),
    "law.wide": ("units 36 to 69 of a row all kept", (-0.36, -0.28)),
    "law.tall": ("units 36 to 69 of a column all kept", (-0.36, -0.28)),
    "law.everywhere": ("law.non_square", (-1.0, 100.0)),
    "law.special": ("law.non_square", (-1.0, 100.0)),
}
COARSE: deviations.Law = {
    "law.float16": (events.UNTOUCHED, (0.08, 0.16)),
    "law.bfloat16": (events.UNTOUCHED, (-1.0, -0.99)),
}
EXPECT_EXACT = [
    *COMMON,
    # At scale.bfloat16's setting nothing is dropped, so nothing is scaled.
    *deviations.rounding(ROUNDS, without=["scale.bfloat16"]),
    *deviations.of_law(SCRAMBLED, "the valid region of a map that is not square is transposed in memory"),
    *deviations.of_law(
        COARSE, "1 - gamma is compared in half precision: in bfloat16 a gamma below 1/256 never drops, as 28x28, 7, 0.1"
    ),
]
REPRODUCE_EXACT = reproduce.torch_lines(
    "from timm.layers import DropBlock2d",
    "DropBlock2d({p}, {b}, fast=False)",
    EXPECT_EXACT,
    SCRAMBLED | COARSE,
    "float16",
)


def candidate() -> tuple[Subject, list[Deviation]]:
    return of_modules("timm-1.0.22", build, CLAIMS), reproduce.shown(EXPECT, REPRODUCE)


def exact() -> tuple[Subject, list[Deviation]]:
    return of_modules("timm-1.0.22-exact", build_exact, CLAIMS), reproduce.shown(EXPECT_EXACT, REPRODUCE_EXACT)
