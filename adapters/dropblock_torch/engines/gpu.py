# SPDX-License-Identifier: Apache-2.0
"""A GPU: launches the Triton kernels, without waiting for the device.

The mask's state is one bit a unit, in words of 32, in the order in which the activations lie in memory, or, where their
channels lie side by side but do not fill words, in that of contiguous ones.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from dropblock_core.call import Call
from dropblock_core.gamma import area_ratio
from dropblock_core.remembered import LAYERS
from dropblock_core.stream import threshold_word
from dropblock_torch.engines.kernels import applying, drawing, growing
from dropblock_torch.engines.launching import Launch
from dropblock_torch.engines.plan import CHANNELS_LAST, Mask, Plan, as_rows

WAITS = False

# The interpreter runs one program after the other, each operation on NumPy arrays: there, few large ones are fast.
LARGEST = 2**20 if triton.knobs.runtime.interpret else 2**11

# From so many units of a sample on, offsets in it take 64 bits.
LARGE = 2**30


def _block(needed: int, largest: int) -> int:
    """The size of a program's block: a power of two, no larger than it needs to be."""
    return min(triton.next_power_of_2(max(needed, 1)), largest)


def state_bytes(plan: Plan) -> int:
    """One bit a unit, rounded up to whole words in each sample."""
    return plan.samples * _words_a_sample(plan) * 4


def _words_a_sample(plan: Plan) -> int:
    return triton.cdiv(plan.maps * plan.units, 32)


def _bits_lie_across(plan: Plan) -> bool:
    """Whether the bits of a unit's channels lie side by side."""
    return plan.channels_last and plan.maps % 32 == 0


def mask(key: Tensor, keep_prob: float | Tensor, call: Call, plan: Plan, dtype: torch.dtype) -> Mask:
    """Lines 5 and 6, and line 8's factor."""
    fixed = call.fixed_scale
    here = keep_prob if isinstance(keep_prob, Tensor) and keep_prob.device.type != "cpu" else None
    launches = _drawing(plan, dtype, None if here is None else here.dtype, fixed is None)
    seeds = key.new_empty(launches.seeds, dtype=torch.int32)
    table = key.new_empty(drawing.TABLE.value)
    counts = key.new_empty(plan.scopes + 1).resize_(plan.scopes)  # cuts off the ticket of `grow`; a view costs more
    scale = key.new_empty(plan.scopes, dtype=dtype)
    state = key.new_empty(launches.state, dtype=torch.uint8)
    t = threshold_word(call.gamma) if here is None else 0
    launches.draw(
        seeds, table, counts, scale, key, scale if here is None else here,
        numbers=(t, call.gamma_scale, fixed or 0.0, call.sample_offset, call.stream),
    )  # fmt: skip
    launches.grow(state, seeds, counts, scale)
    return Mask(state, scale, counts if fixed is None else None)


def apply(x: Tensor, state: Tensor, scale: Tensor, plan: Plan) -> Tensor:
    """Lines 7 and 8: every unit scaled, every dropped one +0."""
    channels_last = _bits_lie_across(plan)
    if _lies(x, channels_last) or _lies(x, channels_last := not channels_last):
        out = y = torch.empty_like(x)
    else:
        channels_last = plan.channels_last
        x, out, y = as_rows(x, plan)
    _applying(plan, x.dtype, channels_last)(x, out, state, scale)
    return y if out is y else y.copy_(out)


class Drawing(NamedTuple):
    """The launches that draw a mask, and the sizes of what they write."""

    seeds: int  # words
    state: int  # bytes
    draw: Launch
    grow: Launch


