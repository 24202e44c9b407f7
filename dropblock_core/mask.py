# SPDX-License-Identifier: Apache-2.0
"""Seeds and masks in NumPy, fast. The other backends are compared with these, at sizes that people train at.

The seeds are those of `stream.literal_seeds`, bit for bit. Only the segments that still hold a seed go on to the next
draw: at 14x14, block 7, keep_prob 0.9 these are 18% after the first and 2% after the second.
"""

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from dropblock_core import validate
from dropblock_core.stream import Batch, Segments, doublings, philox, philox_key, threshold_word, thresholds

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# Sizes of a chunk that keep its arrays in a core's cache: generator counters, and bytes of mask.
CHUNK_COUNTERS = 2**14
CHUNK_BYTES = 2**18


def sample_seeds(
    seed: int,
    samples: int,
    maps: int,
    feat_size: int | tuple[int, ...],
    block_size: int | tuple[int, ...],
    gamma: float,
    *,
    sample_offset: int = 0,
    stream: int = 0,
) -> Bools:
    """Line 5 of Algorithm 1: sample the seeds of a batch from the stream that all backends share (rule R13).

    Args:
        seed: 64 bits.
        samples, maps: the batch, and the masks a sample has: its channels, or 1 for a mask they share.
        feat_size, block_size: as in :func:`dropblock_core.gamma`.
        gamma: probability in [0, 1] that an anchor is a seed.
        sample_offset: number of the first sample in the whole batch; shards of a batch then get the batch's masks.
        stream: 32 bits that tell apart layers which share a seed.

    Returns:
        bool ``[samples, maps, *(feat_size - block_size + 1)]``, True = a seed at this anchor.

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it.

    >>> np.argwhere(sample_seeds(0, samples=2, maps=3, feat_size=14, block_size=7, gamma=0.00625))[:3].tolist()
    [[0, 0, 6, 4], [0, 0, 7, 6], [0, 2, 0, 4]]
    """
    seed = validate.seed_word(seed)
    samples = validate.size("samples", samples)
    maps = validate.size("maps", maps)
    feat = validate.feat_sizes(feat_size)
    segments = Segments.of(feat, validate.block_sides(block_size, feat))
    gamma = validate.probability("gamma", gamma)
    sample_offset = validate.counter_word("sample_offset", sample_offset, span=samples)
    stream = validate.counter_word("stream", stream)

    seeds = np.zeros((samples, maps, *segments.valid), bool)
    batch = Batch(seed, samples, maps, segments, gamma, sample_offset, stream)
    for map_number, row, column in seed_positions(batch):
        seeds.reshape(-1)[map_number * prod(segments.valid) + row * segments.width + column] = True
    return seeds


def block_mask(seeds: Bools, block_size: int | tuple[int, ...], feat_size: int | tuple[int, ...]) -> Bools:
    """Line 6 of Algorithm 1: every seed zeroes its block.

    Args:
        seeds: bool ``[samples, maps, *(feat_size - block_size + 1)]``, as :func:`sample_seeds` returns.
        block_size, feat_size: as in :func:`dropblock_core.gamma`.

    Returns:
        The mask M, bool ``[samples, maps, *feat_size]``, True = kept.

    Raises:
        ValueError, TypeError: an argument breaks rule R14, or the shapes do not fit; the message names it.

    >>> block_mask(np.array([[[False, True, False]]]), 2, (4,)).astype(int)
    array([[[1, 0, 0, 1]]])
    """
    feat = validate.feat_sizes(feat_size)
    block = validate.block_sides(block_size, feat)
    valid = tuple(f - b + 1 for f, b in zip(feat, block, strict=True))
    seeds = validate.seed_array(seeds, (*np.shape(seeds)[:2], *valid))
    dropped = np.zeros((*seeds.shape[:2], *feat), bool)
    anchors: Any = (..., *(slice(v) for v in valid))
    dropped[anchors] = seeds
    return ~grow_blocks(dropped, block, feat)


def dropped_units(batch: Batch) -> Bools:
    """Lines 5 and 6 at once: bool ``[samples, maps, *feat_size]``, True = dropped."""
    segments, feat = batch.segments, batch.segments.feat
    dropped = np.zeros((batch.samples, batch.maps, *feat), bool)
    row_start = row_starts(segments)
    for map_number, row, column in seed_positions(batch):
        dropped.reshape(-1)[map_number * segments.units + row_start[row] + column] = True
    return grow_blocks(dropped, segments.block, feat)


def row_starts(segments: Segments) -> Ints:
    """Where each row of anchors starts in a map, in units."""
    units = np.arange(segments.units, dtype=np.int64).reshape(segments.feat)
    return units[tuple(slice(v) for v in segments.valid)][..., 0].reshape(-1)


