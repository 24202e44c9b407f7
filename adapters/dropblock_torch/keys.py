# SPDX-License-Identifier: Apache-2.0
"""Where the 64 bits of a mask come from: a number, a tensor on the device, or PyTorch's own generators."""

import sys
from typing import Any

import torch
from torch import Tensor

from dropblock_core import validate
from dropblock_core.stream import philox_key
from dropblock_torch import distributed

# The number of the backward pass that runs in this thread, or -1. PyTorch has no public name for it.
_graph_task = torch._C._current_graph_task_id


def check(seed: Any, generator: Any, device: torch.device) -> None:
    """Raise unless at most one of `seed` and `generator` is given, and it is what it should be."""
    if isinstance(seed, Tensor):
        if seed.ndim or seed.dtype not in (torch.int64, torch.uint64):
            raise TypeError(
                f"seed is a tensor of shape {tuple(seed.shape)} and dtype {seed.dtype}: as a tensor, a seed is 0-d and "
                "its 64 bits are int64 or uint64; use an int where it need not live on the device"
            )
        if seed.is_meta and device.type != "meta":
            raise ValueError("seed is on the meta device, where nothing has a value: pass an int, or a tensor with one")
    elif seed is not None:
        validate.seed_word(seed)
    if generator is None:
        return
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"{validate.shown('generator', generator)} is a {type(generator).__name__}: pass a torch.Generator, "
            "or seed= for a fixed mask"
        )
    validate.one_source(seed=seed, generator=generator)
    if generator.device.type != device.type:
        raise ValueError(
            f"generator is on {generator.device} and x on {device}: the bits are drawn where they are used; "
            f"make it with torch.Generator(device={device.type!r})"
        )


def words_of(seed: int | Tensor | None, generator: torch.Generator | None, device: torch.device) -> Tensor:
    """The two words of Philox's key, int64 ``[2]`` on `device`, without waiting for it."""
    if seed is None:
        if generator is not None:
            _not_recomputed(generator)
        return _drawn(generator, device)
    if isinstance(seed, Tensor):
        words = seed.view(torch.int64).to(device).reshape(1).view(torch.uint32).to(torch.int64)  # one launch on a GPU
        return words if sys.byteorder == "little" else words.flip(0)
    low, high = philox_key(seed)
    key = torch.full((2,), low, dtype=torch.int64, device=device)  # a copy from the host would stop a graph's capture
    key.narrow(0, 1, 1).fill_(high)
    return key


def _not_recomputed(generator: torch.Generator) -> None:
    """ValueError in a backward pass: what is recomputed there must meet the mask of the forward pass."""
    if _graph_task() != -1:
        raise ValueError(
            f"generator={generator!r} is drawn from in a backward pass, where activation checkpointing recomputes the "
            "forward pass: the mask would be another one, and the gradients wrong; leave generator out (checkpointing "
            "restores the default generators), or pass seed="
        )


def _drawn(generator: torch.Generator | None, device: torch.device) -> Tensor:
    """64 bits from `generator`, or from the default one of the device.

    Ranks that run ``torch.manual_seed`` with the same number would draw the same masks for different samples, so the
    bits of the default generator are mixed with the rank. The user's own generator is used as it is.
    """
    key = torch.randint(0, 2**32, (2,), dtype=torch.int64, device=device, generator=generator)
    if generator is None and (rank := distributed.rank()):
        key[1:].bitwise_xor_(rank)
    return key
