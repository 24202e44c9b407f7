"""Other formulas for gamma, near to Eq. (1), and numbers too short for it."""

from functools import cache
from math import ceil, exp, log, prod
from typing import Any

import numpy as np

from dropblock_conformance import Claims
from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild
from tests.mutants.wild.hooks import Rng, Sizes, law, placed
from tests.mutants.wild.scopes import Expected

FLAT = Claims()


def valid(block: Sizes, feat: Sizes) -> Sizes:
    return tuple(f - b + 1 for f, b in zip(feat, block, strict=True))


@law("gamma is 4% too large", FLAT)
def four_percent(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return 1.04 * right


@law("gamma is 2.5% too small", FLAT)
def two_and_a_half_percent_less(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return 0.975 * right


@law("gamma is turned into a rate: 1 - exp(-gamma)")
def as_a_rate(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return 1 - exp(-right)


@law("gamma is -log(1 - gamma), the rate for blocks that may fall twice")
def as_a_logarithm(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return -log(1 - right) if right < 1 else 1.0


@law("gamma counts one anchor too many an axis where there are several")
def anchor_too_many(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return right * prod(v / (v + 1) if v > 1 else 1 for v in valid(block, feat))


@law("gamma counts one anchor too few an axis where there are several")
def anchor_too_few(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return right * prod(v / (v - 1) if v > 1 else 1 for v in valid(block, feat))


@law("gamma takes the mean of the sides")
def mean_side(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    side, b = sum(feat) / len(feat), sum(block) / len(block)
    return (1 - keep_prob) * (side / b / (side - b + 1)) ** len(feat)


@law("gamma takes the root of the area for a side")
def root_of_the_area(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    rank = len(feat)
    side, b = prod(feat) ** (1 / rank), prod(block) ** (1 / rank)
    return (1 - keep_prob) * prod(feat) / prod(block) / (side - b + 1) ** rank


@law("gamma takes the shorter side for both")
def shorter_side(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    rank = len(feat)
    return Honest().gamma(keep_prob, (min(block),) * rank, (min(feat),) * rank)


@law("gamma takes the depth's block for all axes of a volume")
def depth_for_all(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return Honest().gamma(keep_prob, tuple(min(block[0], f) for f in feat), feat)


@law("gamma's products are held in 16 bits")
def products_in_16_bits(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return (1 - keep_prob) * prod(feat) / max(1, prod(block) * prod(valid(block, feat)) % 2**16)


@law("a side of more than 100 is taken for 100 in gamma's area")
def sides_up_to_100(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return right * prod(min(f, 100) / f for f in feat)


@law("keep_prob is rounded to twentieths")
def keep_prob_in_twentieths(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return Honest().gamma(round(keep_prob * 20) / 20, block, feat)


@law("keep_prob is rounded to hundredths")
def keep_prob_in_hundredths(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return Honest().gamma(round(keep_prob, 2), block, feat)


@law("keep_prob is held in bfloat16")
def keep_prob_in_bfloat16(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    bits = np.float32(keep_prob).view(np.uint32)
    return Honest().gamma(float((bits & np.uint32(0xFFFF0000)).view(np.float32)), block, feat)


@law("gamma has three decimals")
def gamma_in_thousandths(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return round(right, 3)


@law("gamma is a number of 256ths, rounded up")
def gamma_in_bytes(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return ceil(right * 256) / 256


@law("gamma is at least a thousandth wherever something is dropped")
def gamma_from_a_thousandth(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return max(0.001, right) if keep_prob < 1 else right


@law("gamma is at most a half")
def gamma_up_to_a_half(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return min(0.5, right)


@law("gamma is solved for, so that keep_prob of the units are kept, which Eq. (1) does not", FLAT)
def calibrated(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return float(np.interp(keep_prob, *reversed(kept_at(block, feat))))


@cache
def kept_at(block: Sizes, feat: Sizes) -> tuple[Any, Any]:
    """The expected share kept at many gammas, from the largest."""
    gammas = np.geomspace(1, 1e-7, 200)
    x, each = np.empty((1, 1, *feat), bool), []
    for gamma in gammas:
        at = Fixed()
        at.fixed, at.size = float(gamma), block
        each.append(float(at.share(0.0, x).mean()))
    return gammas, np.asarray(each)


class Fixed(Expected):
    fixed: float

    def gamma(self, *_: Any) -> float:
        return self.fixed


@law("the share dropped is that of overlapping blocks: 1 - keep_prob goes through a logarithm", FLAT)
def through_a_logarithm(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return right * -log(keep_prob) / (1 - keep_prob) if 0.3 < keep_prob < 1 else right


@law("one and three dimensions use the square of the block, 2 axes' worth")
def square_in_all_ranks(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return right * prod(block) / max(block) ** 2 if len(block) != 2 else right


@law("gamma is 15% too small where the block covers the width and not the height", FLAT)
def covered_width(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    return right * 0.85 if block[-1] == feat[-1] > 1 and block[0] < feat[0] else right


@law("gamma of a rectangle is the mean of two squares'", FLAT)
def mean_of_two_squares(right: float, keep_prob: float, block: Sizes, feat: Sizes) -> float:
    first, last = (Honest().gamma(keep_prob, (block[i],) * 2, (feat[i],) * 2) for i in (0, -1))
    return (first + last) / 2 if feat[0] != feat[-1] else right


class Varying(Honest):
    """Gamma has the right mean and varies: `factor` is drawn anew for what `shape` says."""

    factor = (0.0, 2.0)

    def shape(self, shape: Sizes) -> Sizes:
        raise NotImplementedError

    def seeds(self, rng: Rng, shape: Sizes, gamma: float, x: Array) -> Array:
        u = rng.random(shape, np.float32)
        return np.asarray(u < gamma * rng.choice(self.factor, self.shape(shape)))


@wild("a call is masked twice as much or not at all", "law")
class CallsVary(Varying):
    def shape(self, shape: Sizes) -> Sizes:
        return (1,) * len(shape)


@wild("a sample is masked half as much again or half as much", "law")
class SamplesVary(Varying):
    factor = (0.5, 1.5)

    def shape(self, shape: Sizes) -> Sizes:
        return (shape[0], *(1,) * (len(shape) - 1))


@wild("a map is masked twice as much or not at all", "law")
class MapsVary(Varying):
    def shape(self, shape: Sizes) -> Sizes:
        return (*shape[:2], *(1,) * (len(shape) - 2))


@wild("a channel is masked by 1.3 or 0.7 of gamma in all samples of a call", "law")
class ChannelsVary(Varying):
    factor = (0.7, 1.3)

    def shape(self, shape: Sizes) -> Sizes:
        return (1, shape[1], *(1,) * (len(shape) - 2))


@placed("uniform numbers have 12 bits, so gamma is a number of 4096ths")
def twelve_bits(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    return np.asarray(np.floor(rng.random(seeds.shape) * 4096) / 4096 < gamma)


@placed("uniform numbers are rounded to two decimals")
def two_decimals(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    return np.asarray(np.round(rng.random(seeds.shape), 2) < gamma)
