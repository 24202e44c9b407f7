# SPDX-License-Identifier: Apache-2.0
"""The stream of seeds, stated in plain Python integers: which words are drawn, and what they mean.

This page is normative (`docs/spec.md`, rule R13): same seed and same arguments give the same mask, bit for bit, on
every backend. Seeds are rare, so instead of a number per anchor we draw the gaps between seeds. A gap is geometric:
``P(gap >= j) = (1 - gamma)^j``. Gaps run inside segments of at most 32 anchors, whose seeds fill one machine word.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, Self

MASK32 = 0xFFFFFFFF

# Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
PHILOX_ROUNDS = 10
PHILOX_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
PHILOX_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)


def wide_product(a: Any, m: int) -> tuple[Any, Any]:
    """High and low word of ``a * m``, in integers that hold 64 bits: Python's, or NumPy's uint64."""
    product = a * m
    low = product & MASK32
    product >>= 32  # in place, which spares an array a pass over memory
    return product, low


def repeated(times: int, body: Callable[..., tuple[Any, ...]], state: tuple[Any, ...]) -> tuple[Any, ...]:
    """``state = body(*state)``, `times` times."""
    for _ in range(times):
        state = body(*state)
    return state


def philox(
    counter: Sequence[Any],
    key: Sequence[Any],
    product: Callable[[Any, int], tuple[Any, Any]] = wide_product,
    word: Callable[[int], Any] = int,
    repeat: Callable[..., tuple[Any, ...]] = repeated,
) -> tuple[Any, ...]:
    """Philox4x32-10: four random words for a counter of four words and a key of two.

    `product` multiplies words, `word` makes one of a constant, and `repeat` is a loop: Python's by default, an array
    library's through `words.WordSpace`.

    >>> [hex(x) for x in philox((0, 0, 0, 0), (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    step0, step1, mask = word(PHILOX_KEY_STEPS[0]), word(PHILOX_KEY_STEPS[1]), word(MASK32)

    def one_round(a: Any, b: Any, c: Any, d: Any, k0: Any, k1: Any) -> tuple[Any, ...]:
        (high0, low0), (high1, low1) = product(a, PHILOX_MULTIPLIERS[0]), product(c, PHILOX_MULTIPLIERS[1])
        a, c = high1 ^ b, high0 ^ d
        a ^= k0
        c ^= k1
        return a, low1, c, low0, (k0 + step0) & mask, (k1 + step1) & mask

    return repeat(PHILOX_ROUNDS, one_round, (*counter, *key))[:4]


def philox_key(seed: int) -> tuple[int, int]:
    """The key of a 64-bit seed: its low word, then its high word."""
    return seed & MASK32, seed >> 32


@dataclass(frozen=True)
class Segments:
    """How the anchors of one map fall into segments of at most 32.

    The anchors form `rows` rows of `width`. Rows of up to 32 anchors are packed whole, `packed` of them to a segment;
    longer rows are cut into segments of 32, the last one partly outside the row (`packed` is then 0).
    """

    feat: tuple[int, ...]
    block: tuple[int, ...]

    @classmethod
    def of(cls, feat: Sequence[int], block: Sequence[int]) -> Self:
        """For a map of `feat` and a block that fits it (`validate.block_sides` clips it)."""
        return cls(tuple(feat), tuple(block))

    @cached_property
    def valid(self) -> tuple[int, ...]:
        """Anchors along each axis: ``feat_size - block_size + 1``, the paper's valid seed region."""
        return tuple(f - b + 1 for f, b in zip(self.feat, self.block, strict=True))

    @cached_property
    def rows(self) -> int:
        return prod(self.valid[:-1])

    @cached_property
    def width(self) -> int:
        return self.valid[-1]

    @cached_property
    def units(self) -> int:
        """The number of units of a map."""
        return prod(self.feat)

    @cached_property
    def packed(self) -> int:
        return min(self.rows, 32 // self.width)

    @cached_property
    def cuts(self) -> int:
        """The number of segments that a row is cut into; 1 where rows are packed."""
        return -(-self.width // 32)

    @cached_property
    def length(self) -> int:
        """L, the number of positions in a segment."""
        return self.packed * self.width or 32

    @cached_property
    def per_map(self) -> int:
        """G, the number of segments a map."""
        return -(-self.rows // self.packed) if self.packed else self.rows * self.cuts

    def row_and_column(self, segment: Any, position: Any) -> tuple[Any, Any]:
        """The anchor at a position of a segment; one outside the grid has a row or column past the end."""
        if self.packed:
            return segment * self.packed + position // self.width, position % self.width
        return segment // self.cuts, segment % self.cuts * 32 + position

    @property
    def row_bits(self) -> int:
        """The width of the narrowest words that hold a row of units: 8, 16 or 32; longer rows take several of 32."""
        return 8 if self.feat[-1] <= 8 else 16 if self.feat[-1] <= 16 else 32

    @property
    def seeds_fit(self) -> bool:
        """Whether the seeds, in a word of 32 bits a segment, take at most a bit a unit."""
        return 32 * self.per_map <= self.units


@dataclass(frozen=True)
class Batch:
    """All that a batch's seeds depend on: each sample, numbered from `sample_offset`, has `maps` maps."""

    seed: int
    samples: int
    maps: int
    segments: Segments
    gamma: float
    sample_offset: int = 0
    stream: int = 0


def doublings(side: int) -> Iterator[int]:
    """The shifts whose shift-ors grow one unit to `side` of them: log2(side), rounded up.

    >>> list(doublings(7))
    [1, 2, 3]
    """
    grown = 1
    while grown < side:
        by = min(grown, side - grown)
        yield by
        grown += by


def threshold_word(gamma: float) -> int:
    """t: gamma as a multiple of 2^-32, half to even, at least 1; 0 for gamma = 0, which draws nothing."""
    return max(1, round(gamma * 2**32)) if gamma > 0 else 0


def thresholds(t: int, length: int) -> list[int]:
    """``T_j = floor((1 - gamma)^j * 2^32)`` for j = 1 to `length`, in integers, so that every platform agrees.

    >>> thresholds(threshold_word(0.5), 3)
    [2147483648, 1073741824, 536870912]
    """
    q = 2**32 - t
    table = [q]
    while len(table) < length:
        table.append(table[-1] * q >> 32)
    return table


def literal_seeds(
    seed: int, sample: int, maps: int, segments: Segments, gamma: float, stream: int = 0
) -> Iterator[tuple[int, int, int]]:
    """The seeds of one sample as the specification states them: (map, row, column) of each, one draw at a time.

    `sample` is its number in the whole batch (``sample_offset + n``). The fast form is `mask.seed_positions`, the form
    for any array library `words.seed_words`; both must give these seeds.
    """
    t = threshold_word(gamma)
    if t == 0:
        return
    table = thresholds(t, segments.length)
    for c in range(maps):
        for g in range(segments.per_map):
            s = c * segments.per_map + g
            position = -1
            for k in range(segments.length):
                u = philox((s // 4, sample, k, stream), philox_key(seed))[s % 4]
                gap = sum(u < threshold for threshold in table)
                position += 1 + gap
                if position >= segments.length:
                    break
                row, column = segments.row_and_column(g, position)
                if row < segments.rows and column < segments.width:
                    yield c, row, column
