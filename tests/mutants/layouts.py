"""Faults that another layout in memory shows."""

from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant


class ByLayout(Honest):
    """Its mask is another where `is_unusual` says so of the input."""

    def is_unusual(self, x: Array) -> bool:
        raise NotImplementedError

    def dropped(self, x: Array, *args: Any) -> Array:
        dropped = super().dropped(x, *args)
        return np.ascontiguousarray(dropped[..., ::-1]) if self.is_unusual(x) else dropped


@mutant("negative strides are taken for positive ones", "output.layout")
class NegativeStrides(ByLayout):
    def is_unusual(self, x: Array) -> bool:
        return any(stride < 0 for stride in x.strides)


@mutant("a channel without memory of its own shares its mask", "output.layout")
class BroadcastShares(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        seeds = super().seeds(rng, shape, gamma, x)
        return np.broadcast_to(seeds[:, :1], seeds.shape).copy() if x.strides[1] == 0 else seeds


@mutant("a part of a larger array is masked as if it were the whole", "output.layout")
class PartOfALarger(ByLayout):
    def is_unusual(self, x: Array) -> bool:
        return x.base is not None and x.base.size > x.size and x.base.dtype == x.dtype


@mutant("an array that is not to be written to comes back as it is", "output.layout")
class ReadOnlyReturned(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        return super().train(x, *args) if x.flags.writeable else x


@mutant("arrays at an odd address are read one unit late", "output.layout")
class UnalignedLate(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        return super().train(x if x.flags.aligned else np.roll(x, 1, axis=-1), *args)


@mutant("the first axis fastest is read as the last", "output.layout")
class FortranRead(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        is_fortran = x.flags.f_contiguous and not x.flags.c_contiguous
        return super().train(x.ravel("K").reshape(x.shape) if is_fortran else x, *args)


@mutant(
    "an upstream gradient of one number repeated, as that of a sum, is not scaled",
    "gradient.layout",
)
class SumUnscaled(Honest):
    def grad(self, x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, keep_prob=keep_prob, block_size=block_size, seed=seed)
        return y, np.where(dx == 0, dx, dy) if dy.size > 1 and not any(dy.strides) else dx


@mutant("an upstream gradient is read in the order of memory", "gradient.layout")
class UpstreamInMemorysOrder(Honest):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        return super().grad(x, dy.ravel("K").reshape(dy.shape), **arguments)
