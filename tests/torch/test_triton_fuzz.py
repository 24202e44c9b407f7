"""The Triton kernels under Triton's interpreter at settings drawn at random: every bit is NumPy's (rule R13).

`make fuzz-triton` draws 10,000 of them.
"""

import dataclasses
import os
import random
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from torch import Tensor

from dropblock_core import apply
from dropblock_core.call import Call
from dropblock_core.mask import dropped_units
from dropblock_torch import keys
from tests.shared.settings import settings_of

pytest.importorskip("triton")
from dropblock_torch.engines import gpu
from dropblock_torch.engines.plan import Mask, Plan, is_channels_last, wide_dtype

NUMBER, PART = int(os.environ.get("TRITON_SETTINGS", "8")), 250  # settings in all, and of one test at most
SIDES = {1: 100, 2: 40, 3: 9}


def laid_out(x: np.ndarray[Any, Any], rng: random.Random) -> Tensor:
    """The same values in some order of memory; of one order only the first channel's."""
    is_bfloat16 = x.dtype == ml_dtypes.bfloat16
    if is_bfloat16:  # of which the interpreter loses the subnormal ones
        x = np.where(abs(x.astype(np.float32)) < 2.0**-126, 0, x).astype(x.dtype)
    a = torch.from_numpy(x.view(np.int16)).view(torch.bfloat16) if is_bfloat16 else torch.from_numpy(x)
    return rng.choice([
        lambda: a,
        lambda: in_other_order(a),
        lambda: in_other_order(a),
        lambda: a.transpose(0, 1).contiguous().transpose(0, 1),
        lambda: torch.cat([a, a], -1)[..., : a.shape[-1]],
        lambda: a[:, :1].expand(a.shape),
        lambda: torch._neg_view(-a),
    ])()  # fmt: skip


def in_other_order(x: Tensor) -> Tensor:
    """Channels last where they are not, and contiguous where they are."""
    memory_format = torch.contiguous_format if is_channels_last(x) else gpu.CHANNELS_LAST.get(x.ndim)
    return x.contiguous(memory_format=memory_format or torch.contiguous_format)


def numpys(x: Tensor, call: Call, seed: int) -> Tensor:
    """A GPU rounds a product to bfloat16; Triton's interpreter cuts its lower half off."""
    is_bfloat16 = x.dtype == torch.bfloat16
    wide = (x.float() if is_bfloat16 else x).resolve_neg().contiguous()
    y = torch.from_numpy(apply._apply_numpy(wide.numpy(), call, seed))
    return (y.view(torch.int32) >> 16).short().view(torch.bfloat16) if is_bfloat16 else y


def bits_of(mask: Mask, plan: Plan) -> np.ndarray[Any, Any]:
    """Of each unit, [samples, maps, units]."""
    bits = np.unpackbits(mask.state.numpy(), bitorder="little").reshape(plan.samples, -1)
    bits = bits[:, : plan.maps * plan.units].view(bool)
    if gpu._bits_lie_across(plan):
        return bits.reshape(plan.samples, plan.units, plan.maps).swapaxes(1, 2)
    return bits.reshape(plan.samples, plan.maps, plan.units)


def check(x: Tensor, call: Call, seed: int) -> None:
    options = call.segments.block, call.maps == x.shape[1], call.renorm, is_channels_last(x)
    plan = Plan.of(x.shape, *options)
    key = keys.words_of(seed, None, x.device)
    mask = gpu.mask(key, call.keep_prob, call, plan, wide_dtype(x.dtype))
    dropped = dropped_units(call.batch(seed)).reshape(plan.samples, plan.maps, plan.units)
    np.testing.assert_array_equal(bits_of(mask, plan), dropped)
    if mask.dropped is not None:
        assert mask.dropped.tolist() == dropped.reshape(plan.scopes, -1).sum(1).tolist()
    for a in (x, in_other_order(x)):  # the second as a gradient may come
        with np.errstate(all="ignore"):
            y, wanted = gpu.apply(a, mask.state, mask.scale, plan), numpys(a, call, seed)
        torch.testing.assert_close(y, wanted, rtol=0, atol=0, equal_nan=True)
        assert torch.equal(y.signbit()[~y.isnan()], wanted.signbit()[~wanted.isnan()])
        assert y.stride() == torch.empty_like(a).stride()


@pytest.fixture
def _interpreter_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what takes most of its time: to look at every sum for an overflow, which other tests do, and to make the
    language its own again for each function that a kernel calls, which once is enough for.
    """
    from triton.runtime import interpreter

    options = dataclasses.replace(interpreter.interpreter_builder.options, sanitize_overflow=False)
    monkeypatch.setattr(interpreter.interpreter_builder, "options", options)
    call, known = interpreter.InterpretedFunction.__call__, set()

    def call_again(function: Any, *args: Any, **kwargs: Any) -> Any:
        if function in known:
            return function.rewrite()(*args, **kwargs)
        known.add(function)
        return call(function, *args, **kwargs)

    monkeypatch.setattr(interpreter.InterpretedFunction, "__call__", call_again)


@pytest.fixture
def _memory_is_filled() -> Iterator[None]:
    """Of which nobody has written anything yet: a kernel that reads it is found out."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("_interpreter_is_quick", "_memory_is_filled")
@pytest.mark.parametrize("first", range(0, NUMBER, PART))
def test_r13_at_random_settings_every_bit_is_numpys(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(first)
    largest, large = gpu.LARGEST, gpu.LARGE
    numbers = range(first, min(first + PART, NUMBER))
    for number, (x, call, seed) in zip(numbers, settings_of(rng, laid_out, SIDES), strict=False):
        # Few programs or many, and offsets of 64 bits.
        monkeypatch.setattr(gpu, "LARGEST", rng.choice([largest] * 7 + [2**11]))
        monkeypatch.setattr(gpu, "LARGE", rng.choice([large, large, 1]))
        for launches in (gpu._drawing, gpu._applying):  # which were made for the last
            launches.cache_clear()
        told = f"{call}, seed {seed}, {x.dtype} {list(x.shape)} strides {x.stride()}, {gpu.LARGEST=} {gpu.LARGE=}"
        try:
            check(x, call, seed)
        except Exception as error:
            error.add_note(f"setting {number}: {told}")
            raise
