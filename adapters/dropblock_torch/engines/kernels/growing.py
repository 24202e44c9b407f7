# SPDX-License-Identifier: Apache-2.0
"""Line 6 on a GPU: every seed grows to its block. A program writes whole words of the mask, and counts what it dropped.

The mask is one bit a unit, set where dropped, in the order in which the activations of a sample lie in memory. Each
sample begins at a word of its own.
"""

import triton
import triton.language as tl

from dropblock_torch.engines.kernels import words


@triton.jit
def _row_word(
    seeds_ptr, first, line, q, exists, height, width, packs, cuts, valid_d, valid_h, block_d, block_h, block_w,
    reach, spans, height_magic, height_shift, packs_magic, packs_shift,
):  # fmt: skip
    """Word q of one row of a map's dropped units, as uint32. The map's first segment is at `first`.

    The anchors whose blocks cover the row lie in `spans` segments at most, which hold `packs` rows of them each.
    """
    depth = words.quotient(line, height_magic, height_shift)
    h = line - depth * height
    first_h, last_h = tl.maximum(h - block_h + 1, 0), tl.minimum(h, valid_h - 1)
    first_d, last_d = tl.maximum(depth - block_d + 1, 0), tl.minimum(depth, valid_d - 1)
    dropped = tl.zeros_like(q).to(tl.uint32)
    for back in range(reach + 1):
        word = q - back
        there = exists & (word >= 0) & (word < cuts)
        side = tl.minimum(width - 32 * word, 32)  # anchors of a row in this word
        seeds = tl.zeros_like(dropped)
        for plane in range(tl.minimum(block_d, valid_d)):
            d = first_d + plane
            begin, end = d * valid_h + first_h, d * valid_h + last_h
            pack = words.quotient(begin, packs_magic, packs_shift)
            for _ in range(spans):
                low = tl.maximum(begin - pack * packs, 0)
                high = tl.minimum(end - pack * packs + 1, packs)
                found = there & (d <= last_d) & (low < high)
                drawn = tl.load(seeds_ptr + first + pack * cuts + word, mask=found, other=0).to(tl.uint32, bitcast=True)
                seeds |= drawn & (words.bits_below(high * side) ^ words.bits_below(low * side))
                pack += 1
        for step in tl.static_range(5):  # all rows of a pack onto its first
            seeds |= seeds >> (tl.where((16 >> step) < packs, 16 >> step, 0) * width & 31).to(tl.uint32)
        seeds &= words.bits_below(side)
        if back == 0:
            dropped = words.dilated(seeds, block_w)
        else:
            dropped |= words.carried(seeds, block_w - 1 - 32 * back)
    return dropped


# The numbers that :func:`_row_word` needs, in its order.
ROW = [
    "height", "width", "packs", "cuts", "valid_d", "valid_h", "block_d", "block_h", "block_w", "reach", "spans",
    "height_magic", "height_shift", "packs_magic", "packs_shift",
]  # fmt: skip
NUMBERS = [
    *ROW, "samples", "chunks", "words_a_sample", "maps", "per_map", "groups", "lines", "row_units", "units_counted",
    "row_magic", "row_shift", "lines_magic", "lines_shift",
]  # fmt: skip


