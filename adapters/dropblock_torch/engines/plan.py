"""The sizes and the layout of a mask, which are known before its values: a compiler's fake tensors need no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from dropblock_core.call import Call
from dropblock_core.renorm import is_counted, scope_number
from dropblock_core.stream import Segments


@dataclass(frozen=True)
class Plan:
    """Sizes of one mask: `maps` is the channels, or 1 for a mask they share; `scopes` counts line 8's factors.

    `channels_last` is how the activations lie in memory. The GPU's kernels go through memory in order, so the bits of
    their mask lie in the same way.
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

    def spread(self, scale: Tensor) -> Tensor:
        """One factor a scope, as an array that broadcasts against the activations."""
        if self.scopes == 1:
            return scale.reshape(())
        maps = self.scopes // self.samples
        return scale.reshape(self.samples, maps, *[1] * len(self.segments.feat))


class Mask(NamedTuple):
    """A drawn mask: its bits, line 8's factors, and the counts of dropped units."""

    state: Tensor  # uint8: a bit a unit in the order of memory, in words of the engine's
    scale: Tensor  # one factor a scope, in float32 (float64 for float64 activations)
    dropped: Tensor  # int64, one count a scope; empty where line 8 needs no count

    @classmethod
    def fixed(cls, state: Tensor, call: Call, dtype: torch.dtype) -> Self:
        scale = torch.full((1,), call.fixed_scale or 0.0, dtype=dtype, device=state.device)
        return cls(state, scale, torch.empty(0, dtype=torch.int64, device=state.device))

    @classmethod
    def of_one_scope(cls, state: Tensor, dropped: int, call: Call, dtype: torch.dtype) -> Self:
        """As `counted`, in the host's numbers: a tensor operation for each step takes longer than a small mask."""
        kept = call.count - dropped
        scale = torch.full((1,), call.count / kept if kept else 0.0, dtype=dtype)
        return cls(state, scale, torch.full((1,), dropped))

    @classmethod
    def counted(cls, state: Tensor, dropped: Tensor, call: Call, dtype: torch.dtype) -> Self:
        return cls(state, factor(dropped, call.count, dtype), dropped)


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
    memory_format = torch.contiguous_format
    if plan.channels_last:
        memory_format = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    x = x.resolve_neg().contiguous(memory_format=memory_format)
    return x, y if y.is_contiguous(memory_format=memory_format) else torch.empty_like(x), y


def is_channels_last(x: Tensor) -> bool:
    """Whether the channels of `x` lie next to each other, as in ``torch.channels_last`` and ``channels_last_3d``."""
    return x.ndim > 3 and x.stride(1) == 1 and x.stride(-1) != 1
