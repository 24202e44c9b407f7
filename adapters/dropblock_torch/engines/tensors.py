# SPDX-License-Identifier: Apache-2.0
"""Any other device, and a GPU without Triton: the core's word algebra in plain tensor operations.

The mask's state is one bit a unit, eight to a byte, in the order of a contiguous tensor.
"""

import torch
from torch import Tensor

from dropblock_core import words
from dropblock_core.call import Call
from dropblock_torch.engines.plan import Mask, Plan, factor

WAITS = True


def state_bytes(plan: Plan) -> int:
    """One bit a unit, rounded up to whole bytes."""
    return -(-plan.samples * plan.maps * plan.units // 8)


def mask(key: Tensor, keep_prob: float | Tensor, call: Call, plan: Plan, dtype: torch.dtype) -> Mask:
    """Lines 5 and 6, and line 8's factor."""
    segments = plan.segments
    low, high = key.tolist()
    space = words.WordSpace.beside(key)
    bits = words.seed_words(space, call.batch(low | high << 32))
    rows = words.grow(space, words.anchor_words(space, bits, segments), segments)
    dropped = words.unpack(space, rows, segments.feat).reshape(-1)
    padded = torch.zeros(8 * state_bytes(plan), dtype=torch.uint8, device=key.device)
    padded[: dropped.numel()] = dropped
    state = (padded.view(-1, 8) << torch.arange(8, device=key.device)).sum(-1).to(torch.uint8)
    if call.fixed_scale is not None:
        return Mask(state, call.fixed_scale, None)
    high, low = words.count_bits(space, rows, call.renorm)
    dropped = (high * 65536 + low).reshape(-1)
    scale = factor(dropped.cpu(), call.count, dtype)  # in float64, which not every device has
    return Mask(state, scale.to(key.device), dropped)


def apply(x: Tensor, state: Tensor, scale: Tensor | float, plan: Plan) -> Tensor:
    """Lines 7 and 8: every unit scaled, every dropped one +0."""
    dropped = ((state[:, None] >> torch.arange(8, dtype=torch.uint8, device=x.device)) & 1).bool().reshape(-1)
    dropped = dropped[: plan.samples * plan.maps * plan.units].view(plan.samples, plan.maps, *plan.segments.feat)
    y = torch.empty_like(x)
    torch.mul(x, plan.spread(scale, x), out=y)
    return y.masked_fill_(dropped, 0)