@triton.jit(do_not_specialize=NUMBERS)
def grow(
    words_ptr, seeds_ptr, dropped_ptr, scale_ptr, samples, chunks, words_a_sample, maps, per_map, groups, lines,
    row_units, units_counted: tl.int64, row_magic: tl.int64, row_shift, lines_magic: tl.int64, lines_shift,
    height, width, packs, cuts, valid_d, valid_h, block_d, block_h, block_w, reach, spans,
    height_magic: tl.int64, height_shift, packs_magic: tl.int64, packs_shift,
    PIECES: tl.constexpr, LONG_ROWS: tl.constexpr, LARGE: tl.constexpr, COUNTS: tl.constexpr, WORDS: tl.constexpr,
    MAPS: tl.constexpr, WORDS_A_MAP: tl.constexpr,
):  # fmt: skip
    """Words of maps that lie one after the other. A word holds pieces of PIECES rows at most.

    A map has `lines` rows of `row_units`. LARGE: offsets take 64 bits. Where each map is counted, MAPS are at a time.
    """
    n = (tl.program_id(0) // chunks).to(tl.int64)
    first = (tl.program_id(0) % chunks) * WORDS
    w = first + tl.arange(0, WORDS)
    seeds_ptr += n * groups * 4
    words_ptr += n * words_a_sample
    if LARGE:
        first_row = (w.to(tl.int64) * 32 // row_units).to(tl.int32)
        column = (w.to(tl.int64) * 32 % row_units).to(tl.int32)
    else:
        first_row = words.quotient(w * 32, row_magic, row_shift)
        column = w * 32 - first_row * row_units
    dropped = tl.zeros([WORDS], tl.uint32)
    at = -column  # where a row begins, from the first bit of the word
    for piece in tl.static_range(PIECES):
        row = first_row + piece
        c = words.quotient(row, lines_magic, lines_shift)
        exists = (c < maps) & (at < 32)
        q = column // 32 if piece == 0 else tl.zeros_like(row)
        units = _row_word(
            seeds_ptr, c * per_map, row - c * lines, q, exists, height, width, packs, cuts, valid_d, valid_h,
            block_d, block_h, block_w, reach, spans, height_magic, height_shift, packs_magic, packs_shift,
        )  # fmt: skip
        if piece > 0:
            dropped |= tl.where(exists, units << (at & 31).to(tl.uint32), 0)
        else:
            shift = (column & 31).to(tl.uint32)
            dropped = units >> shift
            if LONG_ROWS:
                beyond = _row_word(
                    seeds_ptr, c * per_map, row - c * lines, q + 1, exists & (shift > 0), height, width, packs, cuts,
                    valid_d, valid_h, block_d, block_h, block_w, reach, spans, height_magic, height_shift,
                    packs_magic, packs_shift,
                )  # fmt: skip
                dropped |= tl.where(shift > 0, beyond << ((32 - shift) & 31), 0)
        at += row_units
    exists = w < words_a_sample
    tl.store(words_ptr + w, dropped.to(tl.int32, bitcast=True), mask=exists)
    if COUNTS == "map":
        tl.debug_barrier()  # a map's words may be another thread's
        end = tl.minimum(first + WORDS, words_a_sample)
        _count_maps(
            words_ptr, dropped_ptr + n * maps, scale_ptr + n * maps, first, end, maps, units_counted, MAPS, WORDS_A_MAP
        )
    else:
        ones = tl.sum(tl.where(exists, words.ones(dropped), 0))
        _count(dropped_ptr, scale_ptr, ones, n, samples, units_counted, COUNTS, WORDS)


@triton.jit(do_not_specialize=NUMBERS)
def grow_across(
    words_ptr, seeds_ptr, dropped_ptr, scale_ptr, samples, chunks, words_a_sample, maps, per_map, groups, lines,
    row_units, units_counted: tl.int64, row_magic: tl.int64, row_shift, lines_magic: tl.int64, lines_shift,
    height, width, packs, cuts, valid_d, valid_h, block_d, block_h, block_w, reach, spans,
    height_magic: tl.int64, height_shift, packs_magic: tl.int64, packs_shift,
    COUNTS: tl.constexpr, WORDS: tl.constexpr,
):  # fmt: skip
    """Words of channels that lie side by side, a multiple of 32 of them: 32 * WORDS channels of one row.

    A lane has a channel's row, and after a transposition the channels of a unit.
    """
    n = (tl.program_id(0) // chunks // lines).to(tl.int64)
    line, chunk = tl.program_id(0) // chunks % lines, tl.program_id(0) % chunks
    seeds_ptr += n * groups * 4
    across, lane = chunk * WORDS + tl.arange(0, WORDS)[:, None], tl.arange(0, 32)[None, :]
    c = across * 32 + lane
    zero = tl.zeros_like(c)
    ones = zero
    for q in range((row_units + 31) // 32):
        units = _row_word(
            seeds_ptr, c * per_map, zero + line, zero + q, c < maps, height, width, packs, cuts, valid_d, valid_h,
            block_d, block_h, block_w, reach, spans, height_magic, height_shift, packs_magic, packs_shift,
        )  # fmt: skip
        column = q * 32 + lane
        exists = (across * 32 < maps) & (column < row_units)
        place = n * words_a_sample + (line * row_units + column).to(tl.int64) * (maps // 32) + across
        dropped = words.transposed(units, zero + lane)
        tl.store(words_ptr + place, dropped.to(tl.int32, bitcast=True), mask=exists)
        ones += tl.where(exists, words.ones(dropped), 0).to(tl.int32)
    _count(dropped_ptr, scale_ptr, tl.sum(tl.sum(ones, axis=1)), n, samples, units_counted, COUNTS, WORDS)


@triton.jit
def _count(dropped_ptr, scale_ptr, dropped, n, samples, units_counted, COUNTS: tl.constexpr, STEP: tl.constexpr):
    """Add to the dropped units of sample n. COUNTS: what is counted together, "tensor" or "sample", or "none"."""
    if COUNTS != "none":
        scopes = samples if COUNTS == "sample" else 1
        tl.atomic_add(dropped_ptr + (n if COUNTS == "sample" else 0), dropped.to(tl.int64))
        tl.debug_barrier()  # a program takes its ticket when all its threads have counted
        # The ticket lies behind the counts. The program that ends last writes the factors.
        if tl.atomic_add(dropped_ptr + scopes, 1) == tl.num_programs(0) - 1:
            for begin in range(0, scopes, STEP):
                i = begin + tl.arange(0, STEP)
                kept = units_counted - tl.load(dropped_ptr + i, mask=i < scopes, other=0, volatile=True)
                tl.store(scale_ptr + i, _factor(units_counted, kept, scale_ptr.dtype.element_ty), mask=i < scopes)


@triton.jit
def _factor(units, kept, DTYPE: tl.constexpr):
    """``count(M) / count_ones(M)``, correctly rounded but for the counts' own rounding; 0 where nothing is kept."""
    ones = tl.maximum(kept, 1)
    total = tl.zeros_like(ones) + units
    if tl.float64 == DTYPE:
        ratio = total.to(tl.float64) / ones.to(tl.float64)
    else:
        ratio = tl.div_rn(total.to(tl.float32), ones.to(tl.float32))
    return tl.where(kept > 0, ratio, 0.0)


@triton.jit
def _count_maps(
    words_ptr, dropped_ptr, scale_ptr, first, end, maps, units, MAPS: tl.constexpr, WORDS: tl.constexpr
):  # fmt: skip
    """What a program dropped of each map in its words, `first` to `end`, MAPS at a time, of which WORDS are of one map.

    Of a map that other programs have parts of, counts are added up, and above them, from bit 32, the units that they
    are of. Who completes these writes the count alone, and the factor.
    """
    begin, stop = first.to(tl.int64) * 32, end.to(tl.int64) * 32
    for m in range((begin // units).to(tl.int32), tl.minimum((stop - 1) // units + 1, maps).to(tl.int32), MAPS):
        c = m + tl.arange(0, MAPS)
        low = tl.maximum(c * units, begin)
        counted = tl.maximum(tl.minimum((c + 1) * units, stop) - low, 0)
        # A word may hold the end of one map and the beginning of the next.
        w, bit = tl.arange(0, WORDS)[None, :], (low & 31).to(tl.int32)
        lowest = tl.where(w == 0, bit[:, None], 0)
        left = tl.minimum(bit + counted, 32 * WORDS).to(tl.int32)
        highest = tl.minimum(tl.maximum(left[:, None] - w * 32, 0), 32)
        exists = (c < maps)[:, None] & (highest > 0)
        bits = tl.load(words_ptr + (low >> 5)[:, None] + w, mask=exists, other=0).to(tl.uint32, bitcast=True)
        ones = words.ones(bits & (words.bits_below(highest) ^ words.bits_below(lowest)))
        ones = tl.sum(ones.to(tl.int64), axis=1)
        share = (counted << 32) | ones
        is_shared = (c < maps) & (counted > 0) & (counted < units)
        others = tl.atomic_add(dropped_ptr + c, share, mask=is_shared, sem="relaxed")
        total = tl.where(is_shared, others + share, share)
        is_complete = (c < maps) & ((total >> 32) & 0xFFFFFFFF == units)
        dropped = total & 0xFFFFFFFF
        tl.store(dropped_ptr + c, dropped, mask=is_complete)
        tl.store(scale_ptr + c, _factor(units, units - dropped, scale_ptr.dtype.element_ty), mask=is_complete)
