"""Faults of gamma."""

from math import prod
from typing import Any

from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant


@mutant("gamma is 3% too large", "law.paper", "standard")
class GammaThreePercent(Honest):
    def gamma(self, *args: Any) -> float:
        return min(1.0, 1.03 * super().gamma(*args))


@mutant("gamma is 5% too small", "law.paper")
class GammaFivePercentLess(Honest):
    def gamma(self, *args: Any) -> float:
        return 0.95 * super().gamma(*args)


@mutant("gamma forgets the valid region: (1 - keep_prob) / block_size^2", "law.paper")
class GammaWithoutRegion(Honest):
    def gamma(self, keep_prob: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
        return (1 - keep_prob) / prod(block)


@mutant("gamma takes the height for the width", "law.non_square")
class GammaOfASquare(Honest):
    def gamma(self, keep_prob: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
        return super().gamma(keep_prob, block, feat[:1] * len(feat))


@mutant("gamma clips the block to the shorter side on every axis", "law.clipped")
class GammaClippedTooFar(Honest):
    def gamma(self, keep_prob: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
        return super().gamma(keep_prob, (min(block),) * len(block), feat)


@mutant("gamma in one dimension divides by block_size^2", "law.rank1")
class GammaSquaredInRankOne(Honest):
    def gamma(self, keep_prob: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
        return super().gamma(keep_prob, block, feat) / (block[0] if len(block) == 1 else 1)


@mutant("gamma in three dimensions forgets the depth", "law.rank3")
class GammaWithoutDepth(Honest):
    def gamma(self, keep_prob: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
        return super().gamma(keep_prob, block[-2:], feat[-2:])


@mutant("gamma is kept from the first size of map it saw", "law.drawn")
class GammaCached(Honest):
    known: float | None = None

    def gamma(self, *args: Any) -> float:
        if self.known is None:
            self.known = super().gamma(*args)
        return self.known


@mutant("gamma is capped at 0.1, 'to be safe'", "law.low_keep_prob")
class GammaCapped(Honest):
    def gamma(self, *args: Any) -> float:
        return min(0.1, super().gamma(*args))


@mutant("keep_prob 0 drops everything", "law.keep_prob_zero")
class ZeroDropsAll(Honest):
    def gamma(self, keep_prob: float, *args: Any) -> float:
        return 1.0 if keep_prob == 0 else super().gamma(keep_prob, *args)


@mutant("gamma is half of what it should be where the batch has one sample", "law.special")
class HalfForOneSample(Honest):
    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        return super().dropped(x, (1 + keep_prob) / 2 if len(x) == 1 else keep_prob, block_size, seed)


@mutant("gamma is half of what it should be on maps of one row", "law.special")
class HalfOnOneRow(Honest):
    def gamma(self, keep_prob: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
        return super().gamma(keep_prob, block, feat) / (2 if len(feat) == 2 and feat[0] == 1 else 1)
