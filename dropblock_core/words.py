# SPDX-License-Identifier: Apache-2.0
"""The word algebra: lines 5 and 6 on bits of 32-bit words, over any array library.

It is written once, over an array namespace (array-api-compat), and its integers never need more than 32 bits. NumPy,
PyTorch, JAX and any other library run the same lines, eagerly or inside their compilers. An adapter adds what is
native: where the seed comes from, how to differentiate, its compiler's loops, its own kernels.

A map of words is an integer array ``[..., *feat_size[:-1], ceil(feat_size[-1] / 32)]``; bit i of word w is unit
``32 * w + i`` of its row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Self

from dropblock_core import arrays
from dropblock_core.renorm import scope_axes
from dropblock_core.stream import (
    MASK32,
    Batch,
    Segments,
    doublings,
    philox,
    philox_key,
    repeated,
    threshold_word,
    thresholds,
)


@dataclass(frozen=True)
class WordSpace:
    """Where words live: an array namespace, the integer dtype that carries 32 bits, and a device.

    The dtype may be wider than 32 bits: no result ever is. uint32 serves wherever a library computes with it.
    """

    xp: Any
    dtype: Any
    device: Any = None

    @classmethod
    def beside(cls, x: Any) -> Self:
        """Words in the library and on the device of the array `x`."""
        xp = arrays.compat.array_namespace(x)
        # PyTorch has uint32 arrays but few operations on them.
        dtype = xp.int64 if arrays.is_torch(xp) else xp.uint32
        return cls(xp, dtype, arrays.compat.device(x))

    def word(self, value: Any) -> Any:
        """An int, or nested lists of them, as words."""
        return self.xp.asarray(value, dtype=self.dtype, device=self.device)

    def arange(self, stop: int) -> Any:
        return self.xp.arange(stop, dtype=self.dtype, device=self.device)

    def product(self, a: Any, m: int) -> tuple[Any, Any]:
        """High and low word of ``a * m``."""
        return limb_product(a, m)

    def cut(self, x: Any) -> Any:
        """`x` without the bits above 32, which a shift to the left makes where the dtype is wider."""
        return x & self.word(MASK32)

    def loop(
        self, going: Callable[..., Any], body: Callable[..., Any], state: tuple[Any, ...], at_most: int
    ) -> tuple[Any, ...]:
        """``while going(*state): state = body(*state)``. An adapter puts its compiler's loop here.

        It ends after `at_most` rounds, and one round too many changes nothing that matters.
        """
        while bool(going(*state)):
            state = body(*state)
        return state

    def repeat(self, times: int, body: Callable[..., tuple[Any, ...]], state: tuple[Any, ...]) -> tuple[Any, ...]:
        """``state = body(*state)``, `times` times. An adapter takes :meth:`counted` where that is fast."""
        return repeated(times, body, state)

    def counted(self, times: int, body: Callable[..., tuple[Any, ...]], state: tuple[Any, ...]) -> tuple[Any, ...]:
        """The same in a loop. An adapter puts its compiler's here, and lets it know how many rounds there are."""
        return repeated(times, body, state)

    def together(self, four: tuple[Any, ...]) -> tuple[Any, ...]:
        """Four arrays as one, to work on them at once. A compiler may do better with the four."""
        return (self.xp.stack(four),)

    def held(self, *made: Any) -> tuple[Any, ...]:
        """`made` as it is. An adapter has its compiler write it once, not make it anew wherever it is read."""
        return made

    def gap(self, u: Any, table: Any) -> Any:
        """``#{j : u < T_j}``: how many anchors to skip before the next seed."""
        skipped = self.xp.zeros(u.shape, dtype=self.dtype, device=self.device)
        for j in range(table.shape[0]):
            skipped = skipped + self.xp.astype(u < table[j], self.dtype)
        return skipped

    def zeros_like(self, x: Any, axis: int, size: int) -> Any:
        """Zero words of the shape of `x`, but `size` along `axis`."""
        shape = list(x.shape)
        shape[axis] = size
        return self.xp.zeros(tuple(shape), dtype=self.dtype, device=self.device)


