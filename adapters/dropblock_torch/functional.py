# SPDX-License-Identifier: Apache-2.0
"""drop_block for PyTorch: `eager` runs it at once, and `traced` where somebody has to see its operators."""

from typing import Any

import torch
from torch import Tensor

from dropblock_core.positional import looks_at_position
from dropblock_torch import eager, traced


@looks_at_position(torch.compiler.is_compiling)
def drop_block(
    x: Tensor,
    keep_prob: float | Tensor = 0.9,
    block_size: int | tuple[int, ...] = 7,
    *,
    training: bool = True,
    per_channel: bool = True,
    renorm: str = "tensor",
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    seed: int | Tensor | None = None,
    sample_offset: int = 0,
    stream: int = 0,
    generator: torch.Generator | None = None,
    process_group: Any = None,
    inplace: bool = False,
    **foreign: Any,
) -> Tensor:
    """DropBlock, Algorithm 1 of the paper with gamma from Eq. (1).

    Args:
        x: activations ``[samples, channels, *spatial]`` with 1, 2 or 3 spatial axes, of a real floating dtype, on any
            device, in any memory format.
        keep_prob: probability of keeping a unit, in [0, 1], up to the overlap of blocks (see `calibrated`). As a 0-d
            tensor it changes under ``torch.compile`` without a new compilation, and on the device of `x` inside a
            captured CUDA graph too; there it is clamped to [0, 1], and NaN drops nothing.
        block_size: side of the dropped block, or one per spatial axis; clipped to the map.
        training: False returns `x` itself (line 3) and draws nothing.
        per_channel: one mask per channel ("tends to work better", section 3), or one that a sample's channels share.
        renorm: what line 8 counts over: ``"tensor"`` (this call's whole mask, as the authors' code), ``"sample"`` or
            ``"map"``; or ``"expected"`` (divide by the exact expected keep fraction), ``"none"``.
        gamma_scale: factor on Eq. (1), at least 0.
        calibrated: solve for the gamma whose expected keep fraction is exactly `keep_prob`, instead of Eq. (1).
        seed: 64 bits that fix the mask, the same on every backend: an int, or a 0-d int64 tensor, which may live on
            the device. Without it they come from `generator`.
        sample_offset: number of this call's first sample in the whole batch, for shards of one batch.
        stream: 32 bits that tell apart layers which share a seed.
        generator: ``torch.Generator`` to draw 64 bits from; by default that of the device of `x`
            (``torch.manual_seed``), mixed with the process's rank where ``torch.distributed`` is initialised.
            Activation checkpointing restores default generators alone: to draw from your own in a backward pass is an
            error.
        process_group: count line 8 over this group's processes, not over this one alone (``renorm="tensor"``). All
            must make the same calls in training, with samples or without; a process in evaluation takes no part.
        inplace: write the result into `x` and return it.

    Returns:
        A tensor of the dtype, shape, device and memory format of `x`. A dropped unit is +0, whatever it held, and a
        kept one is ``x * count(M) / count_ones(M)``. `x` itself where nothing can be dropped (keep_prob 1, inference,
        no samples or channels).

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it, its value, the rule and the remedy.
            Under ``torch.compile`` it is raised when the compiled program runs, but a keep_prob is clamped on a GPU.

    >>> x = torch.ones(1, 2, 4, 4)
    >>> drop_block(x, keep_prob=0.7, block_size=2, seed=5)[0, 0]
    tensor([[1.3333, 0.0000, 0.0000, 1.3333],
            [1.3333, 0.0000, 0.0000, 1.3333],
            [1.3333, 1.3333, 0.0000, 0.0000],
            [1.3333, 1.3333, 0.0000, 0.0000]])
    """
    return way(x).drop_block(
        x,
        keep_prob,
        block_size,
        training,
        per_channel,
        renorm,
        gamma_scale,
        calibrated,
        seed,
        sample_offset,
        stream,
        generator,
        process_group,
        inplace,
        foreign,
    )


def way(x: Tensor) -> Any:
    """The module whose ``drop_block`` runs for `x`. It takes all arguments, and may be asked to note what it drops."""
    return eager if eager.takes(x) else traced
