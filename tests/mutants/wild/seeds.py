"""Seeds of which something is lost, for all of a call or for a part of it."""

from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild
from tests.mutants.wild.hooks import Rng, Sizes, placed, seeded

WHAT = "seeds"


@seeded("bit 4 of the seed is lost")
def without_bit_4(seed: int) -> int:
    return seed & ~(1 << 4)


@seeded("bit 12 of the seed is lost")
def without_bit_12(seed: int) -> int:
    return seed & ~(1 << 12)


@seeded("bit 23 of the seed is lost")
def without_bit_23(seed: int) -> int:
    return seed & ~(1 << 23)


@seeded("bit 29 of the seed is lost")
def without_bit_29(seed: int) -> int:
    return seed & ~(1 << 29)


@seeded("bit 3 of the seed is lost where bit 30 is set")
def without_bit_3_when_large(seed: int) -> int:
    return seed & ~(1 << 3) if seed >> 30 else seed


@seeded("bit 17 of the seed is a copy of bit 18")
def bit_17_for_18(seed: int) -> int:
    return seed & ~(1 << 17) | (seed >> 18 & 1) << 17


@seeded("a seed is taken modulo a million")
def modulo_a_million(seed: int) -> int:
    return seed % 10**6


@seeded("a seed is taken modulo 65,521")
def modulo_a_prime(seed: int) -> int:
    return seed % 65521


@seeded("a seed is taken modulo 2^24")
def modulo_24_bits(seed: int) -> int:
    return seed % 2**24


@seeded("the bytes of a seed are added")
def bytes_added(seed: int) -> int:
    return sum(seed.to_bytes(4, "little"))


@seeded("the bytes of a seed come in any order")
def bytes_sorted(seed: int) -> list[int]:
    return sorted(seed.to_bytes(4, "little"))


@seeded("a seed is folded to 24 bits, the upper eight over the lowest")
def folded_to_24(seed: int) -> int:
    return (seed ^ seed >> 24) % 2**24


@seeded("a seed's sign is lost: it is read as 16 bits and made positive")
def sign_of_16_bits(seed: int) -> list[int]:
    low = seed % 2**16
    return [seed >> 16, min(low, 2**16 - low)]


@seeded("seeds from 2^30 on are 2^30")
def up_to_2_to_30(seed: int) -> int:
    return min(seed, 2**30)


@seeded("a seed of more than ten million is rounded to tens")
def large_in_tens(seed: int) -> int:
    return seed // 10 * 10 if seed > 10**7 else seed


@seeded("seed 0 is replaced by 1")
def zero_is_one(seed: int) -> int:
    return seed or 1


@seeded("a seed is multiplied by an even number modulo 2^31, so its highest bit is lost")
def even_multiplier(seed: int) -> int:
    return seed * 0x5DEECE66 % 2**31


class SeededInPart(Honest):
    """Maps for which `is_fixed` are those of seed 0 whatever the seed."""

    def is_fixed(self, n: Array, c: Array) -> Array:
        raise NotImplementedError

    def seeds(self, rng: Rng, shape: Sizes, gamma: float, x: Array) -> Array:
        own = super().seeds(rng, shape, gamma, x)
        fixed = super().seeds(np.random.default_rng(0), shape, gamma, x)
        is_fixed = self.is_fixed(*np.indices(shape[:2]))
        return np.where(is_fixed[(..., *(None,) * (len(shape) - 2))], fixed, own)


@wild("samples from 32 on have the same masks whatever the seed", WHAT)
class LateSamplesUnseeded(SeededInPart):
    def is_fixed(self, n: Array, c: Array) -> Array:
        return n >= 32


@wild("channels from 64 on have the same masks whatever the seed", WHAT)
class LateChannelsUnseeded(SeededInPart):
    def is_fixed(self, n: Array, c: Array) -> Array:
        return c >= 64


@wild("every sixteenth channel has the same mask whatever the seed", WHAT)
class SixteenthUnseeded(SeededInPart):
    def is_fixed(self, n: Array, c: Array) -> Array:
        return c % 16 == 15


@wild("the last sample has the same masks whatever the seed", WHAT)
class LastSampleUnseeded(SeededInPart):
    def is_fixed(self, n: Array, c: Array) -> Array:
        return (n == n.max(initial=0)) & (n > 0)


@placed("the last row of anchors is seeded alike in all calls of a shape", WHAT)
def last_row_unseeded(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    last = seeds[:, :, -1:]
    if seeds.shape[2] > 1:
        last[...] = np.random.default_rng(3).random(last.shape) < gamma
    return seeds


@wild("bit 9 of the seed is lost in float16", WHAT)
class HalfLosesABit(Honest):
    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        return super().dropped(x, keep_prob, block_size, seed & ~(1 << 9) if x.dtype == np.float16 else seed)


@wild("bit 0 of the seed is lost for more than 64 channels", WHAT)
class WideLosesABit(Honest):
    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        return super().dropped(x, keep_prob, block_size, seed & ~1 if x.shape[1] > 64 else seed)


@wild("the upper 15 bits of the seed are lost in one and in three dimensions", WHAT)
class OtherRanksLoseBits(Honest):
    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        return super().dropped(x, keep_prob, block_size, seed if x.ndim == 4 else seed % 2**16)


@wild("bit 10 of the seed is lost where a gradient is asked for", WHAT)
class GradientLosesABit(Honest):
    def grad(self, x: Array, dy: Array, *, seed: int, **arguments: Any) -> tuple[Array, Array]:
        return super().grad(x, dy, seed=seed & ~(1 << 10), **arguments)


@wild("bit 2 of the seed is lost for keep_prob below a half", WHAT)
class LowKeepProbLosesABit(Honest):
    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        return super().dropped(x, keep_prob, block_size, seed & ~4 if keep_prob < 0.5 else seed)
