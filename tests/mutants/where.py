"""Faults of where seeds fall."""

from math import prod
from typing import Any

import numpy as np

from dropblock_conformance import Claims
from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant


class SeedsOnWholeMap(Honest):
    """Seeds everywhere, as centres, blocks hanging over the border: the max-pool formulation."""

    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        feat = x.shape[2:]
        block = self.block(block_size, feat)
        seeds = self.seeds(self.rng(seed), x.shape, self.gamma(keep_prob, block, feat), x)
        padded = self.grow(seeds, block, tuple(f + b - 1 for f, b in zip(feat, block, strict=True)))
        return padded[(..., *(slice(b // 2, b // 2 + f) for f, b in zip(feat, block, strict=True)))]


@mutant("Eq. (1) with seeds on the whole map: 93% dropped at 7x7", "law.full_map")
class EqOneOnWholeMap(SeedsOnWholeMap):
    pass


@mutant("blocks hang over the border, gamma adjusted", "mask.blocks")
class BlocksOverTheBorder(SeedsOnWholeMap):
    def gamma(self, keep_prob: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
        return (1 - keep_prob) / prod(block)


@mutant("the first row of anchors is never sampled", "law.corners")
class FirstRowNeverSampled(Honest):
    def seeds(self, *args: Any) -> Array:
        seeds = super().seeds(*args)
        if seeds.shape[2] > 1:
            seeds[:, :, 0] = False
        return seeds


@mutant("anchors in the middle are sampled a tenth too rarely", "law.anchors")
class MiddleTooRare(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        seeds = super().seeds(rng, shape, gamma, x)
        middle = (..., *(v // 2 for v in shape[2:]))
        seeds[middle] &= rng.random(shape[:2]) > 0.1
        return seeds


@mutant("no seeds past the 64th column", "law.wide")
class SixtyFourColumns(Honest):
    def seeds(self, *args: Any) -> Array:
        seeds = super().seeds(*args)
        seeds[..., 64:] = False
        return seeds


@mutant("seeds whose blocks would overlap an earlier one are rejected", "law.one_block")
class BlocksNeverOverlap(Honest):
    def grow(self, seeds: Array, block: tuple[int, ...], feat: tuple[int, ...]) -> Array:
        taken = np.zeros((*seeds.shape[:2], *feat), bool)
        for anchor in np.ndindex(*seeds.shape[2:]):
            where = (..., *(slice(a, a + b) for a, b in zip(anchor, block, strict=True)))
            free = ~taken[where].any(axis=tuple(range(2, taken.ndim)))
            start = seeds[(..., *anchor)] & free
            taken[where] |= start[(..., *(None,) * len(block))]
        return taken


@mutant("a fixed number of blocks a map, the expected one", "law.one_block")
class FixedNumberOfBlocks(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        anchors = prod(shape[2:])
        rank = rng.random((*shape[:2], anchors), np.float32).argsort(axis=-1)
        number = anchors * gamma
        number = np.floor(number) + (rng.random((*shape[:2], 1)) < number % 1)
        return (rank < number).reshape(shape)


@mutant("seeds come in twos, at half the rate", "law.pairs")
class TwinSeeds(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        seeds = super().seeds(rng, shape, 1 - np.sqrt(1 - gamma), x)
        return seeds | np.roll(seeds, 1, axis=-1)


@mutant("rows past the 64th are never seeded", "law.tall")
class SixtyFourRows(Honest):
    def seeds(self, *args: Any) -> Array:
        seeds = super().seeds(*args)
        seeds[:, :, 64:] = False
        return seeds


@mutant("one anchor in the middle is never drawn", "law.each_unit")
class OneAnchorNeverDrawn(Honest):
    def seeds(self, *args: Any) -> Array:
        seeds = super().seeds(*args)
        if min(seeds.shape[2:]) >= 7:
            seeds[(..., *(side // 2 for side in seeds.shape[2:]))] = False
        return seeds


@mutant("the last sample of a large batch is masked half as often", "law.each_sample")
class LastSampleSpared(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        seeds = super().seeds(rng, shape, gamma, x)
        if len(seeds) >= 64:
            seeds[-1] &= rng.random(seeds[-1].shape) < 0.5
        return seeds


@mutant("the channels after the hundredth are never masked", "law.each_channel")
class AHundredChannels(Honest):
    def seeds(self, *args: Any) -> Array:
        seeds = super().seeds(*args)
        seeds[:, 100:] = False
        return seeds


@mutant("gamma is right on squares, and takes the longer of sides that differ", "law.everywhere")
class GammaOfTheLongerSide(Honest):
    claims = Claims()

    def gamma(self, keep_prob: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
        return super().gamma(keep_prob, block, (max(feat),) * len(feat))
