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
