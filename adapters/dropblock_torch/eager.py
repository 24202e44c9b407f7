"""The short way to an engine, for when nobody but PyTorch itself has to see what runs.

It has the functions of `ops`, without the operators: to call an operator that is written in Python takes longer than
all the work on a small tensor. A compiler, a mode, a transform or a subclass of Tensor needs the operators.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from dropblock_torch import engines, ops
from dropblock_torch.engines.plan import Mask, Plan

# PyTorch has no public names for these. A version that lacks one gets the operators.
_modes = getattr(torch._C, "_len_torch_dispatch_stack", lambda: 1)
_has_transforms = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)

# As many as the layers that may take turns.
_call = lru_cache(1024)(ops.checked_call)
_plan = lru_cache(1024)(Plan.of)


def takes(x: Tensor) -> bool:
    """Whether nobody but PyTorch itself has to see what is done with `x`."""
    return (
        type(x) is Tensor
        and not torch.compiler.is_compiling()
        and not torch.overrides.has_torch_function((x,))  # of a mode
        and not _modes()
        and not _has_transforms()
        and _has_memory(x)
    )


def _has_memory(x: Tensor) -> bool:
    """False on the meta device, for zeros that are not stored, and for what wraps a tensor."""
    try:
        return x.data_ptr() != 0
    except RuntimeError:
        return False


def mask(key: Tensor, keep_prob: float | Tensor, shape: Sequence[int], *options: Any) -> Mask:
    """``ops.mask``, which has the same arguments, but for keep_prob as a number too."""
    engine = engines.of(key)
    value = ops.host_value(keep_prob, waits=engine.WAITS) if isinstance(keep_prob, Tensor) else keep_prob
    block_size, per_channel, renorm, *_, channels_last, dtype = options
    plan = _plan(shape, block_size, per_channel, renorm, channels_last)
    return engine.mask(key, keep_prob, _call(value, shape, *options), plan, dtype)


class Apply(torch.autograd.Function):
    """Lines 7 and 8; `settings` are the last arguments of ``ops.apply``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, state: Tensor, scale: Tensor, settings: tuple[Any, ...]) -> Tensor:
        ctx.settings = settings
        ctx.save_for_backward(state, scale)
        ctx.save_for_forward(state, scale)
        return engines.of(x).apply(x, state, scale, _plan(x.shape, *settings))

    @staticmethod
    def jvp(ctx: Any, dx: Tensor, *_: Any) -> Tensor:
        return ops.Apply.apply(dx, *ctx.saved_tensors, *ctx.settings)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
        function = apply if takes(dy) else ops.Apply.apply
        return function(dy, *ctx.saved_tensors, *ctx.settings), None, None, None


def apply(x: Tensor, state: Tensor, scale: Tensor, *settings: Any) -> Tensor:
    """``ops.apply``, whose arguments it has."""
    return Apply.apply(x, state, scale, settings)
