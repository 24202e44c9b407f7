# SPDX-License-Identifier: Apache-2.0
"""drop_block where somebody has to see its operators: a compiler, a mode, a transform or a subclass of Tensor."""

from typing import Any

import torch
from torch import Tensor

from dropblock_core import validate
from dropblock_torch import arguments, distributed, keys, ops
from dropblock_torch.engines.plan import is_channels_last, wide_dtype
from dropblock_torch.observed import Observed


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
    """As :func:`dropblock_torch.drop_block`; inside a compiler what is refused raises when the program runs.

    `observed` is told that it was called: counts may be fakes or wrappers here, which must not outlive the call.
    """
    try:
        validate.no_foreign_keywords(foreign)
        feat = arguments.activations(x)
        keep_prob = arguments.probability(keep_prob, renorm, calibrated, x.device)
        block, renorm, gamma_scale = validate.options(block_size, len(feat), renorm, gamma_scale, calibrated=calibrated)
        per_channel, calibrated = validate.flag("per_channel", per_channel), validate.flag("calibrated", calibrated)
        training, inplace = validate.flag("training", training), validate.flag("inplace", inplace)
        block = tuple(min(side, validate.WORD) for side in block)  # operators take 64 bits, and no map is as long
        keys.check(seed, generator, x.device)
        # Inside a compiler sample_offset may be symbolic; then `ops.mask` checks its value.
        if not (torch.compiler.is_compiling() and type(sample_offset) is int and -(2**63) <= sample_offset < 2**63):
            sample_offset = validate.counter_word("sample_offset", sample_offset, span=x.shape[0])
        stream = validate.counter_word("stream", stream)
        distributed.check(process_group, renorm)
    except (TypeError, ValueError) as error:
        if not torch.compiler.is_compiling():
            raise
        anything = x if isinstance(x, Tensor) else torch.empty(())
        return ops.refuse(anything, isinstance(error, TypeError), str(error))
    if not training:
        return x
    if observed is not None:
        observed.note_unseen(feat)
    if _drops_nothing(x, keep_prob):
        if process_group is not None:
            distributed.count_kept(x, _count(x, per_channel), process_group)
        return x
    arguments.no_frozen_mask()
    key = keys.words_of(seed, generator, x.device)
    settings = block, per_channel, renorm
    layout, dtype = is_channels_last(x), wide_dtype(x.dtype)
    others = gamma_scale, calibrated, sample_offset, stream, layout, dtype
    operand = _operand(keep_prob, x.device, by_host=calibrated or renorm == "expected")
    draw = ops.mask if operand.device == x.device else ops.mask_of_host
    state, scale, dropped = draw(key, operand, x.shape, *settings, *others)
    if process_group is not None:
        scale = distributed.shared_factor(dropped, _count(x, per_channel), process_group, dtype)
    apply = ops.apply if torch.compiler.is_compiling() else ops.Apply.apply
    y = apply(x, state, scale, *settings, layout)
    return x.copy_(y) if inplace else y


def _count(x: Tensor, per_channel: bool) -> int:
    """count(M) of line 8 over the tensor."""
    return (x if per_channel else x[:, :1]).numel()


def _operand(keep_prob: float | Tensor, device: torch.device, *, by_host: bool) -> Tensor:
    """keep_prob as a tensor, which a compiler takes as an operand: it would compile again for each new float.

    A program for a GPU has it there, unless something is solved `by_host`: a tensor of the host's splits its graphs.
    """
    if isinstance(keep_prob, Tensor):
        return keep_prob.detach().reshape(1)
    is_there = device.type == "cuda" and torch.compiler.is_compiling() and not by_host
    # The product keeps a symbolic float symbolic; torch.tensor or torch.full would make the compiler ask for its value.
    return torch.ones((), dtype=torch.float64, device=device if is_there else "cpu") * keep_prob


def _drops_nothing(x: Tensor, keep_prob: float | Tensor) -> bool:
    """Whether `x` itself is the answer, as far as the host may know (rule R1)."""
    if torch.compiler.is_compiling():
        return False
    return x.numel() == 0 or (not isinstance(keep_prob, Tensor) and keep_prob == 1.0)
