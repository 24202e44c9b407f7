"""Faults of the law at some sizes, places or probabilities only."""

from math import prod
from typing import Any

import numpy as np

from dropblock_conformance import Claims
from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant

Sizes = tuple[int, ...]


class OffAt(Honest):
    """Gamma is a fifth too small where `is_off` says so."""

    def is_off(self, keep_prob: float, block: Sizes, feat: Sizes) -> bool:
        raise NotImplementedError

    def gamma(self, keep_prob: float, block: Sizes, feat: Sizes) -> float:
        right = super().gamma(keep_prob, block, feat)
        return 0.8 * right if self.is_off(keep_prob, block, feat) else right


@mutant("gamma is off on maps of one axis", "law.rank1")
class OffInRankOne(OffAt):
    def is_off(self, keep_prob: float, block: Sizes, feat: Sizes) -> bool:
        return len(feat) == 1


@mutant("gamma is off on maps of three axes", "law.rank3")
class OffInRankThree(OffAt):
    def is_off(self, keep_prob: float, block: Sizes, feat: Sizes) -> bool:
        return len(feat) == 3


@mutant("gamma is off on tall maps", "law.tall")
class OffOnTall(OffAt):
    def is_off(self, keep_prob: float, block: Sizes, feat: Sizes) -> bool:
        return feat[0] > feat[-1]


@mutant("gamma is off on wide maps", "law.wide")
class OffOnWide(OffAt):
    def is_off(self, keep_prob: float, block: Sizes, feat: Sizes) -> bool:
        return feat[0] < feat[-1]


@mutant("gamma is off where the block is the map", "law.full_map")
class OffOnFullMap(OffAt):
    def is_off(self, keep_prob: float, block: Sizes, feat: Sizes) -> bool:
        return block == feat


@mutant("gamma is off for even blocks", "law.even_block")
class OffForEvenBlocks(OffAt):
    def is_off(self, keep_prob: float, block: Sizes, feat: Sizes) -> bool:
        return block[0] % 2 == 0


@mutant("gamma is off for blocks of one unit", "law.dropout")
class OffForBlockOne(OffAt):
    def is_off(self, keep_prob: float, block: Sizes, feat: Sizes) -> bool:
        return prod(block) == 1


@mutant("gamma is off for keep_prob above 0.95", "law.float16")
class OffNearOne(OffAt):
    def is_off(self, keep_prob: float, block: Sizes, feat: Sizes) -> bool:
        return keep_prob > 0.95


@mutant("gamma is off for keep_prob below a tenth", "law.keep_prob_zero")
class OffNearZero(OffAt):
    def is_off(self, keep_prob: float, block: Sizes, feat: Sizes) -> bool:
        return keep_prob < 0.1


@mutant("gamma is off for keep_prob between 0.25 and 0.45", "law.corners")
class OffInABand(OffAt):
    def is_off(self, keep_prob: float, block: Sizes, feat: Sizes) -> bool:
        return 0.25 < keep_prob < 0.45


KNOWN = [(14, 14), (7, 7), (5, 9), (3, 70), (70, 3), (6, 6), (3, 3), (5, 5), (9, 9), (16, 16), (4, 4), (6, 7), (5, 6)]


@mutant("gamma is right at sizes that a suite is known to ask for, and nowhere else", "law.drawn")
class RightWhereAsked(OffAt):
    claims = Claims()

    def is_off(self, keep_prob: float, block: Sizes, feat: Sizes) -> bool:
        return feat not in KNOWN


@mutant("gamma is off on maps of more than 20 units a side", "law.drawn")
class OffOnLargeMaps(OffAt):
    claims = Claims()

    def is_off(self, keep_prob: float, block: Sizes, feat: Sizes) -> bool:
        return min(feat) > 20


class Placed(Honest):
    """Seeds are drawn anew, or left out, where `spared` says so: ``[samples, channels, *valid]``."""

    def spared(self, rng: np.random.Generator, seeds: Array) -> Array:
        raise NotImplementedError

    def seeds(self, rng: np.random.Generator, shape: Sizes, gamma: float, x: Array) -> Array:
        seeds = super().seeds(rng, shape, gamma, x)
        return seeds & ~self.spared(rng, seeds)


def at(seeds: Array, *index: Any) -> Array:
    """True at these indices of the seeds."""
    where = np.zeros(seeds.shape, bool)
    where[index] = True
    return where


@mutant("the last anchor is never drawn", "law.corners")
class LastAnchorNeverDrawn(Placed):
    def spared(self, rng: np.random.Generator, seeds: Array) -> Array:
        return at(seeds, ..., *(-1,) * (seeds.ndim - 2)) if max(seeds.shape[2:]) > 1 else at(seeds, slice(0))


@mutant("the last column of anchors is drawn half as often", "law.corners")
class LastColumnRare(Placed):
    def spared(self, rng: np.random.Generator, seeds: Array) -> Array:
        return at(seeds, ..., -1) & (rng.random(seeds.shape) < 0.5) if seeds.shape[-1] > 1 else at(seeds, slice(0))


@mutant("the last channel of a wide batch is never masked", "law.each_channel")
class LastChannelSpared(Placed):
    def spared(self, rng: np.random.Generator, seeds: Array) -> Array:
        return at(seeds, slice(None), -1) if seeds.shape[1] >= 100 else at(seeds, slice(0))


@mutant("the first sample of a large batch is never masked", "law.each_sample")
class FirstSampleSpared(Placed):
    def spared(self, rng: np.random.Generator, seeds: Array) -> Array:
        return at(seeds, 0) if len(seeds) >= 100 else at(seeds, slice(0))


@mutant("every 64th sample is never masked", "law.each_sample")
class SixtyFourthSpared(Placed):
    def spared(self, rng: np.random.Generator, seeds: Array) -> Array:
        return at(seeds, slice(63, None, 64))


@mutant("every 32nd channel is masked half as often", "law.each_channel")
class ThirtySecondRare(Placed):
    def spared(self, rng: np.random.Generator, seeds: Array) -> Array:
        return at(seeds, slice(None), slice(31, None, 32)) & (rng.random(seeds.shape) < 0.5)


class Limited(Honest):
    """A rule on the number of seeds of a map."""

    def allowed(self, number: Array) -> Array:
        raise NotImplementedError

    def seeds(self, *args: Any) -> Array:
        seeds = super().seeds(*args)
        flat = seeds.reshape(*seeds.shape[:2], -1)
        rank = np.cumsum(flat, axis=-1)
        return (flat & (rank <= self.allowed(flat.sum(axis=-1))[..., None])).reshape(seeds.shape)


@mutant("a map has two blocks at most", "law.low_keep_prob")
class TwoBlocksAtMost(Limited):
    def allowed(self, number: Array) -> Array:
        return np.minimum(number, 2)


@mutant("a map has an even number of blocks, or one", "law.corners")
class EvenNumberOfBlocks(Limited):
    def allowed(self, number: Array) -> Array:
        return np.where(number > 1, number // 2 * 2, number)


@mutant("where there would be one block there is none", "law.one_block")
class NoSingleBlock(Limited):
    def allowed(self, number: Array) -> Array:
        return np.where(number == 1, 0, number)
