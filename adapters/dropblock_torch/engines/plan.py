# SPDX-License-Identifier: Apache-2.0
"""The sizes and the layout of a mask, which are known before its values: a compiler's fake tensors need no more."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from dropblock_core.call import Call
from dropblock_core.renorm import is_counted, scope_number
from dropblock_core.stream import Segments

CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}  # by the rank of the activations


class Plan(NamedTuple):
    """Sizes of one mask: `maps` is the channels, or 1 for a mask they share; `scopes` counts line 8's factors.

    `channels_last` is how the activations lie in memory. Kernels go through memory in order, so the bits of their mask
    lie in the same way (:mod:`gpu` has exceptions).
    """

    samples: int
    channels: int
    maps: int
    segments: Segments
    scopes: int
    channels_last: bool

    @classmethod
    def of(
        cls, shape: Sequence[int], block_size: Sequence[int], per_channel: bool, renorm: str, channels_last: bool
    ) -> Self:
        samples, channels, *feat = shape
        block = [min(b, f) for b, f in zip(block_size, feat, strict=True)]
        maps = channels if per_channel else 1
        scopes = scope_number(renorm, (samples, maps, *feat))
        # Bits are counted map by map only where a map's bits lie together.
        return cls(samples, channels, maps, Segments.of(feat, block), scopes, channels_last and renorm != "map")

    @property
    def units(self) -> int:
        """Units of one map."""
        return self.segments.units

    def counts(self, renorm: str) -> int:
        """The number of line 8's counts: none where its factor is known before the mask."""
        return self.scopes if is_counted(renorm) else 0

    def spread(self, scale: Tensor | float, x: Tensor) -> Tensor:
        """One factor a scope, as an array that broadcasts against `x`."""
        scale = torch.as_tensor(scale, dtype=wide_dtype(x.dtype), device=x.device)
        if self.scopes == 1:
            return scale.reshape(())
        maps = self.scopes // self.samples
        return scale.reshape(self.samples, maps, *[1] * len(self.segments.feat))


class Mask(NamedTuple):
    """A drawn mask: its bits, line 8's factors, and the counts of dropped units.

    Where there is one scope, a factor and a count that the host knows may be numbers: a tensor for each takes longer
    than a small mask.
    """

    state: Tensor  # uint8: a bit a unit in the order of memory, in words of the engine's
    scale: Tensor | float  # one factor a scope, in float32 (float64 for float64 activations)
    dropped: Tensor | int | None  # int64, one count a scope; None where line 8 needs none and nobody counted

    @classmethod
    def counted(cls, state: Tensor, dropped: Tensor, call: Call, dtype: torch.dtype) -> Self:
        return cls(state, factor(dropped, call.count, dtype), dropped)

    def tensors(self, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """The same as an operator returns it. An empty tensor stands for no count."""
        state, scale, dropped = self
        if not isinstance(scale, Tensor):
            scale = torch.full((1,), scale, dtype=dtype, device=state.device)
        if not isinstance(dropped, Tensor):
            size, count = (0, 0) if dropped is None else (1, dropped)
            dropped = torch.full((size,), count, dtype=torch.int64, device=state.device)
        return state, scale, dropped


def factor(dropped: Tensor, count: int | Tensor, dtype: torch.dtype) -> Tensor:
    """Line 8: ``count(M) / count_ones(M)``, rounded once; 0 where nothing is kept (rule R10)."""
    ones = (count - dropped).double()
    total = torch.zeros_like(ones) + count  # PyTorch divides a number by a tensor as a product with its reciprocal
    return torch.where(ones > 0, total / ones, 0.0).to(dtype)


def as_rows(x: Tensor, plan: Plan) -> tuple[Tensor, Tensor, Tensor]:
    """`x` in the order of the mask's bits; memory for the result in that order; and the result in the format of `x`.

    The last two are the same tensor unless `x` had to be copied.
    """
    y = torch.empty_like(x)
    if not plan.channels_last and x.is_contiguous() and not x.is_neg():
        return x, y, y
    memory_format = CHANNELS_LAST[x.ndim] if plan.channels_last else torch.contiguous_format
    x = x.resolve_neg().contiguous(memory_format=memory_format)
    return x, y if y.is_contiguous(memory_format=memory_format) else torch.empty_like(x), y


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """In which the product is made, and rounded once."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def is_channels_last(x: Tensor) -> bool:
    """Whether the channels of `x` lie next to each other, as in ``torch.channels_last`` and ``channels_last_3d``."""
    return x.ndim > 3 and x.stride(1) == 1 and x.stride(-1) != 1
