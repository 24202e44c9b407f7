# SPDX-License-Identifier: Apache-2.0
"""drop_block at once, where nobody but PyTorch itself has to see what runs: without operators, and without checking
again what was checked before.

To call an operator that is written in Python takes longer than all the work on a small tensor. On a large one it still
shows: the activations have pushed Python's own code and data out of the cache.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from dropblock_core import validate
from dropblock_core.call import NO_VALUE, Call, remembered_call
from dropblock_core.remembered import flat, remembered
from dropblock_torch import arguments, distributed, engines, keys, ops
from dropblock_torch.engines.plan import Mask, Plan, is_channels_last, wide_dtype
from dropblock_torch.observed import Observed

# PyTorch has no public names for these. A version that lacks one gets the operators.
_modes = getattr(torch._C, "_len_torch_dispatch_stack", lambda: 1)
_has_transforms = getattr(torch._C, "_are_functorch_transforms_active", lambda: True)


def takes(x: Tensor) -> bool:
    """Whether nobody but PyTorch itself has to see what is done with `x`."""
    return (
        not torch.compiler.is_compiling()
        and type(x) is Tensor
        and not torch.overrides.has_torch_function((x,))  # of a mode
        and not _modes()
        and not _has_transforms()
        and not x.is_nested
        and _has_memory(x)
    )


def _has_memory(x: Tensor) -> bool:
    """False on the meta device, for zeros that are not stored, and for what wraps a tensor."""
    try:
        return x.data_ptr() != 0
    except RuntimeError:
        return False


def drop_block(
    x: Tensor,
    keep_prob: float | Tensor,
    block_size: Any,
    training: bool,
    per_channel: bool,
    renorm: str,
    gamma_scale: float,
    calibrated: bool,
    seed: int | Tensor | None,
    sample_offset: int,
    stream: int,
    generator: torch.Generator | None,
    process_group: Any,
    inplace: bool,
    foreign: dict[str, Any],
    observed: Observed | None = None,
) -> Tensor:
    """As :func:`dropblock_torch.drop_block`; `observed` is told what is dropped."""
    if foreign:
        validate.no_foreign_keywords(foreign)
    engine = engines.of(x)
    number: Any = keep_prob
    if isinstance(keep_prob, Tensor):
        number = keep_prob = arguments.probability(keep_prob, renorm, calibrated, x.device)
    if isinstance(keep_prob, Tensor):
        value = ops.host_value(keep_prob, waits=engine.WAITS)
        number = NO_VALUE if value is None else value
    options = number, per_channel, renorm, gamma_scale, calibrated, sample_offset, stream, *flat(block_size)
    known = _known(is_channels_last(x), x.shape, x.dtype, *options)
    keys.check(seed, generator, x.device)
    distributed.check(process_group, renorm)
    training, inplace = validate.flag("training", training), validate.flag("inplace", inplace)
    if not training:
        return x
    if known.call.drops_nothing:
        if observed is not None:
            observed.note(known.call, None)
        if process_group is not None:
            distributed.count_kept(x, known.call.count, process_group)
        return x
    arguments.no_frozen_mask()
    mask: Mask = engine.mask(keys.words_of(seed, generator, x.device), keep_prob, known.call, known.plan, known.dtype)
    if observed is not None:
        observed.note(known.call, mask)
    scale = mask.scale
    if process_group is not None:
        *_, dropped = mask.tensors(known.dtype)
        scale = distributed.shared_factor(dropped, known.call.count, process_group, known.dtype)
    y = _applied(x, mask.state, scale, known)
    return x.copy_(y) if inplace else y


class Known(NamedTuple):
    """What follows from arguments that were checked."""

    call: Call
    plan: Plan
    dtype: torch.dtype  # of line 8's factors
    settings: tuple[Any, ...]  # the last arguments of ``ops.apply``


@remembered(trusted=3)
def _known(channels_last: bool, shape: torch.Size, dtype: torch.dtype, *options: Any) -> Known:
    """Check what does not differ from call to call; `options` are those of :func:`remembered_call`."""
    call = remembered_call(shape, dtype, *options)
    settings = call.segments.block, call.maps == shape[1], call.renorm, channels_last
    return Known(call, Plan.of(shape, *settings), wide_dtype(dtype), settings)


def _applied(x: Tensor, state: Tensor, scale: Tensor | float, known: Known) -> Tensor:
    """Lines 7 and 8, and a derivative where somebody may ask for one."""
    if not (x.requires_grad or _dual_level() >= 0):
        y: Tensor = engines.of(x).apply(x, state, scale, known.plan)
        return y
    # Its own `apply` first looks for transforms, which are not there: that takes longer than a small mask.
    y = super(torch.autograd.Function, _Apply).apply(x, state, scale, known)
    return y


def _dual_level() -> int:
    """At least 0 inside ``torch.autograd.forward_ad.dual_level``."""
    return getattr(forward_ad, "_current_level", 0)


class _Apply(torch.autograd.Function):
    """Lines 7 and 8. The factor of one scope is a number on the host."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, state: Tensor, scale: Tensor | float, known: Known) -> Tensor:
        ctx.known = known
        ctx.scale, tensors = (None, (state, scale)) if isinstance(scale, Tensor) else (scale, (state,))
        ctx.save_for_backward(*tensors)
        if _dual_level() >= 0:
            ctx.save_for_forward(*tensors)
        return engines.of(x).apply(x, state, scale, known.plan)

    @staticmethod
    def jvp(ctx: Any, dx: Tensor, *_: Any) -> Tensor:
        return _by_operators(ctx, dx)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
        if not takes(dy):
            return _by_operators(ctx, dy), None, None, None
        state, *factors = ctx.saved_tensors
        return _applied(dy, state, factors[0] if factors else ctx.scale, ctx.known), None, None, None


def _by_operators(ctx: Any, dy: Tensor) -> Tensor:
    state, *scale = ctx.saved_tensors
    if not scale:
        scale = [torch.full((1,), ctx.scale, dtype=ctx.known.dtype)]
    return ops.Apply.apply(dy, state, *scale, *ctx.known.settings)
