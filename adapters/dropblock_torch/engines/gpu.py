# SPDX-License-Identifier: Apache-2.0
"""A GPU: launches the Triton kernels, without waiting for the device.

The mask's state is one bit a unit, in words of 32, in the order in which the activations lie in memory.
"""

from math import prod

import torch
import triton
from torch import Tensor

from dropblock_core.call import Call
from dropblock_core.gamma import area_ratio
from dropblock_core.stream import threshold_word
from dropblock_torch.engines import kernels
from dropblock_torch.engines.plan import Mask, Plan, as_rows

WAITS = False

# The interpreter runs one program after the other, each operation on NumPy arrays: there, few large ones are fast.
LARGEST = 2**20 if triton.knobs.runtime.interpret else 2**11


def _block(needed: int, largest: int) -> int:
    """The size of a program's block: a power of two, no larger than it needs to be."""
    return min(triton.next_power_of_2(max(needed, 1)), largest)


def state_bytes(plan: Plan) -> int:
    """One bit a unit, rounded up to whole words."""
    return -(-plan.samples * plan.maps * plan.units // 32) * 4


def mask(key: Tensor, keep_prob: float | Tensor, call: Call, plan: Plan, dtype: torch.dtype) -> Mask:
    """Lines 5 and 6, and line 8's factor."""
    segments, device = plan.segments, key.device
    state = torch.empty(state_bytes(plan), dtype=torch.uint8, device=device)
    if call.fixed_scale is None:
        dropped = torch.empty(plan.scopes, dtype=torch.int64, device=device)
        scale = torch.empty(plan.scopes, dtype=dtype, device=device)
    else:
        _, scale, dropped = Mask(state, call.fixed_scale, None).tensors(dtype)
    words = state.view(torch.int32)
    work = torch.empty(kernels.TABLE.value + 2, dtype=torch.int64, device=device)
    table, ticket = work, work[-1:]
    is_here = isinstance(keep_prob, Tensor) and keep_prob.device.type != "cpu"
    t = 0 if is_here else threshold_word(call.gamma)
    cleared = max(words.numel(), dropped.numel())
    block = _block(cleared, LARGEST)
    kernels.prepare[(triton.cdiv(cleared, block),)](
        words, words.numel(), dropped, dropped.numel(), table, ticket, t,
        segments.length, keep_prob if is_here else table, call.gamma_scale, area_ratio(segments.block, segments.feat),
        KEEP_PROB_IS_HERE=is_here, BLOCK=block,
    )  # fmt: skip
    *strides, unit = _strides(plan)
    _, runs_h, runs_w = sides = (1,) * (3 - len(segments.block)) + segments.block
    run_length = 1
    if unit == 1:  # units of a row lie side by side
        runs_w, run_length = 1, sides[-1]
    runs = prod(sides) // run_length
    groups = triton.cdiv(plan.maps * segments.per_map, 4)
    block, run_block = _block(plan.samples * groups, LARGEST // 64), _block(runs, 8)
    kernels.draw_and_grow[(triton.cdiv(plan.samples * groups, block),)](
        words, table, key, plan.maps, segments.per_map, segments.rows, segments.width, segments.packed,
        segments.cuts, (1, *segments.valid)[-2], call.sample_offset, call.stream, runs, run_length, runs_h,
        runs_w, *strides, unit, plan.samples, groups, RUNS=run_block, BLOCK=block,
    )  # fmt: skip
    if dropped.numel():
        span = call.count
        across = span // 32 + 2  # words that a scope may touch
        block = _block(across, LARGEST)
        scopes = _block(plan.scopes, LARGEST // block)
        chunks = triton.cdiv(across, block)
        kernels.count[(triton.cdiv(plan.scopes, scopes) * chunks,)](
            words, dropped, scale, ticket, span, plan.scopes, chunks, SCOPES=scopes, WORDS=block
        )
    return Mask(state, scale, dropped)


def apply(x: Tensor, state: Tensor, scale: Tensor, plan: Plan) -> Tensor:
    """Lines 7 and 8: every unit scaled, every dropped one +0."""
    x, out, y = as_rows(x, plan)
    scope = "tensor" if plan.scopes == 1 else "sample" if plan.scopes == plan.samples else "map"
    rows = _block(triton.cdiv(x.numel(), 32), LARGEST // 32)
    kernels.scale_and_drop[(triton.cdiv(x.numel(), 32 * rows),)](
        x, out, state.view(torch.int32), scale, x.numel(), plan.units, plan.channels, SHARED=plan.maps != plan.channels,
        SCOPE=scope, CHANNELS_LAST=plan.channels_last, ROWS=rows,
    )  # fmt: skip
    return y if out is y else y.copy_(out)


def _strides(plan: Plan) -> list[int]:
    """Bits from one sample, map, plane, row and unit to the next."""
    feat = (1,) * (3 - len(plan.segments.feat)) + plan.segments.feat
    apart = plan.channels if plan.channels_last and plan.maps == plan.channels else 1
    spatial = [apart * prod(feat[axis + 1 :]) for axis in range(3)]
    return [plan.maps * plan.units, 1 if apart > 1 else plan.units, *spatial]
