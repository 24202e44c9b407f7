"""Faults of modes and seeds."""

from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant


@mutant("training=False is ignored", "mode.inference")
class DropsInInference(Honest):
    def infer(self, *args: Any) -> Array:
        return self.train(*args)


@mutant("inference multiplies by keep_prob, as the first dropout did", "mode.inference")
class ScalesInInference(Honest):
    def infer(self, x: Array, keep_prob: float, *_: Any) -> Array:
        return (x * keep_prob).astype(x.dtype)


@mutant("gamma never falls below a thousandth, keep_prob 1 included", "mode.keep_prob_one")
class AlwaysDropsSome(Honest):
    def train(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        dropped = self.dropped(x, min(keep_prob, 0.99), block_size, seed)
        return self.apply(x, dropped, self.scale(dropped, keep_prob, x))


@mutant("the seed is ignored at every second call", "seed.same")
class SeedIgnoredAtTimes(Honest):
    calls = 0

    def rng(self, seed: int) -> np.random.Generator:
        self.calls += 1
        return np.random.default_rng(seed if self.calls % 2 else [seed, self.calls])


@mutant("the same mask at every call", "seed.fresh")
class OneMaskForAll(Honest):
    def rng(self, seed: int) -> np.random.Generator:
        return np.random.default_rng(0)


@mutant("neighbouring seeds give the same mask", "independence.calls")
class SeedLosesItsLastBit(Honest):
    def rng(self, seed: int) -> np.random.Generator:
        return np.random.default_rng(seed >> 1)


@mutant("every 200 calls the seeds are others", "seed.lasting")
class DriftsAfterManyCalls(Honest):
    calls = 0

    def rng(self, seed: int) -> np.random.Generator:
        self.calls += 1
        return np.random.default_rng(seed + self.calls // 200)


@mutant("one bit of the seed is lost", "seed.bits")
class LosesOneBit(Honest):
    def rng(self, seed: int) -> np.random.Generator:
        return np.random.default_rng(seed & ~(1 << 22))
