"""Calls that know of one another: of successive or distant seeds, or of a generator of one's own."""

from typing import Any

import numpy as np

from dropblock_conformance import Claims
from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild
from tests.mutants.wild.hooks import Rng, Sizes

WHAT = "independence"
UNSEEDED = Claims(seedable=False)


class SeedBySample(Honest):
    """A sample is drawn from its own seed."""

    def seed_of(self, seed: int, n: int, samples: int) -> int:
        raise NotImplementedError

    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        if not len(x):
            return np.zeros(x.shape, bool)
        draw = super().dropped
        each = [draw(x[n : n + 1], keep_prob, block_size, self.seed_of(seed, n, len(x))) for n in range(len(x))]
        return np.concatenate(each)


@wild("sample n of seed s is sample 0 of seed s + 7 n", WHAT)
class SeedsSevenApart(SeedBySample):
    def seed_of(self, seed: int, n: int, samples: int) -> int:
        return seed + 7 * n


@wild("sample n is drawn from seed s xor n", WHAT)
class SeedXorSample(SeedBySample):
    def seed_of(self, seed: int, n: int, samples: int) -> int:
        return seed ^ n


@wild("sample n is drawn from seed s * N + n modulo 2^31, so upper bits are lost where N is even", WHAT)
class SeedTimesBatch(SeedBySample):
    def seed_of(self, seed: int, n: int, samples: int) -> int:
        return (seed * samples + n) % 2**31


@wild("sample n is drawn from seed s - n", WHAT)
class SeedMinusSample(SeedBySample):
    def seed_of(self, seed: int, n: int, samples: int) -> int:
        return abs(seed - n)


