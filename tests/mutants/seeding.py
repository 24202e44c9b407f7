"""Faults of what a seed is."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant


def seeding(name: str, fault: str, used: Callable[[int], int], killer: str = "seed.bits") -> None:
    """A mutant that draws from `used(seed)` in place of the seed."""

    def rng(self: Honest, seed: int) -> np.random.Generator:
        return np.random.default_rng(used(seed))

    mutant(fault, killer)(type(name, (Honest,), {"rng": rng, "__module__": __name__}))


for bit in (0, 1, 7, 8, 15, 16, 24, 30):
    seeding(f"LosesBit{bit}", f"bit {bit} of the seed is lost", lambda seed, bit=bit: seed & ~(1 << bit))  # type: ignore[misc]
seeding("SeedOfSixteenBits", "the seed is cut to 16 bits", lambda seed: seed % 2**16)
seeding("SeedOfAThousand", "the seed is taken modulo 1000", lambda seed: seed % 1000)
seeding(
    "SeedFolded", "the upper bits of the seed are folded into the lower 16", lambda seed: (seed ^ seed >> 16) % 2**16
)
seeding("SeedAsFloat32", "the seed goes through float32, which has 24 bits", lambda seed: int(np.float32(seed)))
seeding("SixtyFourSeeds", "seeds 64 apart are one", lambda seed: seed % 64, "independence.all_calls")


@mutant("every evaluation moves the seeds on", "seed.lasting")
class EvaluationDraws(Honest):
    evaluations = 0

    def infer(self, x: Array, *_: Any) -> Array:
        self.evaluations += 1
        return x

    def rng(self, seed: int) -> np.random.Generator:
        return np.random.default_rng([seed, self.evaluations // 20])


@mutant("the mask of the call before is used again where the shape is the same", "seed.fresh")
class KeepsTheLastMask(Honest):
    last: Array | None = None

    def dropped(self, x: Array, *args: Any) -> Array:
        if self.last is None or self.last.shape != x.shape:
            self.last = super().dropped(x, *args)
        return self.last


@mutant("every tenth call has the mask of the first of its shape", "seed.lasting")
class TenthCallRepeats(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.first: dict[tuple[int, ...], Array] = {}

    def dropped(self, x: Array, *args: Any) -> Array:
        self.calls += 1
        dropped = super().dropped(x, *args)
        first = self.first.setdefault(x.shape, dropped)
        return first if self.calls % 10 == 0 else dropped
