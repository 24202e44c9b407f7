"""Subjects that remember: what a seed gives depends on what was asked before."""

from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild
from tests.mutants.wild.hooks import Rng, Sizes

WHAT = "seeds"


class Counting(Honest):
    """Counts its calls; `used(seed)` is drawn from."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.evaluations = self.gradients = 0

    def used(self, seed: int) -> Any:
        raise NotImplementedError

    def rng(self, seed: int) -> Rng:
        self.calls += 1
        return np.random.default_rng(self.used(seed))

    def infer(self, *args: Any) -> Array:
        self.evaluations += 1
        return super().infer(*args)

    def grad(self, *args: Any, **arguments: Any) -> tuple[Array, Array]:
        self.gradients += 1
        return super().grad(*args, **arguments)


@wild("the first call of all has another mask than its seed's", WHAT)
class FirstCallDiffers(Counting):
    def used(self, seed: int) -> Any:
        return seed if self.calls > 1 else seed + 1


@wild("the first twenty calls have other masks than later ones", WHAT)
class WarmsUp(Counting):
    def used(self, seed: int) -> Any:
        return seed if self.calls > 20 else [seed, 1]


@wild("every 50 calls the seeds are others", WHAT)
class DriftsEveryFifty(Counting):
    def used(self, seed: int) -> Any:
        return [seed, self.calls // 50]


@wild("after 400 calls the seeds are others", WHAT)
class ChangesAfter400(Counting):
    def used(self, seed: int) -> Any:
        return [seed, self.calls > 400]


@wild("after 2000 calls the seeds are others", WHAT)
class ChangesAfter2000(Counting):
    def used(self, seed: int) -> Any:
        return [seed, self.calls > 2000]


@wild("every seventh call ignores its seed", WHAT)
class SeventhIgnores(Counting):
    def used(self, seed: int) -> Any:
        return seed if self.calls % 7 else [self.calls, 5]


@wild("every 64th call has the mask of seed 0", WHAT)
class SixtyFourthIsSeedZero(Counting):
    def used(self, seed: int) -> Any:
        return seed if self.calls % 64 else 0


@wild("the first evaluation moves the seeds on", WHAT)
class FirstEvaluationMoves(Counting):
    def used(self, seed: int) -> Any:
        return [seed, self.evaluations > 0]


@wild("every evaluation moves the seed of the next call on", WHAT)
class EvaluationMovesOneCall(Counting):
    seen = 0

    def used(self, seed: int) -> Any:
        moved, self.seen = self.evaluations > self.seen, self.evaluations
        return seed + 1 if moved else seed


@wild("every hundred evaluations move the seeds on", WHAT)
class HundredEvaluationsMove(Counting):
    def used(self, seed: int) -> Any:
        return [seed, self.evaluations // 100]


@wild("every gradient moves the seeds on", WHAT)
class GradientsMove(Counting):
    def used(self, seed: int) -> Any:
        return [seed, self.gradients]


@wild("every ten gradients move the seeds on", WHAT)
class TenGradientsMove(Counting):
    def used(self, seed: int) -> Any:
        return [seed, self.gradients // 10]


@wild("a call with the seed of the call before has the next mask", WHAT)
class SameSeedGoesOn(Counting):
    before: int | None = None
    again = 0

    def used(self, seed: int) -> Any:
        self.again = self.again + 1 if seed == self.before else 0
        self.before = seed
        return [seed, self.again]


@wild("a seed asked for a third time has another mask", WHAT)
class ThirdTimeDiffers(Counting):
    def __init__(self) -> None:
        super().__init__()
        self.times: dict[int, int] = {}

    def used(self, seed: int) -> Any:
        self.times[seed] = self.times.get(seed, 0) + 1
        return [seed, self.times[seed] > 2]


class Caching(Honest):
    """Keeps masks by `key`, at most `limit` of them."""

    limit = 1000

    def __init__(self) -> None:
        super().__init__()
        self.masks: dict[Any, Array] = {}

    def key(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Any:
        raise NotImplementedError

    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        key = self.key(x, keep_prob, block_size, seed)
        if key not in self.masks:
            if len(self.masks) >= self.limit:
                self.masks.clear()
            self.masks[key] = super().dropped(x, keep_prob, block_size, seed)
        return self.masks[key]


@wild("masks are kept by shape and seed: another keep_prob changes nothing", WHAT)
class CacheForgetsKeepProb(Caching):
    def key(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Any:
        return x.shape, block_size, seed


@wild("masks are kept by shape and seed: another block_size changes nothing", WHAT)
class CacheForgetsBlock(Caching):
    def key(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Any:
        return x.shape, keep_prob, seed


@wild("masks are kept by shape and the seed modulo 251", WHAT)
class CacheOfFewSeeds(Caching):
    def key(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Any:
        return x.shape, keep_prob, block_size, seed % 251


@wild("masks of large maps are kept by shape, whatever the seed", WHAT)
class CacheOfLargeMaps(Caching):
    def key(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Any:
        return x.shape, keep_prob, block_size, -1 if max(x.shape[2:], default=0) > 32 else seed


@wild("masks of a block that covers the map are kept by shape, whatever the seed", WHAT)
class CacheOfFullMaps(Caching):
    def key(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Any:
        return x.shape, keep_prob, block_size, -1 if block_size > max(x.shape[2:], default=0) else seed


@wild("eight masks of a shape are made, and the seed chooses among them", WHAT)
class EightMasks(Honest):
    def rng(self, seed: int) -> Rng:
        return np.random.default_rng(seed % 8)


@wild("the seed is used in the first call of a shape only, then its generator goes on", WHAT)
class GeneratorOfAShape(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.generators: dict[Sizes, Rng] = {}

    def seeds(self, rng: Rng, shape: Sizes, gamma: float, x: Array) -> Array:
        return super().seeds(self.generators.setdefault(shape, rng), shape, gamma, x)


@wild("a call that drops nothing makes the next one drop nothing too", WHAT)
class NothingTwice(Honest):
    was_nothing = False

    def dropped(self, x: Array, *args: Any) -> Array:
        dropped = super().dropped(x, *args)
        if self.was_nothing:
            self.was_nothing = False
            return np.zeros_like(dropped)
        self.was_nothing = not dropped.any()
        return dropped
