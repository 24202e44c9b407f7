"""Faults of who shares a mask."""

from typing import Any

import numpy as np

from dropblock_conformance import Claims
from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant


@mutant("neighbouring channels share a mask", "independence.channels")
class NeighboursShare(Honest):
    def seeds(self, *args: Any) -> Array:
        seeds = super().seeds(*args)
        return seeds[:, np.arange(seeds.shape[1]) // 2 * 2]


@mutant("every fourth channel shares a mask: a lane of the generator is used twice", "independence.channels")
class LanesShared(Honest):
    def seeds(self, *args: Any) -> Array:
        seeds = super().seeds(*args)
        channel = np.arange(seeds.shape[1])
        return seeds[:, channel // 8 * 8 + channel % 4]


@mutant("neighbouring channels share a fifth of their masks", "independence.channels")
class NeighboursAlike(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        seeds = super().seeds(rng, shape, gamma, x)
        alike = rng.random(shape[:2]) < 0.2
        alike[:, ::2] = False
        return np.where(alike[(..., *(None,) * len(shape[2:]))], np.roll(seeds, 1, axis=1), seeds)


@mutant("all samples share their masks", "independence.samples")
class SamplesShare(Honest):
    def seeds(self, *args: Any) -> Array:
        seeds = super().seeds(*args)
        return np.broadcast_to(seeds[:1], seeds.shape).copy()


@mutant("a mask per channel where one for all is claimed", "mask.shared")
class NotShared(Honest):
    claims = Claims(per_channel=False)


@mutant("a mask per sample where one for all is claimed", "mask.shared")
class NotSharedBySamples(Honest):
    claims = Claims(per_sample=False)


@mutant("sample 200 has the masks of sample 3, mirrored", "independence.all_samples")
class MirrorsASample(Honest):
    def seeds(self, *args: Any) -> Array:
        seeds = super().seeds(*args)
        if len(seeds) > 200:
            seeds[200] = seeds[3][..., ::-1]
        return seeds


@mutant("the last channel has the mask of the fourth, shifted by a block", "independence.all_channels")
class ShiftsAChannel(Honest):
    def seeds(self, *args: Any) -> Array:
        seeds = super().seeds(*args)
        if seeds.shape[1] > 8:
            seeds[:, -1] = np.roll(seeds[:, 3], 3, axis=-1)
        return seeds


@mutant("sample n of seed s is sample 0 of seed s + n", "independence.all_calls")
class SamplesAreSeeds(Honest):
    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        each = [
            super(SamplesAreSeeds, self).dropped(x[n : n + 1], keep_prob, block_size, seed + n) for n in range(len(x))
        ]
        return np.concatenate(each) if each else np.zeros(x.shape, bool)
