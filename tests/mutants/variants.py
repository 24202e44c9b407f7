"""Honest DropBlocks that are not ours: each follows the paper, and has a way of its own in what that leaves open."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from dropblock_conformance import Claims, Subject
from tests.mutants.honest import Array, Honest

FLOAT32 = Claims()


@dataclass(frozen=True)
class Variant:
    """What it does, in words, and the subject that does it."""

    does: str
    build: Callable[[], Subject]


VARIANTS: dict[str, Variant] = {}


def variant(does: str, claims: Claims = FLOAT32) -> Callable[[type[Honest]], type[Honest]]:
    def enlist(cls: type[Honest]) -> type[Honest]:
        VARIANTS[cls.__name__] = Variant(does, lambda: replace(cls().subject(cls.__name__), claims=claims))
        return cls

    return enlist


class AuthorsRule(Honest):
    """As the authors describe it: square maps, seeds where a block's centre may lie, a maximum over windows."""

    def call(self, x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
        if not training or keep_prob == 1:
            return x
        y, _ = self.masked(x, x, keep_prob, block_size, seed)
        return y

    def grad(self, x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        return self.masked(x, dy, keep_prob, block_size, seed)

    def masked(self, x: Array, dy: Array, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        height, width = x.shape[2:]
        assert height == width, "the authors' rule is for square maps"
        block = min(block_size, width)
        gamma = (1.0 - keep_prob) * width**2 / block**2 / (width - block + 1) ** 2
        is_centre = np.zeros((height, width), bool)
        first = block // 2
        is_centre[first : first + width - block + 1, first : first + width - block + 1] = True
        seeds = is_centre & (np.random.default_rng(seed).random(x.shape, np.float32) < gamma)
        before, after = block - 1 - block // 2, block // 2
        padded = np.pad(seeds, ((0, 0), (0, 0), (before, after), (before, after)))
        mask = (~sliding_window_view(padded, (block, block), (2, 3)).any((-1, -2))).astype(np.float32)
        share = mask.mean(dtype=np.float32)
        with np.errstate(all="ignore"):
            return x / share * mask, dy / share * mask


VARIANTS["AuthorsRule"] = Variant(
    "the authors' rule: square maps, centred blocks, a maximum over windows, the count as a mean",
    lambda: replace(AuthorsRule().subject("AuthorsRule"), claims=FLOAT32),
)


@variant("adds 1e-6 to the count in the denominator")
class EpsilonInTheCount(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return dropped.size / (np.count_nonzero(~dropped) + 1e-6)


@variant("adds 1e-7 to the mean in the denominator")
class EpsilonInTheMean(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return 1 / (np.float32((~dropped).mean()) + 1e-7)


@variant("multiplies by the mask, as the paper prints it")
class MultipliesAsPrinted(Honest):
    def apply(self, x: Array, dropped: Array, scale: Any) -> Array:
        with np.errstate(all="ignore"):
            return (x * ~dropped * np.asarray(scale, np.float32)).astype(x.dtype)


class Refusing(Honest):
    def refuses(self, x: Array, keep_prob: float, block_size: int) -> str | None:
        raise NotImplementedError

    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        if (reason := self.refuses(x, keep_prob, block_size)) is not None:
            raise ValueError(reason)
        return super().dropped(x, keep_prob, block_size, seed)


@variant("refuses even blocks, and says so", Claims(even_blocks=False))
class RefusesEvenBlocks(Refusing):
    def refuses(self, x: Array, keep_prob: float, block_size: int) -> str | None:
        return None if block_size % 2 else "block_size must be odd"


@variant("refuses maps that are not square, though it never says so")
class RefusesNonSquare(Refusing):
    def refuses(self, x: Array, keep_prob: float, block_size: int) -> str | None:
        return None if len(set(x.shape[2:])) == 1 else "square maps only"


@variant("refuses keep_prob 0, and says so", Claims(keep_prob_zero=False))
class RefusesZero(Refusing):
    def refuses(self, x: Array, keep_prob: float, block_size: int) -> str | None:
        return None if keep_prob else "keep_prob must be above 0"


@variant("refuses a block larger than the map, and says so", Claims(clips=False))
class RefusesLargeBlocks(Refusing):
    def refuses(self, x: Array, keep_prob: float, block_size: int) -> str | None:
        return None if block_size <= min(x.shape[2:]) else "block_size is larger than the map"


@variant("rounds the factor to half precision", Claims(dtypes=("float32", "float16", "bfloat16")))
class FactorInHalf(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return np.asarray(super().scale(dropped, keep_prob, x), x.dtype).astype(np.float32)


@variant("gives NaN where nothing is kept")
class NanWhereNothingKept(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return super().scale(dropped, keep_prob, x) or np.nan


@variant("takes no seed, and says so", Claims(seedable=False))
class Unseeded(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.own = np.random.default_rng(0)

    def rng(self, seed: int) -> np.random.Generator:
        return self.own


@variant("one mask for a sample's channels, as section 3 has it too, and says so", Claims(per_channel=False))
class SharedByChannels(Honest):
    def dropped(self, x: Array, *args: Any) -> Array:
        return np.broadcast_to(super().dropped(x[:, :1], *args), x.shape)


@variant("counts kept units in float32, which has 24 bits")
class CountsInFloat32(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return np.float32(dropped.size) / np.float32(max(1, np.count_nonzero(~dropped)))


# Wrong ones, each of them among the mutants.
WRONG = (
    *("EqOneOnWholeMap", "GammaWithoutRegion", "BlocksOverTheBorder", "FirstRowNeverSampled", "BlocksNeverOverlap"),
    *("FixedNumberOfBlocks", "HoleInTheBlock", "OneMaskForAll", "SamplesShare", "ScaleByKeepProb", "GradientUnscaled"),
    *("DropsInInference", "DropsPositiveOnly", "ScheduleEarly", "TwinSeeds"),
)
