"""How many blocks a map has, where they are to one another, and what a block is."""

import numpy as np

from dropblock_conformance import Claims
from tests.mutants.honest import Array
from tests.mutants.wild.hooks import Rng, Sizes, grown, placed
from tests.mutants.wild.positions import flat

FLAT = Claims()


def only(seeds: Array, allowed: Array) -> Array:
    """The first seeds of each map in the order of its anchors, so many as are allowed."""
    row = flat(seeds)
    return np.asarray(row & (np.cumsum(row, axis=-1) <= allowed[..., None])).reshape(seeds.shape)


@placed("a map has one block at most")
def one_block_at_most(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    return only(seeds, np.ones(seeds.shape[:2], int))


@placed("a map has three blocks at most")
def three_blocks_at_most(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    return only(seeds, np.full(seeds.shape[:2], 3))


@placed("a map has eight blocks at most")
def eight_blocks_at_most(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    return only(seeds, np.full(seeds.shape[:2], 8))


@placed("a map has 32 blocks at most")
def blocks_of_a_word_at_most(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    return only(seeds, np.full(seeds.shape[:2], 32))


@placed("a map has an odd number of blocks, or none")
def odd_number_of_blocks(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    number = flat(seeds).sum(axis=-1)
    return only(seeds, np.where(number > 0, number - (number % 2 == 0), 0))


@placed("a map has no two seeds in a row of anchors")
def one_seed_a_row(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    return np.asarray(seeds & (np.cumsum(seeds, axis=-1) == 1))


@placed("no two seeds are side by side")
def none_side_by_side(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    kept = seeds.copy()
    for column in range(1, seeds.shape[-1]):
        kept[..., column] &= ~kept[..., column - 1]
    return kept


@placed("of each 32 anchors one is seeded at most")
def one_seed_a_word(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    row = flat(seeds)
    for first in range(0, row.shape[-1], 32):
        part = row[..., first : first + 32]
        part &= np.cumsum(part, axis=-1) == 1
    return seeds


@placed("one in twenty maps without a block gets one in the first place", claims=FLAT)
def at_least_one(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    if gamma > 0:
        flat(seeds)[..., 0] |= ~flat(seeds).any(axis=-1) & (rng.random(seeds.shape[:2]) < 0.05)
    return seeds


@placed("the right half of the anchors is the left one's mirror image", claims=FLAT)
def right_mirrors_left(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    half = seeds.shape[-1] // 2
    if half:
        seeds[..., -half:] = seeds[..., :half][..., ::-1]
    return seeds


@placed("the lower half of the anchors is the upper one again", claims=FLAT)
def lower_is_upper(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    half = seeds.shape[2] // 2
    if half:
        seeds[:, :, -half:] = seeds[:, :, :half]
    return seeds


@placed("anchors 5 rows and 2 columns apart are seeded together", claims=FLAT)
def five_rows_two_columns(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[:, :, 5:10, 2:] = seeds[:, :, :5, :-2][:, :, : seeds[:, :, 5:10].shape[2]]
    return seeds


@placed("the numbers of a row of anchors are evenly spread: one in each slice of [0, 1)", claims=FLAT)
def evenly_spread_rows(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    order = rng.random(seeds.shape).argsort(axis=-1)
    return np.asarray((order + rng.random(seeds.shape)) / max(1, seeds.shape[-1]) < gamma)


@placed("a sample has the expected number of blocks, over its channels", claims=FLAT)
def blocks_of_a_sample(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    u = rng.random((len(seeds), int(np.prod(seeds.shape[1:]))))
    number = np.floor(u.shape[1] * gamma + rng.random((len(seeds), 1)))
    return np.asarray(u.argsort(axis=-1).argsort(axis=-1) < number).reshape(seeds.shape)


@grown("a unit in two blocks is kept again: blocks are added modulo 2")
def blocks_modulo_two(whole: Array, seeds: Array, block: Sizes) -> Array:
    number = np.zeros(whole.shape, np.int64)
    for offset in np.ndindex(*block):
        number[(..., *(slice(o, o + v) for o, v in zip(offset, seeds.shape[2:], strict=True)))] += seeds
    return np.asarray(number % 2 == 1)


@grown("a block of 5 and more is round: its corners are kept")
def round_blocks(whole: Array, seeds: Array, block: Sizes) -> Array:
    if len(block) != 2 or min(block) < 5:
        return whole
    corners = [(0, 0), (0, block[1] - 1), (block[0] - 1, 0), (block[0] - 1, block[1] - 1)]
    dropped = np.zeros_like(whole)
    for offset in np.ndindex(*block):
        if offset not in corners:
            dropped[(..., *(slice(o, o + v) for o, v in zip(offset, seeds.shape[2:], strict=True)))] |= seeds
    return dropped


@grown("a block at the right end is a column short")
def short_at_the_end(whole: Array, seeds: Array, block: Sizes) -> Array:
    if block[-1] > 1:
        whole[..., -1] = False
    return whole


@grown("a block of 9 and more has a hole in its middle")
def hole_in_large_blocks(whole: Array, seeds: Array, block: Sizes) -> Array:
    if min(block) >= 9:
        middle = tuple(slice(b // 2, b // 2 + v) for b, v in zip(block, seeds.shape[2:], strict=True))
        whole[(..., *middle)] &= ~seeds
    return whole


@grown("in one dimension a block of more than 4 has 4 units")
def short_blocks_in_sequences(whole: Array, seeds: Array, block: Sizes) -> Array:
    if len(block) > 1 or block[0] <= 4:
        return whole
    dropped = np.zeros_like(whole)
    for offset in range(4):
        dropped[..., offset : offset + seeds.shape[-1]] |= seeds
    return dropped


@grown("in three dimensions a block is two deep at most")
def flat_blocks_in_volumes(whole: Array, seeds: Array, block: Sizes) -> Array:
    if len(block) < 3 or block[0] <= 2:
        return whole
    deep = np.zeros_like(whole)
    plane = whole_of_slice(seeds, block, whole.shape)
    for offset in range(2):
        deep[:, :, offset : offset + seeds.shape[2]] |= plane
    return deep


def whole_of_slice(seeds: Array, block: Sizes, shape: Sizes) -> Array:
    """The blocks of a slice of anchors, in it alone."""
    plane = np.zeros((*shape[:2], seeds.shape[2], *shape[3:]), bool)
    for row, column in np.ndindex(*block[1:]):
        plane[..., row : row + seeds.shape[3], column : column + seeds.shape[4]] |= seeds
    return plane


@grown("a gap of one unit between two blocks is closed")
def gaps_closed(whole: Array, seeds: Array, block: Sizes) -> Array:
    closed = whole.copy()
    closed[..., 1:-1] |= whole[..., :-2] & whole[..., 2:]
    return closed


@grown("samples from 16 on have blocks of a row less")
def short_in_late_samples(whole: Array, seeds: Array, block: Sizes) -> Array:
    if block[0] > 1:
        whole[16:, :, 1:] &= whole[16:, :, :-1]
    return whole


@grown("the last channel of more than 3 keeps the first unit of each block")
def first_unit_of_the_last_channel(whole: Array, seeds: Array, block: Sizes) -> Array:
    if whole.shape[1] > 3 and max(block) > 1:
        first = tuple(slice(0, v) for v in seeds.shape[2:])
        whole[(slice(None), -1, *first)] &= ~seeds[:, -1]
    return whole


@grown("blocks of 6 are dropped a column further right, around the end")
def six_further_right(whole: Array, seeds: Array, block: Sizes) -> Array:
    return np.roll(whole, 1, axis=-1) if block[-1] == 6 else whole


@grown("the last row is kept in one call in eight")
def now_and_then_a_row(whole: Array, seeds: Array, block: Sizes) -> Array:
    if block[0] > 1 and np.count_nonzero(seeds) % 8 == 7:
        whole[:, :, -1] = False
    return whole