def grow_blocks(dropped: Bools, block: tuple[int, ...], feat: tuple[int, ...]) -> Bools:
    """Grow each True unit of ``[samples, maps, *feat]`` to its block, in place.

    Every anchor's block lies inside the map, so a shift of the flat array never carries a block into the next row or
    map. One long shift-or therefore serves all maps: log2(block_size) passes an axis.
    """
    maps = dropped.reshape(-1, prod(feat))
    step = max(1, CHUNK_BYTES // maps.shape[1])
    for start in range(0, maps.shape[0], step):
        flat = maps[start : start + step].reshape(-1)
        for axis, side in enumerate(block):
            stride = prod(feat[axis + 1 :])
            for by in doublings(side):
                flat[by * stride :] |= flat[: -by * stride]
    return dropped


def seed_positions(batch: Batch) -> list[tuple[Ints, Ints, Ints]]:
    """All seeds of a batch, as (number of the map in the batch, row and column of the anchor), in some order."""
    segments = batch.segments
    t, length = threshold_word(batch.gamma), segments.length
    per_sample = batch.maps * segments.per_map
    if t == 0 or per_sample == 0:
        return []
    gaps = Gaps(t, length)
    key = tuple(_word(half) for half in philox_key(batch.seed))
    found = []
    step = max(1, 4 * CHUNK_COUNTERS // per_sample)
    for first in range(0, batch.samples, step):
        # The samples' numbers in the whole batch are the counters' second word.
        numbers = np.arange(first, min(first + step, batch.samples)) + batch.sample_offset
        u = _first_draws(numbers, per_sample, key, batch.stream).reshape(-1)
        active = np.flatnonzero(u >= gaps.ascending[0])  # the others' first gap leaves the segment
        position = gaps(u[active])
        for k in range(1, length + 1):
            number, s = first + active // per_sample, active % per_sample
            row, column = segments.row_and_column(s % segments.per_map, position)
            on_grid = (row < segments.rows) & (column < segments.width)
            found.append(((number * batch.maps + s // segments.per_map)[on_grid], row[on_grid], column[on_grid]))
            going = position < length - 1
            active, position = active[going], position[going]
            if not active.size:
                break
            u = _draws(active, numbers, per_sample, k, key, batch.stream)
            position = position + 1 + gaps(u)
            inside = position < length
            active, position = active[inside], position[inside]
    return found


class Gaps:
    """``gap(u) = #{j: u < T_j}`` of many draws.

    A table indexed by the leading bits of u counts most thresholds; comparisons count the few inside its cell. This
    takes a fifth of the time of a binary search. With a small gamma a cell has many thresholds, and a binary search is
    used: then there are few draws to look up.
    """

    CELL_BITS = 22
    MOST_A_CELL = 3

    def __init__(self, t: int, length: int) -> None:
        self.length = length
        # A last threshold that no draw reaches ends the comparisons.
        self.ascending = np.array([*thresholds(t, length)[::-1], 2**32], np.uint64)
        edges = np.arange(2 ** (32 - self.CELL_BITS) + 1, dtype=np.uint64) << np.uint64(self.CELL_BITS)
        self.table = np.searchsorted(self.ascending[:-1], edges, side="right")
        self.most = int(np.diff(self.table).max())

    def __call__(self, u: npt.NDArray[np.uint64]) -> Ints:
        if self.most > self.MOST_A_CELL:
            return self.length - np.searchsorted(self.ascending, u, side="right")
        reached = self.table.take((u >> np.uint64(self.CELL_BITS)).view(np.int64))
        for _ in range(self.most):
            reached += self.ascending.take(reached) <= u
        return self.length - reached


def _word(value: int) -> npt.NDArray[np.uint64]:
    """An array of one element: NumPy 1 turns a uint64 scalar times an int into a float."""
    return np.array([value], np.uint64)


def _first_draws(numbers: Ints, per_sample: int, key: tuple[Any, ...], stream: int) -> npt.NDArray[np.uint64]:
    """``u_0`` of every segment of the samples, ``[samples, segments]``."""
    groups = -(-per_sample // 4)
    counter = (np.arange(groups, dtype=np.uint64), numbers.astype(np.uint64)[:, None], _word(0), _word(stream))
    lanes = philox(counter, key, word=np.uint64)
    return np.stack(lanes, axis=-1).reshape(numbers.size, 4 * groups)[:, :per_sample]


def _draws(
    active: Ints, numbers: Ints, per_sample: int, k: int, key: tuple[Any, ...], stream: int
) -> npt.NDArray[np.uint64]:
    """``u_k`` of the active segments, given in ascending order; four neighbours share one call of the generator."""
    n, s = active // per_sample, active % per_sample
    group = n * -(-per_sample // 4) + s // 4
    is_first = np.diff(group, prepend=-1) != 0
    counter = ((s[is_first] // 4).astype(np.uint64), numbers[n[is_first]].astype(np.uint64), _word(k), _word(stream))
    lanes: npt.NDArray[np.uint64] = np.stack(philox(counter, key, word=np.uint64), axis=-1)
    u: npt.NDArray[np.uint64] = lanes[np.cumsum(is_first) - 1, s % 4]
    return u
