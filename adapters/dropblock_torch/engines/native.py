# SPDX-License-Identifier: Apache-2.0
"""The CPU, where the native library is: lines 5 to 8 in C on PyTorch's threads.

The mask's state is one bit a unit, in the order in which the activations lie in memory, so that lines 7 and 8 read and
write each unit once, as a multiply does.
"""

import ctypes

import torch
from torch import Tensor

from dropblock_core.call import Call
from dropblock_core.native import calls
from dropblock_torch.engines.plan import Mask, Plan, as_rows
from dropblock_torch.engines.threads import parallel_for

WAITS = True
DTYPES = {getattr(torch, name): name for name in calls.DTYPES}


def state_bytes(plan: Plan) -> int:
    """One bit a unit, in words of 64."""
    return 8 * calls.state_words(plan.samples * plan.maps * plan.units)


def mask(key: Tensor, keep_prob: float | Tensor, call: Call, plan: Plan, dtype: torch.dtype) -> Mask:
    """Lines 5 and 6, and line 8's factor."""
    low, high = key.tolist()
    state = torch.empty(state_bytes(plan), dtype=torch.uint8)
    batch, address = call.batch(low | high << 32), state.data_ptr()
    dropped = calls.draw(batch, address, channels_last=plan.channels_last, parallel_for=parallel_for())
    if call.fixed_scale is not None:
        return Mask(state, call.fixed_scale, dropped)
    if plan.scopes == 1:
        kept = call.count - dropped
        return Mask(state, call.count / kept if kept else 0.0, dropped)
    return Mask.counted(state, torch.from_numpy(calls.count(address, plan.scopes, call.count)), call, dtype)


def apply(x: Tensor, state: Tensor, scale: Tensor | float, plan: Plan) -> Tensor:
    """Lines 7 and 8: every unit scaled, every dropped one +0."""
    x, out, y = as_rows(x, plan)
    if isinstance(scale, Tensor):
        factors = scale.data_ptr()
    else:
        number = (ctypes.c_double if x.dtype == torch.float64 else ctypes.c_float)(scale)
        factors = ctypes.addressof(number)
    calls.apply(
        x.data_ptr(),
        out.data_ptr(),
        state.data_ptr(),
        factors,
        calls.Rows.of(plan.samples, plan.channels, plan.maps, plan.units, plan.scopes, plan.channels_last),
        DTYPES[x.dtype],
        parallel_for=parallel_for(),
    )
    return y if out is y else y.copy_(out)
