"""The CPU: seeds found sparsely in NumPy, one multiply, and the blocks zeroed where they lie.

A multiply reads and writes each unit once, and only the dropped tenth is touched again. The mask's state is one bit an
anchor, never more than a bit a unit. NumPy and PyTorch see the same memory, so nothing is copied between them.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dropblock_core.call import Call
from dropblock_core.mask import grow_blocks, seed_positions
from dropblock_torch.engines.plan import Mask, Plan

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

NO_ANCHORS = np.empty(0, np.int64)

WAITS = True

# To zero one block where it lies costs as much as this many units of a dense mask; estimated from a few timings.
UNITS_A_SEED = 16


def state_bytes(plan: Plan) -> int:
    """One bit an anchor, rounded up to whole words of 64."""
    return -(-plan.samples * plan.maps * prod(plan.segments.valid) // 64) * 8


def mask(key: Tensor, keep_prob: Tensor, call: Call, plan: Plan, dtype: torch.dtype) -> Mask:
    """Lines 5 and 6, and line 8's factor."""
    segments, valid = plan.segments, prod(plan.segments.valid)
    low, high = key.tolist()
    found = seed_positions(call.batch(low | high << 32))
    anchors = np.concatenate([m * valid + row * segments.width + column for m, row, column in found] or [NO_ANCHORS])
    seeds = np.zeros(8 * state_bytes(plan), bool)
    seeds[anchors] = True
    state = torch.from_numpy(np.packbits(seeds, bitorder="little"))
    if call.fixed_scale is not None:
        return Mask.fixed(state, call, dtype)
    return Mask.counted(state, torch.from_numpy(_count(seeds, anchors, plan)), call, dtype)


def apply(x: Tensor, state: Tensor, scale: Tensor, plan: Plan) -> Tensor:
    """Lines 7 and 8: every unit scaled, every dropped one +0."""
    y = torch.empty_like(x)
    # A factor without axes stays in float32 inside the kernel whatever the dtype of x, and is rounded once.
    torch.mul(x, plan.spread(scale), out=y)
    # Bits are looked at only in the words that have any.
    words = state.numpy().view(np.uint64)
    some = np.flatnonzero(words)
    bits = np.unpackbits(words[some].view(np.uint8), bitorder="little").view(bool)
    if _is_dense(int(np.count_nonzero(bits)), plan):
        seeds = np.unpackbits(state.numpy(), bitorder="little").view(bool)
        dropped = _grown_from_all(seeds, plan)
        return y.masked_fill_(torch.from_numpy(dropped).view(plan.samples, plan.maps, *plan.segments.feat), 0)
    bit = np.flatnonzero(bits)
    anchors = some[bit >> 6] * 64 + (bit & 63)
    # A mask that channels share drops its block in all of them.
    sides = (1 if plan.maps == plan.channels else plan.channels, *plan.segments.block)
    _fill_blocks(y, _offsets(anchors, plan, y.stride()), sides, y.stride()[1:], 0)
    return y


def _count(seeds: Bools, anchors: Ints, plan: Plan) -> Ints:
    """The dropped units of each scope."""
    if plan.scopes > 1 or _is_dense(anchors.size, plan):
        dropped = _grown_from_all(seeds, plan)
        # Without an axis the count is ten times as fast.
        counts = dropped.reshape(plan.scopes, -1) if plan.scopes > 1 else [dropped]
        return np.array([np.count_nonzero(scope) for scope in counts])
    # A seed that is alone in its map drops exactly its block. Only maps with several seeds are grown and counted.
    valid = prod(plan.segments.valid)
    home = anchors // valid
    crowd = np.bincount(home, minlength=plan.samples * plan.maps)
    crowded = crowd > 1
    number = np.cumsum(crowded) - 1
    shared = crowded[home]
    few = replace(plan, samples=1, maps=int(number[-1]) + 1)
    overlapping = _grown_from_few((number[home] * valid + anchors % valid)[shared], few)
    alone = np.count_nonzero(crowd == 1) * prod(plan.segments.block)
    return np.array([alone + np.count_nonzero(overlapping)])


def _is_dense(seeds: int, plan: Plan) -> bool:
    return seeds * UNITS_A_SEED > plan.samples * plan.maps * plan.units


def _grown_from_few(anchors: Ints, plan: Plan) -> Bools:
    """The dropped units, ``[samples * maps * units]``, from the numbers of sparse seeds."""
    shape = (plan.samples, plan.maps, *plan.segments.feat)
    strides = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    dropped = np.zeros(prod(shape), bool)
    _fill_blocks(torch.from_numpy(dropped), _offsets(anchors, plan, strides), plan.segments.block, strides[2:], True)
    return dropped


def _grown_from_all(seeds: Bools, plan: Plan) -> Bools:
    """The dropped units from dense seeds, ``[samples * maps * anchors]`` and padding: all of them grow at once."""
    segments = plan.segments
    maps = plan.samples * plan.maps
    seeds = seeds[: maps * prod(segments.valid)].reshape(maps, *segments.valid)
    if segments.valid == segments.feat:  # a block of one unit
        return seeds.reshape(-1)
    dropped = np.zeros((maps, *segments.feat), bool)
    dropped[(slice(None), *(slice(v) for v in segments.valid))] = seeds
    return grow_blocks(dropped, segments.block, segments.feat).reshape(-1)


def _offsets(anchors: Ints, plan: Plan, strides: Sequence[int]) -> Ints:
    """Where the first unit of each seed's block lies in memory."""
    axes = (plan.samples, plan.maps, *plan.segments.valid)
    offsets = np.zeros(anchors.shape, np.int64)
    for place, stride in zip(np.unravel_index(anchors, axes), strides, strict=True):
        offsets += place * stride
    return offsets


def _fill_blocks(y: Tensor, offsets: Ints, sides: Sequence[int], strides: Sequence[int], value: int) -> None:
    """Fill the blocks of `sides` that begin at `offsets` of dense memory.

    The memory is seen as one window of the block's shape an offset. Windows overlap, which is fine for a fill: threads
    that meet write the same value.
    """
    if not offsets.size:
        return
    reach = sum((side - 1) * stride for side, stride in zip(sides, strides, strict=True))
    windows = y.as_strided((y.numel() - reach, *sides), (1, *strides), y.storage_offset())
    windows.index_fill_(0, torch.from_numpy(offsets), value)