@wild("samples from 32 on are those of the next seed", WHAT)
class LateSamplesOfTheNextSeed(SeedBySample):
    def seed_of(self, seed: int, n: int, samples: int) -> Any:
        return [seed + n // 32, n % 32]


class SeedByChannel(Honest):
    def seed_of(self, seed: int, c: int) -> Any:
        raise NotImplementedError

    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        if not x.shape[1]:
            return np.zeros(x.shape, bool)
        draw = super().dropped
        each = [draw(x[:, c : c + 1], keep_prob, block_size, self.seed_of(seed, c)) for c in range(x.shape[1])]
        return np.concatenate(each, axis=1)


@wild("channel c is drawn from seed s + 64 c", WHAT)
class ChannelSeedsApart(SeedByChannel):
    def seed_of(self, seed: int, c: int) -> Any:
        return seed + 64 * c


@wild("channels past the eighth are drawn from seed s + 1", WHAT)
class LateChannelsOfTheNextSeed(SeedByChannel):
    def seed_of(self, seed: int, c: int) -> Any:
        return [seed + c // 8, c % 8]


class OfAnotherSeed(Honest):
    """A share of a call's maps is that of another seed's call."""

    share = 0.5

    def other(self, seed: int) -> int:
        raise NotImplementedError

    def seeds(self, rng: Rng, shape: Sizes, gamma: float, x: Array) -> Array:
        own = super().seeds(rng, shape, gamma, x)
        others = super().seeds(np.random.default_rng([1, self.other(self.seed)]), shape, gamma, x)
        is_others = np.random.default_rng([2, self.seed]).random(shape[:2]) < self.share
        return np.where(is_others[(..., *(None,) * (len(shape) - 2))], others, own)

    def rng(self, seed: int) -> Rng:
        self.seed = seed
        return super().rng(seed)


@wild("seeds 2 k and 2 k + 1 share a tenth of their masks", WHAT)
class SuccessiveSeedsAlike(OfAnotherSeed):
    share = 0.33  # both take a map from the pair's: a tenth of the time

    def other(self, seed: int) -> int:
        return seed >> 1


@wild("seeds that differ by 2^20 share half of their maps", WHAT)
class DistantSeedsAlike(OfAnotherSeed):
    share = 0.75

    def other(self, seed: int) -> int:
        return seed % 2**20


@wild("seeds 100 apart share a quarter of their maps", WHAT)
class HundredApartAlike(OfAnotherSeed):
    def other(self, seed: int) -> int:
        return seed % 100


@wild("odd seeds have seeds where the even one before has its largest numbers", WHAT)
class OddSeedsOpposed(Honest):
    is_odd = False

    def rng(self, seed: int) -> Rng:
        self.is_odd = bool(seed % 2)
        return super().rng(seed // 2)

    def seeds(self, rng: Rng, shape: Sizes, gamma: float, x: Array) -> Array:
        u = rng.random(shape, np.float32)
        return np.asarray((1 - u if self.is_odd else u) < gamma)


@wild("odd seeds have the mirror image of the even one before", WHAT)
class OddSeedsMirrored(Honest):
    is_odd = False

    def rng(self, seed: int) -> Rng:
        self.is_odd = bool(seed % 2)
        return super().rng(seed // 2)

    def seeds(self, *args: Any) -> Array:
        seeds = super().seeds(*args)
        return seeds[..., ::-1] if self.is_odd else seeds


class OwnGenerator(Honest):
    """Takes no seed, and says so: `number` says which of its own a call has."""

    claims = UNSEEDED

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def number(self, call: int) -> int:
        raise NotImplementedError

    def rng(self, seed: int) -> Rng:
        self.calls += 1
        return np.random.default_rng([77, self.number(self.calls)])


@wild("without a seed, the masks of 100 calls come again and again", WHAT)
class HundredCallsRecur(OwnGenerator):
    def number(self, call: int) -> int:
        return call % 100


@wild("without a seed, every fifth call repeats the one before", WHAT)
class FifthCallRepeats(OwnGenerator):
    def number(self, call: int) -> int:
        return call - (call % 5 == 0)


@wild("without a seed, every tenth call is the first one", WHAT)
class TenthCallIsTheFirst(OwnGenerator):
    def number(self, call: int) -> int:
        return call if call % 10 else 1


@wild("without a seed, one call in six repeats the third before it", WHAT)
class ThreeCallsBefore(OwnGenerator):
    def number(self, call: int) -> int:
        return call - 3 if call % 6 == 5 else call


@wild("without a seed, a call's samples are those of the call before, moved by one", WHAT)
class SamplesMoveOn(OwnGenerator):
    def number(self, call: int) -> int:
        return call

    def dropped(self, x: Array, *args: Any) -> Array:
        each = []
        first = self.calls
        for n in range(len(x)):
            self.calls = first + n
            each.append(super().dropped(x[n : n + 1], *args))
        self.calls = first + 1
        return np.concatenate(each) if each else np.zeros(x.shape, bool)


@wild("without a seed, a call's last sample is the next one's first", WHAT)
class LastIsTheNextFirst(OwnGenerator):
    def __init__(self) -> None:
        super().__init__()
        self.last: dict[tuple[Sizes, float], Array] = {}

    def number(self, call: int) -> int:
        return call

    def seeds(self, rng: Rng, shape: Sizes, gamma: float, x: Array) -> Array:
        seeds = super().seeds(rng, shape, gamma, x)
        if len(seeds):
            last, self.last[shape[1:], gamma] = self.last.get((shape[1:], gamma), seeds[:1]), seeds[-1:].copy()
            seeds[:1] = last
        return seeds


@wild("without a seed, half of a call's maps are those of the call before", WHAT)
class HalfOfTheCallBefore(OwnGenerator):
    def __init__(self) -> None:
        super().__init__()
        self.before: dict[tuple[Sizes, float], Array] = {}

    def number(self, call: int) -> int:
        return call

    def seeds(self, rng: Rng, shape: Sizes, gamma: float, x: Array) -> Array:
        seeds = super().seeds(rng, shape, gamma, x)
        before = self.before.get((shape, gamma), seeds)
        self.before = {(shape, gamma): seeds}
        return np.where(rng.random((*shape[:2], *(1,) * (len(shape) - 2))) < 0.5, before, seeds)
