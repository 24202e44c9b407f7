# SPDX-License-Identifier: Apache-2.0
"""A GPU: launches the Triton kernels, without waiting for the device.

The mask's state is one bit a unit, in words of 32, in the order in which the activations lie in memory, or, where their
channels lie side by side but do not fill words, in that of contiguous ones.
"""

import math
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import torch
import triton
from torch import Tensor

from dropblock_core.call import Call
from dropblock_core.gamma import area_ratio
from dropblock_core.stream import threshold_word
from dropblock_torch.engines.kernels import applying, drawing, growing
from dropblock_torch.engines.plan import Mask, Plan, as_rows

WAITS = False

P = ParamSpec("P")
R = TypeVar("R")

# The interpreter runs one program after the other, each operation on NumPy arrays: there, few large ones are fast.
LARGEST = 2**20 if triton.knobs.runtime.interpret else 2**11

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}

# From so many units of a sample on, offsets in it take 64 bits.
LARGE = 2**30


def _block(needed: int, largest: int) -> int:
    """The size of a program's block: a power of two, no larger than it needs to be."""
    return min(triton.next_power_of_2(max(needed, 1)), largest)


def _on_its_device(run: Callable[Concatenate[Tensor, P], R]) -> Callable[Concatenate[Tensor, P], R]:
    """`run` with the device of its first tensor as the current one, since that is where Triton launches."""

    @wraps(run)
    def launch(tensor: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with torch.cuda.device_of(tensor):
            return run(tensor, *args, **kwargs)

    return launch


def state_bytes(plan: Plan) -> int:
    """One bit a unit, rounded up to whole words in each sample."""
    return plan.samples * _words_a_sample(plan) * 4


def _words_a_sample(plan: Plan) -> int:
    return triton.cdiv(plan.maps * plan.units, 32)


def _bits_lie_across(plan: Plan) -> bool:
    """Whether the bits of a unit's channels lie side by side."""
    return plan.channels_last and plan.maps % 32 == 0


@_on_its_device
def mask(key: Tensor, keep_prob: float | Tensor, call: Call, plan: Plan, dtype: torch.dtype) -> Mask:
    """Lines 5 and 6, and line 8's factor."""
    segments, device = plan.segments, key.device
    groups = triton.cdiv(plan.maps * segments.per_map, 4)
    seeds = torch.empty(plan.samples * groups * 4, dtype=torch.int32, device=device)
    table = torch.empty(drawing.TABLE.value, dtype=torch.int64, device=device)
    counts = torch.empty(plan.scopes + 1, dtype=torch.int64, device=device)  # and behind them a ticket
    scale = torch.empty(plan.scopes, dtype=dtype, device=device)
    is_here = isinstance(keep_prob, Tensor) and keep_prob.device.type != "cpu"
    lanes = max(plan.samples * groups, counts.numel())
    block = _block(lanes, LARGEST // 16)
    drawing.draw[(triton.cdiv(lanes, block),)](
        seeds, table, counts, counts.numel(), key, 0 if is_here else threshold_word(call.gamma), segments.length,
        keep_prob if is_here else scale, call.gamma_scale, area_ratio(segments.block, segments.feat), plan.samples,
        groups, call.sample_offset, call.stream, KEEP_PROB_IS_HERE=is_here, BLOCK=block,
    )  # fmt: skip
    state = torch.empty(state_bytes(plan), dtype=torch.uint8, device=device)
    if call.fixed_scale is not None:
        scale.fill_(call.fixed_scale)
        _grow(state, seeds, counts, scale, plan, "none", 0)
        return Mask(state, scale, None)
    scope = _scope(plan)
    _grow(state, seeds, counts, scale, plan, "none" if scope == "map" else scope, call.count)
    if scope == "map":
        block = _block(plan.units // 32 + 2, LARGEST // 4)
        scopes = _block(plan.scopes, LARGEST // 4 // block)
        growing.count_maps[(triton.cdiv(plan.scopes, scopes),)](
            state.view(torch.int32), counts, scale, plan.scopes, plan.maps, _words_a_sample(plan), plan.units,
            SCOPES=scopes, WORDS=block,
        )  # fmt: skip
    return Mask(state, scale, counts.narrow(0, 0, plan.scopes))


def _grow(state: Tensor, seeds: Tensor, counts: Tensor, scale: Tensor, plan: Plan, scope: str, count: int) -> None:
    """Line 6, and line 8's counts over `scope`, of `count` units."""
    segments = plan.segments
    (_, height, row), valid, sides = (_three(sizes) for sizes in (segments.feat, segments.valid, segments.block))
    packs, lines, words = segments.packed or 1, plan.units // row, _words_a_sample(plan)
    if _bits_lie_across(plan):
        block = _block(plan.maps // 32, LARGEST // 256)
        chunks = triton.cdiv(plan.maps // 32, block)
        kernel, parts, options = growing.grow_across, lines * chunks, {}
    else:
        block = _block(words, LARGEST // 8)
        chunks = parts = triton.cdiv(words, block)
        kernel = growing.grow
        options = {"PIECES": (30 + row) // row + 1, "LONG_ROWS": row > 32, "LARGE": plan.maps * plan.units >= LARGE}
    kernel[(plan.samples * parts,)](
        state.view(torch.int32), seeds, counts, scale, plan.samples, chunks, words, plan.maps, segments.per_map,
        seeds.numel() // plan.samples // 4, lines, row, count, *_magic(row), *_magic(lines), height, segments.width,
        packs, segments.cuts, *valid[:2], *sides, triton.cdiv(sides[2] - 1, 32),
        (min(sides[1], valid[1]) + packs - 2) // packs + 1,  # segments that hold the anchors above a unit
        *_magic(height), *_magic(packs), COUNTS=scope, WORDS=block, **options,
    )  # fmt: skip


@_on_its_device
def apply(x: Tensor, state: Tensor, scale: Tensor, plan: Plan) -> Tensor:
    """Lines 7 and 8: every unit scaled, every dropped one +0."""
    across = _bits_lie_across(plan)
    channels_last = next((order for order in (across, not across) if _lies(x, order)), None)
    if channels_last is None:
        channels_last = plan.channels_last
        x, out, y = as_rows(x, plan)
    else:
        out = y = torch.empty_like(x)
    shared, units_a_sample = plan.maps != plan.channels, plan.channels * plan.units
    inner, outer = (plan.channels, plan.units) if channels_last else (plan.units, plan.channels)
    options = {"SCOPE": _scope(plan), "LARGE": units_a_sample >= LARGE}
    if shared or channels_last == across:
        rows = _block(triton.cdiv(units_a_sample, 32), LARGEST // 32)
        chunks = triton.cdiv(units_a_sample, 32 * rows)
        applying.scale_and_drop[(plan.samples * chunks,)](
            x, out, state.view(torch.int32), scale, units_a_sample, _words_a_sample(plan), chunks, inner,
            *_magic(inner), SHARED=shared, CHANNELS_LAST=channels_last, ROWS=rows, **options,
        )  # fmt: skip
    else:
        rows = _block(triton.cdiv(inner, 32), LARGEST // 1024)
        chunks, grain = triton.cdiv(inner, 32 * rows), math.gcd(inner, 16)
        tiles = chunks * triton.cdiv(outer, 32)
        applying.scale_and_drop_across[(plan.samples * tiles,)](
            x, out, state.view(torch.int32), scale, inner // grain, outer, _words_a_sample(plan), tiles, chunks,
            GRAIN=grain, ROWS=rows, **options,
        )  # fmt: skip
    return y if out is y else y.copy_(out)


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
