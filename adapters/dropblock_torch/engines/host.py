# SPDX-License-Identifier: Apache-2.0
"""The CPU, where there is no native library: the reference in NumPy, and PyTorch's own multiply.

NumPy and PyTorch see the same memory: nothing is copied between them. The mask's state is that of `native`.
"""

import numpy as np
import torch
from torch import Tensor

from dropblock_core.call import Call
from dropblock_core.mask import dropped_units
from dropblock_torch.engines.native import state_bytes
from dropblock_torch.engines.plan import Mask, Plan

__all__ = ["WAITS", "apply", "mask", "state_bytes"]

WAITS = True


def mask(key: Tensor, keep_prob: float | Tensor, call: Call, plan: Plan, dtype: torch.dtype) -> Mask:
    """Lines 5 and 6, and line 8's factor."""
    low, high = key.tolist()
    dropped = dropped_units(call.batch(low | high << 32))
    bits = np.packbits(np.moveaxis(dropped, 1, -1) if plan.channels_last else dropped, bitorder="little")
    state = torch.zeros(state_bytes(plan), dtype=torch.uint8)
    state[: bits.size] = torch.from_numpy(bits)
    if call.fixed_scale is not None:
        return Mask(state, call.fixed_scale, None)
    counts = [np.count_nonzero(scope) for scope in dropped.reshape(plan.scopes, -1)]
    return Mask.counted(state, torch.tensor(counts), call, dtype)


def apply(x: Tensor, state: Tensor, scale: Tensor | float, plan: Plan) -> Tensor:
    """Lines 7 and 8: every unit scaled, every dropped one +0."""
    y = torch.empty_like(x)
    # A factor without axes stays in float32 inside the kernel whatever the dtype of x, and is rounded once.
    torch.mul(x, plan.spread(scale, x), out=y)
    bits = np.unpackbits(state.numpy(), count=plan.samples * plan.maps * plan.units, bitorder="little").view(bool)
    feat = plan.segments.feat
    if plan.channels_last:
        dropped = np.moveaxis(bits.reshape(plan.samples, *feat, plan.maps), -1, 1)
    else:
        dropped = bits.reshape(plan.samples, plan.maps, *feat)
    return y.masked_fill_(torch.from_numpy(dropped), 0)
