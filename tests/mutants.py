"""Wrong DropBlocks, each with one named fault, and the check meant to kill it.

`Honest` is a plain NumPy DropBlock, independent of the reference; a mutant overrides the one step its fault is in. The
suite is only worth its name if Honest conforms and every mutant is killed by the check meant, which
tests/conformance/test_mutants.py shows; that every check kills some mutant shows that none is unable to fail.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from dropblock_conformance import Claims, Subject
from dropblock_conformance.subject import DTYPES

Array = np.ndarray[Any, Any]


class Honest:
    """The paper's DropBlock, a step a method, with a schedule object as frameworks have them."""

    claims = Claims(spatial=(1, 2, 3), dtypes=DTYPES)

    def __init__(self) -> None:
        self.schedules: list[Ticker] = []

    def rng(self, seed: int) -> np.random.Generator:
        return np.random.default_rng(seed)

    def block(self, block_size: int, feat: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(min(block_size, f) for f in feat)

    def gamma(self, keep_prob: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
        valid = prod(f - b + 1 for f, b in zip(feat, block, strict=True))
        return min(1.0, (1 - keep_prob) * prod(feat) / (prod(block) * valid))

    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        return rng.random(shape, np.float32) < gamma

    def grow(self, seeds: Array, block: tuple[int, ...], feat: tuple[int, ...]) -> Array:
        dropped = np.zeros((*seeds.shape[:2], *feat), bool)
        for offset in product(*map(range, block)):
            dropped[(..., *(slice(o, o + v) for o, v in zip(offset, seeds.shape[2:], strict=True)))] |= seeds
        return dropped

    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        feat = x.shape[2:]
        block = self.block(block_size, feat)
        valid = tuple(f - b + 1 for f, b in zip(feat, block, strict=True))
        seeds = self.seeds(self.rng(seed), (*x.shape[:2], *valid), self.gamma(keep_prob, block, feat), x)
        return self.grow(seeds, block, feat)

    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        ones = np.count_nonzero(~dropped)
        return dropped.size / ones if ones else 0.0

    def apply(self, x: Array, dropped: Array, scale: Any) -> Array:
        wide = np.float64 if x.dtype == np.float64 else np.float32
        with np.errstate(over="ignore", invalid="ignore"):  # a fault may make infinity of a scale
            return (np.where(dropped, 0, x).astype(wide) * np.asarray(scale, wide)).astype(x.dtype)

    def train(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        if keep_prob == 1:
            return x
        dropped = self.dropped(x, keep_prob, block_size, seed)
        return self.apply(x, dropped, self.scale(dropped, keep_prob, x))

    def infer(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        return x

    def call(self, x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
        return (self.train if training else self.infer)(x, keep_prob, block_size, seed)

    def grad(self, x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        dropped = self.dropped(x, keep_prob, block_size, seed)
        scale = self.scale(dropped, keep_prob, x)
        return self.apply(x, dropped, scale), self.apply(dy, dropped, scale)

    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return 1 - step / steps * (1 - keep_prob) if step < steps else keep_prob

    def schedule(self, keep_prob: float, steps: int) -> Iterator[float]:
        ticker = Ticker()
        self.schedules.append(ticker)
        for _ in range(steps + 1):
            yield self.value(keep_prob, steps, ticker.step)
            ticker.step += 1
        self.schedules.remove(ticker)

    def subject(self, name: str) -> Subject:
        return Subject(name, self.call, self.claims, self.grad, self.schedule)


@dataclass
class Ticker:
    step: int = 0


@dataclass(frozen=True)
class Mutant:
    name: str
    fault: str
    killer: str
    profile: str
    build: Callable[[], Honest]


MUTANTS: dict[str, Mutant] = {}


def mutant(fault: str, killer: str, profile: str = "quick") -> Callable[[type[Honest]], type[Honest]]:
    def enlist(cls: type[Honest]) -> type[Honest]:
        MUTANTS[cls.__name__] = Mutant(cls.__name__, fault, killer, profile, cls)
        return cls

    return enlist


# --- gamma ---------------------------------------------------------------------------------------------------------


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


# --- where seeds fall ------------------------------------------------------------------------------------------------


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


# --- the shape of a block --------------------------------------------------------------------------------------------


@mutant("a hole in the middle of the block", "mask.blocks")
class HoleInTheBlock(Honest):
    def grow(self, seeds: Array, block: tuple[int, ...], feat: tuple[int, ...]) -> Array:
        whole = super().grow(seeds, block, feat)
        if min(block) >= 3:
            middle = tuple(slice(b // 2, b // 2 + v) for b, v in zip(block, seeds.shape[2:], strict=True))
            whole[(..., *middle)] &= ~seeds
        return whole


@mutant("the block is one row short", "mask.blocks")
class BlockOneRowShort(Honest):
    def grow(self, seeds: Array, block: tuple[int, ...], feat: tuple[int, ...]) -> Array:
        return super().grow(seeds, (max(1, block[0] - 1), *block[1:]), feat)


@mutant("an even block is dropped as the next odd one", "law.even_block")
class EvenBlocksGrow(Honest):
    def block(self, block_size: int, feat: tuple[int, ...]) -> tuple[int, ...]:
        odd = block_size + (block_size % 2 == 0)
        return tuple(min(odd if odd <= min(feat) else block_size, f) for f in feat)

    def gamma(self, keep_prob: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
        return super().gamma(keep_prob, tuple(b - (b == 5) for b in block), feat)


@mutant("a block larger than the map is clipped to a square", "mask.clipped")
class ClippedToASquare(Honest):
    def block(self, block_size: int, feat: tuple[int, ...]) -> tuple[int, ...]:
        return (min(block_size, *feat),) * len(feat)


@mutant("block 1 drops whole maps", "law.dropout")
class BlockOneIsSpatial(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        if shape[2:] != x.shape[2:]:
            return super().seeds(rng, shape, gamma, x)
        return np.broadcast_to(rng.random((*shape[:2], *(1,) * (x.ndim - 2))) < gamma, shape)


# --- who shares a mask ----------------------------------------------------------------------------------------------


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


# --- renormalisation -------------------------------------------------------------------------------------------------


@mutant("the scale is 1 / keep_prob", "scale.claimed")
class ScaleByKeepProb(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return 1 / keep_prob if keep_prob else 0.0


@mutant("the count runs over each sample where the tensor is claimed", "scale.claimed")
class ScalePerSample(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        axes = tuple(range(1, x.ndim))
        ones = np.count_nonzero(~dropped, axis=axes, keepdims=True)
        return dropped[0].size / np.maximum(ones, 1)


@mutant("the count counts the padding too", "scale.claimed")
class CountsOneTooMany(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return (dropped.size + 1) / max(1, np.count_nonzero(~dropped))


@mutant("1e-6 is added to the count, lest it be 0", "scale.claimed")
class CountsAnEpsilonMore(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return dropped.size / (np.count_nonzero(~dropped) + 1e-6)


class CountsIn(Honest):
    """Counts by adding ones in the activations' dtype."""

    counted_in: str

    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        if x.dtype != self.counted_in:
            return super().scale(dropped, keep_prob, x)
        with np.errstate(over="ignore"):  # beyond its range a dtype has infinity
            ones = np.asarray(np.count_nonzero(~dropped), np.float64).astype(x.dtype)
        return float(np.float64(dropped.size) / np.float64(ones))


@mutant("the count is held in float16: past 65,504 kept units the output is all zeros", "scale.float16")
class CountsInFloat16(CountsIn):
    counted_in = "float16"


@mutant("the count is held in bfloat16", "scale.bfloat16")
class CountsInBfloat16(CountsIn):
    counted_in = "bfloat16"


@mutant("the count adds ones in float32 and stops at 2^24", "scale.large")
class CountStops(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return dropped.size / max(1, min(2**24, np.count_nonzero(~dropped)))


@mutant("NaN where nothing is kept: 0 / 0", "values.nothing_kept")
class NothingKeptIsNan(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        ones = np.count_nonzero(~dropped)
        return dropped.size / ones if ones else np.inf

    def apply(self, x: Array, dropped: Array, scale: Any) -> Array:
        return super().apply(x, dropped, scale) if np.isfinite(scale) else np.full_like(x, np.nan)

    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        return np.nan_to_num(y), np.nan_to_num(dx)


# --- values ----------------------------------------------------------------------------------------------------------


@mutant("the mask is multiplied, so NaN goes through", "values.dropped_zero")
class MultipliesByMask(Honest):
    def train(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        with np.errstate(invalid="ignore"):
            y = super().train(x, keep_prob, block_size, seed)
            return np.where(y == 0, x * np.zeros_like(x), y)


@mutant("only positive activations are dropped", "mask.ignores_values")
class DropsPositiveOnly(Honest):
    def dropped(self, x: Array, *args: Any) -> Array:
        return super().dropped(x, *args) & (x > 0)


@mutant("the caller's input is overwritten", "output.dtype")
class OverwritesInput(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        x[...] = super().train(x, *args)
        return x.copy()


@mutant("float32 comes back as float64", "output.dtype")
class ReturnsFloat64(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        return super().train(x, *args).astype(np.float64)


@mutant("masks are laid out in memory order, whatever the strides", "output.layout")
class MemoryOrder(Honest):
    def dropped(self, x: Array, *args: Any) -> Array:
        dropped = super().dropped(x, *args)
        return dropped if x.flags.c_contiguous else np.ascontiguousarray(dropped[..., ::-1])


@mutant("uniform numbers in float16 are too coarse for a small gamma", "law.float16")
class CoarseFloat16(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        levels = 2**11 if x.dtype == np.float16 else 2**24
        return np.floor(rng.random(shape) * levels) / levels < gamma


@mutant("uniform numbers in bfloat16 never exceed 1 - gamma: nothing is ever dropped", "law.bfloat16")
class NeverDropsInBfloat16(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        if x.dtype.name != "bfloat16":
            return super().seeds(rng, shape, gamma, x)
        return np.floor(rng.random(shape) * 256) / 256 > float(np.asarray(1 - gamma, x.dtype))


# --- modes and seeds ------------------------------------------------------------------------------------------------


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


# --- gradients ------------------------------------------------------------------------------------------------------


@mutant("the gradient goes through another mask", "gradient.mask")
class GradientOfAnotherMask(Honest):
    def grad(self, x: Array, dy: Array, *, seed: int, **arguments: Any) -> tuple[Array, Array]:
        return super().grad(x, dy, seed=seed, **arguments)[0], super().grad(x, dy, seed=seed + 1, **arguments)[1]


@mutant("the gradient is not scaled", "gradient.scale")
class GradientUnscaled(Honest):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        return y, np.where(dx == 0, dx, dy)


@mutant("the gradient is multiplied by the mask, so infinity becomes NaN", "gradient.nonfinite")
class GradientMultiplied(Honest):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        with np.errstate(invalid="ignore"):
            return y, np.where(y == 0, dy * np.zeros_like(dy), dx)


@mutant("the gradient is NaN where nothing is kept", "gradient.nothing_kept")
class GradientNanWhereNothingKept(Honest):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        return y, dx if y.any() else np.full_like(dx, np.nan)


# --- schedules ------------------------------------------------------------------------------------------------------


@mutant("the schedule is one step early", "schedule.ends")
class ScheduleEarly(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return super().value(keep_prob, steps, step + 1)


@mutant("the schedule has steps values in place of steps + 1", "schedule.linear")
class ScheduleOffByOne(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return super().value(keep_prob, max(steps - 1, min(steps, 1)), step)


@mutant("the schedule never quite arrives", "schedule.ends")
class ScheduleNeverArrives(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return 1 - step / (steps + 1) * (1 - keep_prob) if steps else keep_prob


@mutant("an evaluation advances the schedule", "schedule.evaluation")
class EvaluationAdvances(Honest):
    def infer(self, x: Array, *args: Any) -> Array:
        for ticker in self.schedules:
            ticker.step += 1
        return x


@mutant("every forward call advances the schedule", "schedule.training_calls")
class ForwardAdvances(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        for ticker in self.schedules:
            ticker.step += 1
        return super().train(x, *args)
