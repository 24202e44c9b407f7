"""Maps that know of one another: some pairs only, moved, diagonally, in part, or in some calls only."""

from collections.abc import Callable
from math import prod

import numpy as np

from dropblock_conformance import Claims
from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild
from tests.mutants.wild.hooks import Rng, Sizes, placed

WHAT = "independence"


@placed("samples 2 and 45 share their masks, and no others", WHAT)
def two_and_forty_five(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[45:46] = seeds[2:3] if len(seeds) > 45 else seeds[:0]
    return seeds


@placed("channels 10 and 11 share a mask, and no others", WHAT)
def ten_and_eleven(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[:, 11:12] = seeds[:, 10:11] if seeds.shape[1] > 11 else seeds[:, :0]
    return seeds


@placed("the last two samples share their masks", WHAT)
def last_two_samples(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[-1:] = seeds[-2:][:1]
    return seeds


@placed("the last two channels share a mask", WHAT)
def last_two_channels(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[:, -1:] = seeds[:, -2:][:, :1]
    return seeds


@placed("the second half of a batch of even number has the masks of the first", WHAT)
def halves_alike(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    half = len(seeds) // 2
    return np.concatenate([seeds[:half]] * 2) if half and len(seeds) % 2 == 0 else seeds


@placed("even channels of samples 12 apart share a mask", WHAT)
def even_channels_twelve_apart(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    number = np.arange(len(seeds))
    seeds[:, ::2] = seeds[number // 24 * 24 + number % 12][:, ::2]
    return seeds


@placed("the last channel of sample n + 1 is the first of sample n", WHAT)
def last_is_the_first_of_before(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[1:, -1:] = seeds[:-1, :1].copy()
    return seeds


@placed("channel c of sample n is channel c + 16 of sample n - 1: the stride of a sample is 16", WHAT)
def stride_of_sixteen(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    for n in range(1, len(seeds)):
        seeds[n, :-16] = seeds[n - 1, 16:]
    return seeds


@placed("a mask is known by n + c", WHAT)
def known_by_the_sum(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    for n in range(1, len(seeds)):
        seeds[n, :-1] = seeds[n - 1, 1:]
    return seeds


@placed("a mask is known by n * c", WHAT)
def known_by_the_product(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    n, c = np.indices(seeds.shape[:2])
    _, first, again = np.unique((n + 1) * (c + 1), return_index=True, return_inverse=True)
    return seeds.reshape(-1, *seeds.shape[2:])[first[again.reshape(n.shape)]]


@placed("a mask is known by n xor c", WHAT)
def known_by_xor(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    n, c = np.indices(seeds.shape[:2])
    _, first, again = np.unique(n ^ c, return_index=True, return_inverse=True)
    return seeds.reshape(-1, *seeds.shape[2:])[first[again.reshape(n.shape)]]


@placed("channel c of sample n is channel n of sample c", WHAT)
def symmetric(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    n, c = np.indices(seeds.shape[:2])
    is_below = (n > c) & (n < seeds.shape[1])
    seeds[n[is_below], c[is_below]] = seeds[c[is_below], n[is_below]]
    return seeds


@placed("odd samples of square maps are even ones with height and width swapped", WHAT)
def transposed_samples(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    if seeds.ndim > 3 and seeds.shape[-1] == seeds.shape[-2]:
        seeds[1::2] = seeds[: len(seeds) // 2 * 2 : 2].swapaxes(-1, -2)
    return seeds


@placed("channels 13 apart are one another, upside down", WHAT)
def upside_down(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    number = np.arange(seeds.shape[1])
    is_later = number % 26 >= 13
    other = seeds[:, number - 13 * is_later][:, :, ::-1]
    seeds[:, is_later] = other[:, is_later]
    return seeds


@placed("samples 21 apart are one another, a unit further right", WHAT)
def a_unit_further(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    number = np.arange(len(seeds))
    is_later = number % 42 >= 21
    seeds[is_later] = np.roll(seeds[number - 21 * is_later], 1, axis=-1)[is_later]
    return seeds


@placed("odd channels are even ones, moved by half a map", WHAT)
def half_a_map(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    even = seeds[:, : seeds.shape[1] // 2 * 2 : 2]
    seeds[:, 1::2] = np.roll(even, tuple(side // 2 for side in seeds.shape[2:]), axis=tuple(range(2, seeds.ndim)))
    return seeds


def partly(apart: int, axis: int, share: float) -> Callable[[Array, Rng, float, Array], Array]:
    """A share of the maps is the one so far before."""

    def change(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
        before = np.roll(seeds, apart, axis)
        is_alike = rng.random(seeds.shape[:2]) < share
        is_alike[(slice(None),) * axis + (slice(apart),)] = False
        return np.where(is_alike[(..., *(None,) * (seeds.ndim - 2))], before, seeds)

    return change


for function, fault, arguments in (
    ("third_of_samples_24_apart", "samples 24 apart share a third of their masks", (24, 0, 0.33)),
    ("half_of_samples_one_apart", "neighbouring samples share half of their masks", (1, 0, 0.5)),
    ("half_of_channels_32_apart", "channels 32 apart share half of their masks", (32, 1, 0.5)),
    ("half_of_channels_50_apart", "channels 50 apart share half of their masks", (50, 1, 0.5)),
):
    change = partly(*arguments)  # type: ignore[arg-type]
    change.__name__ = function
    placed(fault, WHAT)(change)


class Opposed(Honest):
    """Maps so far apart have seeds where the other has its largest numbers."""

    apart, axis = 11, 0

    def seeds(self, rng: Rng, shape: Sizes, gamma: float, x: Array) -> Array:
        u = np.moveaxis(rng.random(shape, np.float32), self.axis, 0)
        number = np.arange(len(u))
        is_later = number % (2 * self.apart) >= self.apart
        u[is_later] = 1 - u[number - self.apart * is_later][is_later]
        return np.moveaxis(u, 0, self.axis) < gamma


@wild("samples 11 apart have seeds where the other has its largest numbers", WHAT)
class OpposedSamples(Opposed):
    pass


@wild("channels 19 apart have seeds where the other has its largest numbers", WHAT)
class OpposedChannels(Opposed):
    apart, axis = 19, 1


class Sometimes(Honest):
    """All samples share their masks where `is_time` says so."""

    axis = 0

    def is_time(self, shape: Sizes, gamma: float, x: Array) -> bool:
        raise NotImplementedError

    def seeds(self, rng: Rng, shape: Sizes, gamma: float, x: Array) -> Array:
        seeds = super().seeds(rng, shape, gamma, x)
        return np.broadcast_to(seeds.take([0], self.axis), shape).copy() if self.is_time(shape, gamma, x) else seeds


@wild("samples share a mask in one dimension", WHAT)
class SequencesShare(Sometimes):
    def is_time(self, shape: Sizes, gamma: float, x: Array) -> bool:
        return len(shape) == 3 and prod(shape) > 0


@wild("channels share a mask in three dimensions", WHAT)
class VolumesShare(Sometimes):
    axis = 1

    def is_time(self, shape: Sizes, gamma: float, x: Array) -> bool:
        return len(shape) == 5 and prod(shape) > 0


@wild("channels share a mask in float16", WHAT)
class HalfSharesChannels(Sometimes):
    axis = 1

    def is_time(self, shape: Sizes, gamma: float, x: Array) -> bool:
        return x.dtype == np.float16 and prod(shape) > 0


@wild("samples share a mask where the block is the map", WHAT)
class FullMapsShare(Sometimes):
    def is_time(self, shape: Sizes, gamma: float, x: Array) -> bool:
        return prod(shape[2:]) == 1 and prod(shape) > 0


@wild("samples share a mask where blocks are of one unit", WHAT)
class BlockOneShares(Sometimes):
    def is_time(self, shape: Sizes, gamma: float, x: Array) -> bool:
        return shape == x.shape and prod(shape) > 0 and prod(shape[2:]) > 1


@wild("channels share a mask where maps have more than a thousand units", WHAT)
class LargeMapsShare(Sometimes):
    axis = 1

    def is_time(self, shape: Sizes, gamma: float, x: Array) -> bool:
        return prod(x.shape[2:]) > 1000 and prod(shape) > 0


@wild("samples share a mask where there is one channel", WHAT)
class OneChannelShares(Sometimes):
    def is_time(self, shape: Sizes, gamma: float, x: Array) -> bool:
        return shape[1] == 1 and prod(shape) > 0


@wild("samples share a mask in large batches of three channels, as images have", WHAT)
class ImagesShare(Sometimes):
    def is_time(self, shape: Sizes, gamma: float, x: Array) -> bool:
        return shape[1] == 3 and len(x) >= 16 and prod(shape) > 0


@wild("samples 2 apart share the mask that their channels share, as is claimed", WHAT)
class SharedTwoApart(Honest):
    claims = Claims(per_channel=False)

    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        one = super().dropped(x[:, :1], keep_prob, block_size, seed)
        number = np.arange(len(x))
        return np.broadcast_to(one[number // 4 * 4 + number % 2], x.shape)