@lru_cache(LAYERS)
def _drawing(plan: Plan, dtype: torch.dtype, keep_prob: torch.dtype | None, is_counted: bool) -> Drawing:
    """For factors of `dtype`, and a keep_prob that lives here in its own dtype, or None."""
    segments = plan.segments
    groups = triton.cdiv(plan.maps * segments.per_map, 4)
    scope = _scope(plan) if is_counted else "none"
    lanes = max(plan.samples * groups, plan.scopes + 1)
    block = _block(lanes, LARGEST // 16)
    draw = Launch(
        drawing.draw, triton.cdiv(lanes, block), n_counts=plan.scopes + 1, length=segments.length,
        ratio=area_ratio(segments.block, segments.feat), samples=plan.samples, groups=groups,
        KEEP_PROB_IS_HERE=keep_prob is not None, BLOCK=block,
    )  # fmt: skip
    grow = _growing(plan, groups, scope)
    return Drawing(plan.samples * groups * 4, state_bytes(plan), draw, grow)


def _growing(plan: Plan, groups: int, scope: str) -> Launch:
    """Line 6, and line 8's counts over `scope`."""
    segments = plan.segments
    (_, height, row), valid, sides = (_three(sizes) for sizes in (segments.feat, segments.valid, segments.block))
    packs, lines, words = segments.packed or 1, plan.units // row, _words_a_sample(plan)
    options: dict[str, Any] = {}
    if _bits_lie_across(plan):
        block = _block(plan.maps // 32, LARGEST // 256)
        chunks = triton.cdiv(plan.maps // 32, block)
        kernel, parts = growing.grow_across, lines * chunks
    else:
        block = _block(words, LARGEST // 8)
        chunks = parts = triton.cdiv(words, block)
        kernel = growing.grow
        maps, words_a_map = 1, 1
        if scope == "map":  # that these words may have parts of
            words_a_map = _block(min(plan.units // 32 + 2, block), block)
            maps = _block((32 * block - 2) // plan.units + 2, LARGEST // 4 // words_a_map)
        options = {
            "PIECES": (30 + row) // row + 1, "LONG_ROWS": row > 32, "LARGE": plan.maps * plan.units >= LARGE,
            "MAPS": maps, "WORDS_A_MAP": words_a_map,
        }  # fmt: skip
    (row_magic, row_shift), (lines_magic, lines_shift) = _magic(row), _magic(lines)
    (height_magic, height_shift), (packs_magic, packs_shift) = _magic(height), _magic(packs)
    return Launch(
        kernel, plan.samples * parts, samples=plan.samples, chunks=chunks, words_a_sample=words, maps=plan.maps,
        per_map=segments.per_map, groups=groups, lines=lines, row_units=row,
        units_counted=plan.samples * plan.maps * plan.units // plan.scopes, row_magic=row_magic, row_shift=row_shift,
        lines_magic=lines_magic, lines_shift=lines_shift, height=height, width=segments.width, packs=packs,
        cuts=segments.cuts, valid_d=valid[0], valid_h=valid[1], block_d=sides[0], block_h=sides[1], block_w=sides[2],
        reach=triton.cdiv(sides[2] - 1, 32),
        spans=(min(sides[1], valid[1]) + packs - 2) // packs + 1,  # segments that hold the anchors above a unit
        height_magic=height_magic, height_shift=height_shift, packs_magic=packs_magic, packs_shift=packs_shift,
        COUNTS=scope, WORDS=block, **options,
    )  # fmt: skip


@lru_cache(LAYERS)
def _applying(plan: Plan, dtype: torch.dtype, channels_last: bool) -> Launch:
    """Lines 7 and 8 for activations of `dtype`, in this order."""
    units_a_sample, words = plan.channels * plan.units, _words_a_sample(plan)
    is_shared, large = plan.maps != plan.channels, units_a_sample >= LARGE
    inner, outer = (plan.channels, plan.units) if channels_last else (plan.units, plan.channels)
    if is_shared or channels_last == _bits_lie_across(plan):
        rows, (magic, shift) = _block(triton.cdiv(units_a_sample, 32), LARGEST // 32), _magic(inner)
        chunks = triton.cdiv(units_a_sample, 32 * rows)
        return Launch(
            applying.scale_and_drop, plan.samples * chunks, units_a_sample=units_a_sample, words_a_sample=words,
            chunks=chunks, divisor=inner, magic=magic, shift=shift, SHARED=is_shared, SCOPE=_scope(plan),
            CHANNELS_LAST=channels_last, LARGE=large, ROWS=rows,
        )  # fmt: skip
    rows, grain = _block(triton.cdiv(inner, 32), LARGEST // 1024), math.gcd(inner, 16)
    across = triton.cdiv(inner, 32 * rows)
    tiles = across * triton.cdiv(outer, 32)
    return Launch(
        applying.scale_and_drop_across, plan.samples * tiles, grains=inner // grain, outer=outer, words_a_sample=words,
        tiles=tiles, across=across, GRAIN=grain, SCOPE=_scope(plan), LARGE=large, ROWS=rows,
    )  # fmt: skip


def _lies(x: Tensor, channels_last: bool) -> bool:
    """Whether memory holds `x` in this order, and as it is."""
    memory_format = CHANNELS_LAST.get(x.ndim) if channels_last else torch.contiguous_format
    return memory_format is not None and x.is_contiguous(memory_format=memory_format) and not x.is_neg()


def _scope(plan: Plan) -> str:
    """What one factor of line 8 serves."""
    return "tensor" if plan.scopes == 1 else "sample" if plan.scopes == plan.samples else "map"


def _three(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of the three axes of space, where there may be fewer."""
    return (1,) * (3 - len(sizes)) + sizes


def _magic(divisor: int) -> tuple[int, int]:
    """A factor and a shift with ``i // divisor == ((i * factor >> 32) + i) >> shift`` for 0 <= i < 2^31.

    Granlund and Montgomery, "Division by invariant integers using multiplication", PLDI 1994, section 4.
    """
    shift = (divisor - 1).bit_length()
    return ((2**shift - divisor) << 32) // divisor + 1, shift
