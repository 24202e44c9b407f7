"""Anchors, samples and channels that are seeded more, or less, than the others."""

from math import prod

import numpy as np

from tests.mutants.honest import Array
from tests.mutants.wild.hooks import Rng, placed


def again(seeds: Array, rng: Rng, gamma: float) -> Array:
    """Seeds drawn anew."""
    return np.asarray(rng.random(seeds.shape, np.float32) < gamma)


def thinned(seeds: Array, rng: Rng, share: float) -> Array:
    return np.asarray(seeds & (rng.random(seeds.shape) < share))


def flat(seeds: Array) -> Array:
    """A view with the anchors of a map in a row."""
    return seeds.reshape(*seeds.shape[:2], prod(seeds.shape[2:]))


@placed("the first anchor is seeded twice as often")
def first_anchor_twice(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    if flat(seeds).shape[2] > 1:
        flat(seeds)[..., 0] |= again(flat(seeds)[..., 0], rng, gamma)
    return seeds


@placed("the anchor in row 2, column 3 is never seeded")
def third_row_fourth_column(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    if seeds.ndim == 4:
        seeds[:, :, 2:3, 3:4] = False
    return seeds


@placed("the second column of anchors is seeded half as often")
def second_column(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[..., 1:2] = thinned(seeds[..., 1:2], rng, 0.5)
    return seeds


@placed("the last row of anchors is never seeded in the last channel")
def last_row_of_last_channel(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    if seeds.shape[2] > 1:
        seeds[:, -1:, -1] = False
    return seeds


@placed("anchors of even row and column sum are seeded a fifth more often, the others a fifth less")
def checkerboard(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    is_even = np.indices(seeds.shape[2:]).sum(axis=0) % 2 == 0
    if is_even.size == 1:
        return seeds
    return np.where(is_even, seeds | again(seeds, rng, 0.2 * gamma), thinned(seeds, rng, 0.8))


@placed("seeds grow rarer from left to right, by a tenth either way")
def left_to_right(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    wide = seeds.shape[-1]
    share = np.linspace(1.1, 0.9, wide) if wide > 1 else np.ones(1)
    more = again(seeds, rng, gamma) & (rng.random(seeds.shape) < np.maximum(share - 1, 0))
    return np.asarray((seeds & (rng.random(seeds.shape) < share)) | more)


@placed("anchors from the 32nd of a map on are seeded three quarters as often")
def past_a_word(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    flat(seeds)[..., 32:] = thinned(flat(seeds)[..., 32:], rng, 0.75)
    return seeds


@placed("the last anchor of each 32 of a map is never seeded")
def last_of_a_word(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    flat(seeds)[..., 31::32] = False
    return seeds


@placed("anchors from the 4096th of a map on are never seeded")
def past_4096_anchors(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    flat(seeds)[..., 4096:] = False
    return seeds


@placed("anchors in column 96 and beyond are never seeded")
def past_96_columns(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[..., 96:] = False
    return seeds


@placed("row 32 of the anchors is never seeded, where two words meet")
def where_words_meet(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[:, :, 32:33] = False
    return seeds


@placed("the anchors at the border are seeded three quarters as often")
def border_rare(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    is_inner = np.zeros(seeds.shape[2:], bool)
    is_inner[tuple(slice(1, -1) for _ in is_inner.shape)] = True
    return np.where(is_inner | (not is_inner.any()), seeds, thinned(seeds, rng, 0.75))


@placed("the last slice of anchors of a volume is never seeded")
def last_slice_of_anchors(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    if seeds.ndim == 5 and seeds.shape[2] > 1:
        seeds[:, :, -1] = False
    return seeds


@placed("the last anchor of a sequence is never seeded")
def last_anchor_of_a_sequence(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    if seeds.ndim == 3 and seeds.shape[2] > 1:
        seeds[..., -1] = False
    return seeds


@placed("the last sample of an odd number from 3 on is never masked")
def last_of_odd_samples(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    if len(seeds) % 2 and len(seeds) > 1:
        seeds[-1] = False
    return seeds


@placed("the last channel of an odd number from 3 on is never masked")
def last_of_odd_channels(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    if seeds.shape[1] % 2 and seeds.shape[1] > 1:
        seeds[:, -1] = False
    return seeds


@placed("even samples are masked a fifth more often, odd ones a fifth less")
def even_samples_more(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[::2] |= again(seeds[::2], rng, 0.2 * gamma)
    seeds[1::2] = thinned(seeds[1::2], rng, 0.8)
    return seeds


@placed("channel 0 is never masked where there are others")
def channel_zero(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    if seeds.shape[1] > 1:
        seeds[:, 0] = False
    return seeds


@placed("channel 37, and no other, is masked half as often")
def channel_thirty_seven(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[:, 37:38] = thinned(seeds[:, 37:38], rng, 0.5)
    return seeds


@placed("sample 33, and no other, is never masked")
def sample_thirty_three(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[33:34] = False
    return seeds


@placed("samples past the 64th are masked half as often")
def past_64_samples(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[64:] = thinned(seeds[64:], rng, 0.5)
    return seeds


@placed("channels past the 200th are never masked")
def past_200_channels(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    seeds[:, 200:] = False
    return seeds


@placed("the first half of a batch is masked a quarter more, the second a quarter less")
def first_half_more(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    half = len(seeds) // 2
    if half:
        seeds[:half] |= again(seeds[:half], rng, 0.25 * gamma)
        seeds[-half:] = thinned(seeds[-half:], rng, 0.75)
    return seeds


@placed("the middle column of anchors is seeded in the first channel only")
def middle_column_once(seeds: Array, rng: Rng, gamma: float, x: Array) -> Array:
    middle = seeds.shape[-1] // 2
    if seeds.shape[-1] > 2:
        seeds[:, 1:, ..., middle] = False
    return seeds