class FixedDraws(WordSpace):
    """Words for the compiler of a GPU, where the host runs a loop, and waits after each round unless it knows how many.

    So there are as many draws as there may be seeds in a segment. The four words of a call of the generator stay apart,
    so that they are made in one kernel, with their seeds.
    """

    A_ROUND = 2  # draws: more rounds cost launches, longer ones cost compilation

    def loop(
        self, going: Callable[..., Any], body: Callable[..., Any], state: tuple[Any, ...], at_most: int
    ) -> tuple[Any, ...]:
        def draws(*state: Any) -> tuple[Any, ...]:
            return self.repeat(min(self.A_ROUND, at_most), body, state)

        rounds = -(-at_most // self.A_ROUND)
        return draws(*state) if rounds == 1 else self.counted(rounds, draws, state)

    def together(self, four: tuple[Any, ...]) -> tuple[Any, ...]:
        return four


def limb_product(a: Any, m: Any) -> tuple[Any, Any]:
    """High and low word of ``a * m`` in 32-bit integers, by 16-bit limbs: no intermediate exceeds 32 bits."""
    a1, a0, m1, m0 = a >> 16, a & 0xFFFF, m >> 16, m & 0xFFFF
    low, cross0, cross1 = a0 * m0, a0 * m1, a1 * m0
    middle = (low >> 16) + (cross0 & 0xFFFF) + (cross1 & 0xFFFF)
    high = a1 * m1 + (cross0 >> 16) + (cross1 >> 16) + (middle >> 16)
    return high, (low & 0xFFFF) | ((middle & 0xFFFF) << 16)


def seed_words(space: WordSpace, batch: Batch) -> Any:
    """The seeds as one word a segment, ``[samples, maps, G]``: bit p is set where position p holds a seed."""
    segments, t = batch.segments, threshold_word(batch.gamma)
    if t == 0:  # draws nothing, and its thresholds, 2^32, are no words
        return space.xp.zeros((batch.samples, batch.maps, segments.per_map), dtype=space.dtype, device=space.device)
    key = [space.word(half) for half in philox_key(batch.seed)]
    numbers = space.word([batch.sample_offset + n for n in range(batch.samples)])
    table = space.word(thresholds(t, segments.length))
    return drawn_words(space, key, numbers, batch.maps, segments, table, space.word(batch.stream))


def drawn_words(
    space: WordSpace, key: Sequence[Any], numbers: Any, maps: int, segments: Segments, table: Any, stream: Any
) -> Any:
    """:func:`seed_words` from arrays that a compiler may trace: key, samples' numbers, thresholds ``[T_1, ...]``."""
    xp = space.xp
    per_sample = maps * segments.per_map
    shape = (numbers.shape[0], -(-per_sample // 4))
    groups, samples = space.arange(shape[1])[None, :], numbers[:, None]
    groups, samples = space.held(xp.broadcast_to(groups, shape), xp.broadcast_to(samples, shape))
    stream = xp.broadcast_to(stream, shape)
    zeros = space.together(4 * (xp.zeros(shape, dtype=space.dtype, device=space.device),))

    def going(k: Any, *state: Any) -> Any:
        return reduce(or_, (xp.any(position < segments.length) for position in state[: len(zeros)]))

    def next_seed(k: Any, *state: Any) -> tuple[Any, ...]:
        # The four words of a call of the generator are the draws of segments 4g to 4g + 3 of its sample.
        drawn = philox(
            (groups, samples, xp.broadcast_to(k, shape), stream), key, space.product, space.word, space.repeat
        )
        after, found = [], []
        for u, begin, bits in zip(space.together(drawn), state[: len(zeros)], state[len(zeros) :], strict=True):
            position = begin + space.gap(u, table)
            inside = xp.astype(position < segments.length, space.dtype)
            after.append(position + 1)
            # A shift past the word is undefined, so a position outside shifts a 0 by 0.
            found.append(bits | (inside << (position * inside)))
        return k + 1, *after, *found

    _, *state = space.loop(going, next_seed, (space.word(0), *zeros, *zeros), at_most=segments.length)
    bits = state[-1] if len(zeros) == 1 else xp.stack(state[len(zeros) :])
    # To bring the four together costs a pass, so it is done once, after the last seed.
    bits = xp.reshape(xp.permute_dims(bits, (1, 2, 0)), (shape[0], 4 * shape[1]))[:, :per_sample]
    return xp.reshape(bits, (shape[0], maps, segments.per_map))


def anchor_words(space: WordSpace, bits: Any, segments: Segments) -> Any:
    """From a word a segment to words along each row of anchors: ``[..., *valid[:-1], ceil(width / 32)]``."""
    xp = space.xp
    lead = tuple(bits.shape[:-1])
    if segments.packed:
        shifts = space.arange(segments.packed) * segments.width
        bits = xp.reshape(bits[..., None] >> shifts, (*lead, -1))[..., : segments.rows, None]
    rows = xp.reshape(bits, (*lead, *segments.valid[:-1], segments.cuts))
    # Bits past the end of a row are the next row's, or nothing: they are cleared.
    inside = [min(32, segments.width - 32 * w) for w in range(segments.cuts)]
    return rows & space.word([(1 << bits_left) - 1 for bits_left in inside])


def shift_units(space: WordSpace, rows: Any, by: int) -> Any:
    """Every row moved `by` units towards its end, across words."""
    xp = space.xp
    whole, part = divmod(by, 32)
    if whole:
        rows = xp.concat([space.zeros_like(rows, -1, whole), rows[..., :-whole]], axis=-1)
    if part:
        carry = xp.concat([space.zeros_like(rows, -1, 1), rows[..., :-1] >> (32 - part)], axis=-1)
        rows = space.cut(rows << part) | carry
    return rows


def shift_rows(space: WordSpace, rows: Any, by: int, axis: int) -> Any:
    """Every row moved `by` places along `axis`."""
    keep = [slice(None)] * rows.ndim
    keep[axis] = slice(0, rows.shape[axis] - by)
    return space.xp.concat([space.zeros_like(rows, axis, by), rows[tuple(keep)]], axis=axis)


def grow(space: WordSpace, anchors: Any, segments: Segments) -> Any:
    """Line 6: every seed grows to its block, log2(block_size) shift-ors an axis; 1 = dropped, one bit a unit."""
    xp = space.xp
    *outer, last = range(anchors.ndim - len(segments.feat), anchors.ndim)
    dropped = anchors
    for axis, feat in [*zip(outer, segments.feat, strict=False), (last, -(-segments.feat[-1] // 32))]:
        if feat > dropped.shape[axis]:
            dropped = xp.concat([dropped, space.zeros_like(dropped, axis, feat - dropped.shape[axis])], axis=axis)
    for axis, block in zip([*outer, last], segments.block, strict=True):
        for by in doublings(block):
            moved = shift_units(space, dropped, by) if axis == last else shift_rows(space, dropped, by, axis)
            dropped = dropped | moved
    return dropped


def popcount(space: WordSpace, rows: Any) -> Any:
    """The number of set bits in each word."""
    if hasattr(space.xp, "bitwise_count"):
        return space.xp.astype(space.xp.bitwise_count(rows), space.dtype)
    rows = rows - ((rows >> 1) & 0x55555555)
    rows = (rows & 0x33333333) + ((rows >> 2) & 0x33333333)
    rows = (rows + (rows >> 4)) & 0x0F0F0F0F
    rows = rows + (rows >> 8)
    return (rows + (rows >> 16)) & 0x3F


def count_bits(space: WordSpace, rows: Any, scope: str) -> tuple[Any, Any]:
    """Set bits of ``[samples, maps, ...]`` counted over a scope of rule R8, kept broadcastable, exactly.

    Returns two limbs, high and low, of ``2^16 * high + low``, for libraries without integers above 32 bits. They are
    exact for maps below 2^32 units and below 2^48 units in all.
    """
    xp = space.xp
    ones = xp.sum(popcount(space, rows), axis=tuple(range(2, rows.ndim)), dtype=space.dtype, keepdims=True)
    high, low = ones >> 16, ones & 0xFFFF
    for axis in reversed(scope_axes(scope, 2)):
        high, low = _sum_limbs(space, high, low, axis)
    return high, low


def _sum_limbs(space: WordSpace, high: Any, low: Any, axis: int) -> tuple[Any, Any]:
    """Two limbs summed along `axis`, 2^16 at a time, since the sum of 2^16 low limbs and a carry fits in 32 bits."""
    total_high, total_low = space.zeros_like(high, axis, 1), space.zeros_like(low, axis, 1)
    for start in range(0, size := high.shape[axis], 2**16):
        part = tuple(slice(start, min(start + 2**16, size)) if d == axis else slice(None) for d in range(high.ndim))
        total_low = total_low + space.xp.sum(low[part], axis=axis, dtype=space.dtype, keepdims=True)
        total_high = total_high + space.xp.sum(high[part], axis=axis, dtype=space.dtype, keepdims=True)
        total_high, total_low = total_high + (total_low >> 16), total_low & 0xFFFF
    return total_high, total_low


def subtract_limbs(total: int, high: Any, low: Any) -> tuple[Any, Any]:
    """``total - (2^16 * high + low)`` in two limbs, for a total that is at least as large; no step leaves 32 bits."""
    low = (total & 0xFFFF) + 0x10000 - low
    return (total >> 16) + (low >> 16) - (high + 1), low & 0xFFFF


def counted_factor(space: WordSpace, count: int, high: Any, low: Any, wide: Any) -> Any:
    """Line 8's ``count(M) / count_ones(M)`` in the dtype `wide`, from the limbs of the dropped units of each scope.

    Each conversion, the sum and the quotient round once: 2 ulp at most, at every size. Where nothing is kept the factor
    is finite, and multiplies no unit.
    """
    xp = space.xp
    high, low = subtract_limbs(count, high, low)
    ones = xp.astype(high, wide) * 65536 + xp.astype(low, wide)
    total = xp.asarray(float(count), dtype=wide, device=space.device)
    return total / xp.where(ones > 0, ones, xp.ones_like(ones))


def unpack(space: WordSpace, rows: Any, feat: Sequence[int]) -> Any:
    """WordSpace to a bool array ``[..., *feat]``, True where a bit is set."""
    bits = (rows[..., None] >> space.arange(32)) & 1
    units = space.xp.reshape(bits, (*rows.shape[:-1], 32 * rows.shape[-1]))
    return units[..., : feat[-1]] != 0
