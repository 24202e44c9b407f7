# SPDX-License-Identifier: Apache-2.0
"""The operators that PyTorch sees: `dropblock::mask_bits` draws a mask, `dropblock::apply` is lines 7 and 8.

A compiler does not look inside: it traces them with fake tensors, and its program calls them. `apply` is linear in the
activations, so its derivative, at any order, is `apply` with the same mask. The backward pass needs the mask's state,
at most one bit a unit, and line 8's factors.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from dropblock_core.call import NO_VALUE, remembered_call
from dropblock_core.remembered import LAYERS, flat
from dropblock_torch import engines
from dropblock_torch.engines.plan import Mask, Plan

_plan = lru_cache(LAYERS)(Plan.of)  # where the sizes are numbers, not a compiler's symbols


def define(name: str, *tags: torch.Tag) -> Callable[..., Any]:
    """A custom operator without mutation, run by the same Python on every device: the engine is chosen inside.

    PyTorch keeps compiled programs on disk by the names of their operators, with the sizes of what these return. An
    operator that returns other sizes than in an earlier version needs another name, or those programs break.
    """
    return torch.library.custom_op(f"dropblock::{name}", mutates_args=(), tags=tags)


def _mask(
    key: Tensor,
    keep_prob: Tensor,
    shape: Sequence[int],
    block_size: Sequence[int],
    per_channel: bool,
    renorm: str,
    gamma_scale: float,
    calibrated: bool,
    sample_offset: int,
    stream: int,
    channels_last: bool,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the mask of activations `shape`: its state, its factors and its counts (see :class:`plan.Mask`).

    `key` is the seed's two words, on the device of the activations; `keep_prob` one number, on the host or there.
    """
    engine = engines.of(key)
    # Under a compiler the values are known only here, when the program runs, so rule R14 refuses them here.
    value = host_value(keep_prob, waits=engine.WAITS)
    call = remembered_call(
        tuple(shape), dtype, NO_VALUE if value is None else value, per_channel, renorm, gamma_scale, calibrated,
        sample_offset, stream, *flat(tuple(block_size)),
    )  # fmt: skip
    plan = _plan(tuple(shape), tuple(block_size), per_channel, renorm, channels_last)
    if not plan.samples * plan.maps:
        sizes = (0, torch.uint8), (plan.scopes, dtype), (plan.counts(renorm), torch.int64)
        return tuple(key.new_zeros(size, dtype=kind) for size, kind in sizes)  # type: ignore[return-value]  # three
    drawn: Mask = engine.mask(key, keep_prob, call, plan, dtype)
    return (drawn if plan.counts(renorm) else drawn._replace(dropped=None)).tensors(dtype)


def host_value(keep_prob: Tensor, *, waits: bool) -> float | None:
    """keep_prob as a number; one on a device is clamped, or None unless the engine waits for the device."""
    if keep_prob.device.type == "cpu":
        return keep_prob.item()
    if not waits:
        return None
    value = keep_prob.item()
    return 1.0 if math.isnan(value) else min(max(value, 0.0), 1.0)


def _mask_fake(
    key: Tensor,
    keep_prob: Tensor,
    shape: Sequence[int],
    block_size: Sequence[int],
    per_channel: bool,
    renorm: str,
    *others: Any,
) -> tuple[Tensor, Tensor, Tensor]:
    *_, channels_last, dtype = others
    plan = Plan.of(shape, block_size, per_channel, renorm, channels_last)
    return (
        key.new_empty((engines.of(key).state_bytes(plan),), dtype=torch.uint8),
        key.new_empty((plan.scopes,), dtype=dtype),
        key.new_empty((plan.counts(renorm),), dtype=torch.int64),
    )


mask = define("mask_bits")(_mask)
# The same, where a keep_prob on the host meets activations on a device: in a captured graph its value would stay.
mask_of_host = define("mask_bits_of_host", torch.Tag.cudagraph_unsafe)(_mask)
for _operator in (mask, mask_of_host):
    _operator.register_fake(_mask_fake)


@define("apply")
def apply(
    x: Tensor,
    state: Tensor,
    scale: Tensor,
    block_size: Sequence[int],
    per_channel: bool,
    renorm: str,
    channels_last: bool,
) -> Tensor:
    """``A * M * scale``, with +0 for every dropped unit whatever it held; the dtype and layout of `x`."""
    plan = _plan(x.shape, tuple(block_size), per_channel, renorm, channels_last)
    if not x.numel():
        return torch.empty_like(x)
    return engines.of(x).apply(x.detach(), state, scale, plan)


@apply.register_fake
def _apply_fake(x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(x)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, state, scale, *ctx.settings = inputs
    ctx.save_for_backward(state, scale)


def _backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    state, scale = ctx.saved_tensors
    return apply(dy, state, scale, *ctx.settings), *[None] * (2 + len(ctx.settings))


apply.register_autograd(_backward, setup_context=_save)


def _one_by_one(operator: Callable[..., Any]) -> Callable[..., Any]:
    """The rule for ``torch.vmap``: call `operator` once for each example, since each has its own mask and count."""

    def rule(info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> Any:
        results = [
            operator(*[a.select(d, i) if isinstance(d, int) else a for a, d in zip(arguments, in_dims, strict=True)])
            for i in range(info.batch_size)
        ]
        if isinstance(results[0], Tensor):
            return torch.stack(results), 0
        stacked = tuple(torch.stack(parts) for parts in zip(*results, strict=True))
        return stacked, (0,) * len(stacked)

    return rule


for _operator in (mask, mask_of_host, apply):
    _operator.register_vmap(_one_by_one(_operator))


class Apply(torch.autograd.Function):
    """`apply` for the transforms of ``torch.func``, which do not use the derivative of a custom operator."""

    generate_vmap_rule = False

    @staticmethod
    def forward(*inputs: Any) -> Tensor:
        return apply(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _save(ctx, inputs, output)
        ctx.save_for_forward(*inputs[1:3])

    @staticmethod
    def jvp(ctx: Any, dx: Tensor, *_: Any) -> Tensor:
        return Apply.apply(dx, *ctx.saved_tensors, *ctx.settings)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
        state, scale = ctx.saved_tensors
        return Apply.apply(dy, state, scale, *ctx.settings), *[None] * (2 + len(ctx.settings))

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> Any:
        return _one_by_one(Apply.apply)(info, in_dims, *arguments)


@define("refuse")
def refuse(x: Tensor, is_type_error: bool, message: str) -> Tensor:
    """Raise where the compiled program runs: an exception raised while it is traced would not reach the caller."""
    raise (TypeError if is_type_error else ValueError)(message)


@refuse.register_fake
def _refuse_fake(x: Tensor, is_type_error: bool, message: str) -> Tensor:
    return torch.empty_like(x)


def _refuse_backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    """Never called, but a compiler that plans a backward pass needs it."""
    return dy, None, None


refuse.register_autograd(_refuse_backward)
