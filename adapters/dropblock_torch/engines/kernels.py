# SPDX-License-Identifier: Apache-2.0
"""The Triton kernels: a table, the seeds, a count, and one streaming pass over the activations.

`prepare` clears the mask and writes the table of thresholds, `draw_and_grow` draws the seeds and grows each to its
block, `count` counts the dropped units, and `scale_and_drop` reads, scales, drops and writes. Nothing waits for the
host: loops whose length depends on what was drawn run on the device.

The mask is one bit a unit, set where dropped, in the order in which the activations lie in memory, so that the last
kernel goes through both as a copy would. Its words are int32, which every atomic knows.

Numbers that change from call to call are not specialised on: one compilation serves a whole schedule, and every size.
"""

import triton
import triton.language as tl

TABLE = tl.constexpr(32)  # thresholds, and behind them the number of draws a segment may take


@triton.jit
def _threshold_word(keep_prob_ptr, gamma_scale, ratio):
    """t of a keep_prob that lives here, in float32 as the specification has it; 0 where there are no seeds."""
    keep_prob = tl.load(keep_prob_ptr).to(tl.float32)
    keep_prob = tl.where(keep_prob > 1.0, 1.0, tl.where(keep_prob < 0.0, 0.0, keep_prob))  # NaN stays NaN
    gamma = gamma_scale * (1.0 - keep_prob) * ratio
    scaled = gamma * 4294967296.0
    # Half to even below 2^23, where float32 has fractions; above it is whole.
    whole = tl.where(scaled < 8388608.0, (scaled + 8388608.0) - 8388608.0, scaled)
    # The largest gamma below 1 gives 2^32 - 256, and 1 gives 2^32.
    t = tl.maximum(tl.where(gamma < 1.0, whole, 4294967296.0).to(tl.int64), 1)
    return tl.where(gamma > 0.0, t, 0)


@triton.jit(do_not_specialize=["n_words", "n_counts", "t", "length"])
def prepare(
    words_ptr, n_words, counts_ptr, n_counts, table_ptr, ticket_ptr, t, length,
    keep_prob_ptr, gamma_scale, ratio, KEEP_PROB_IS_HERE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Clear the mask's words, the counts and the ticket; write the table of thresholds."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    tl.store(words_ptr + i, tl.zeros([BLOCK], tl.int32), mask=i < n_words)
    tl.store(counts_ptr + i, tl.zeros([BLOCK], tl.int64), mask=i < n_counts)
    if tl.program_id(0) == 0:
        tl.store(ticket_ptr, 0)
        if KEEP_PROB_IS_HERE:
            t = _threshold_word(keep_prob_ptr, gamma_scale, ratio)
        q = (4294967296 - t.to(tl.int64)).to(tl.uint64)
        threshold = q
        for j in range(TABLE):
            tl.store(table_ptr + j, tl.where(j < length, threshold.to(tl.int64), 0))
            threshold = (threshold * q) >> 32
        tl.store(table_ptr + TABLE, tl.where(t > 0, length, 0).to(tl.int64))


@triton.jit(
    do_not_specialize=[
        "maps", "per_map", "rows", "width", "packed", "cuts", "valid_h", "sample_offset", "stream", "runs",
        "run_length", "runs_h", "runs_w", "stride_n", "stride_c", "stride_d", "stride_h", "stride_w",
        "programs_a_sample",
    ]
)  # fmt: skip
def draw_and_grow(
    words_ptr, table_ptr, key_ptr, maps, per_map, rows, width, packed, cuts, valid_h, sample_offset, stream,
    runs, run_length, runs_h, runs_w, stride_n, stride_c, stride_d, stride_h, stride_w, samples, groups,
    RUNS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Lines 5 and 6: draw the seeds of BLOCK groups of four segments, and set the bits of their blocks.

    A block is `runs` runs of `run_length` bits, RUNS of them at a time.
    """
    lane = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    n, group = lane // groups, lane % groups
    s = group[:, None] * 4 + tl.arange(0, 4)[None, :]
    c, g = s // per_map, s % per_map
    home = n.to(tl.int64)[:, None] * stride_n + c.to(tl.int64) * stride_c
    seed = (tl.load(key_ptr + 1) << 32) | tl.load(key_ptr)
    draws = tl.load(table_ptr + TABLE).to(tl.int32)
    zero = tl.zeros([BLOCK], tl.uint32)
    sample = (sample_offset + n).to(tl.uint32)

    position = tl.zeros([BLOCK, 4], tl.int32)
    active = (c < maps) & (n < samples)[:, None]
    going = tl.where(draws > 0, 1, 0)
    k = 0
    while going > 0:
        # The four words of one call of the generator are the draws of four neighbouring segments.
        a, b, d, e = tl.philox(seed, group.to(tl.uint32), sample, zero + k, zero + stream.to(tl.uint32))
        u = tl.reshape(tl.join(tl.join(a, d), tl.join(b, e)), (BLOCK, 4)).to(tl.int64)
        # `#{j : u < T_j}` by halving: the thresholds fall, so those above u come first.
        skipped = tl.zeros([BLOCK, 4], tl.int32)
        for step in tl.static_range(5):
            skipped += tl.where(u < tl.load(table_ptr + skipped + ((16 >> step) - 1)), 16 >> step, 0)
        position += skipped + (u < tl.load(table_ptr + skipped)).to(tl.int32)
        active = active & (position < draws)
        if packed > 0:
            row, column = g * packed + position // width, position % width
        else:
            row, column = g // cuts, (g % cuts) * 32 + position
        hit = active & (row < rows) & (column < width)
        start = home + (row // valid_h) * stride_d + (row % valid_h) * stride_h + column * stride_w
        for first in range(0, runs, RUNS):
            run = first + tl.arange(0, RUNS)
            line, plane = run // runs_w, run // (runs_w * runs_h)
            away = plane * stride_d + line % runs_h * stride_h + run % runs_w * stride_w
            begin = start[:, :, None] + away[None, None, :]
            word, offset = begin >> 5, (begin & 31).to(tl.int32)
            grown = hit[:, :, None] & (run < runs)[None, None, :]
            for w in range((run_length + 62) // 32):
                low, high = tl.maximum(offset - 32 * w, 0), tl.minimum(offset + run_length - 32 * w, 32)
                bits = tl.where(high >= 32, -1, (1 << (high & 31)) - 1) & (-1 << (low & 31))
                tl.atomic_or(words_ptr + word + w, bits, mask=grown & (high > low), sem="relaxed")
        position += 1
        active = active & (position < draws)
        k += 1
        going = tl.max(active.to(tl.int32))


@triton.jit(do_not_specialize=["span", "scopes", "chunks"])
def count(
    words_ptr, dropped_ptr, scale_ptr, ticket_ptr, span, scopes, chunks, SCOPES: tl.constexpr, WORDS: tl.constexpr
):  # fmt: skip
    """Line 8: the dropped units of every scope, `span` bits each, and its factor, by the program that ends last."""
    scope = (tl.program_id(0) // chunks) * SCOPES + tl.arange(0, SCOPES)
    begin = scope.to(tl.int64) * span
    word = (begin >> 5)[:, None] + (tl.program_id(0) % chunks) * WORDS + tl.arange(0, WORDS)[None, :]
    # A word may hold the end of one scope and the beginning of the next.
    low = tl.minimum(tl.maximum(begin[:, None] - word * 32, 0), 32).to(tl.int32)
    high = tl.minimum(tl.maximum(begin[:, None] + span - word * 32, 0), 32).to(tl.int32)
    inside = (high > low) & (scope < scopes)[:, None]
    bits = tl.load(words_ptr + word, mask=inside, other=0)
    bits = bits & tl.where(high >= 32, -1, (1 << (high & 31)) - 1) & (-1 << (low & 31))
    v = bits.to(tl.uint32, bitcast=True)
    v = v - ((v >> 1) & 0x55555555)
    v = (v & 0x33333333) + ((v >> 2) & 0x33333333)
    v = (v + (v >> 4)) & 0x0F0F0F0F
    v = v + (v >> 8)
    ones = (v + (v >> 16)) & 0x3F
    tl.atomic_add(dropped_ptr + scope, tl.sum(ones.to(tl.int64), axis=1), mask=scope < scopes)
    tl.debug_barrier()  # a program takes its ticket when all its threads have counted
    if tl.atomic_add(ticket_ptr, 1) == tl.num_programs(0) - 1:
        for first in range(0, scopes, WORDS):
            i = first + tl.arange(0, WORDS)
            kept = span - tl.load(dropped_ptr + i, mask=i < scopes, other=0, volatile=True)
            tl.store(scale_ptr + i, _factor(span, kept, scale_ptr.dtype.element_ty), mask=i < scopes)


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


@triton.jit(do_not_specialize=["units", "channels"])  # n_units a multiple of 16: wide loads and stores
def scale_and_drop(
    x_ptr, y_ptr, words_ptr, scale_ptr, n_units, units, channels, SHARED: tl.constexpr, SCOPE: tl.constexpr,
    CHANNELS_LAST: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Lines 7 and 8: one read and one write a unit, and one bit."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    i = row[:, None] * 32 + tl.arange(0, 32)[None, :]
    exists = i < n_units
    wide: tl.constexpr = scale_ptr.dtype.element_ty
    x = tl.load(x_ptr + i, mask=exists, other=0.0)
    sample = i // (units * channels) if SHARED or SCOPE != "tensor" else i
    if SHARED:
        unit = (i % (units * channels)) // channels if CHANNELS_LAST else i % units
        bit = sample * units + unit
        word = tl.load(words_ptr + (bit >> 5), mask=exists, other=0) >> (bit & 31).to(tl.int32)
    else:
        word = tl.load(words_ptr + row, mask=row * 32 < n_units, other=0)[:, None] >> tl.arange(0, 32)[None, :]
    if SCOPE == "tensor":
        scale = tl.load(scale_ptr)
    elif SCOPE == "sample":
        scale = tl.load(scale_ptr + sample, mask=exists, other=0.0)
    else:
        scale = tl.load(
            scale_ptr + (sample * channels + i % channels if CHANNELS_LAST else i // units), mask=exists, other=0.0
        )
    y = tl.where((word & 1) == 0, x.to(wide), 0.0) * scale
    tl.store(y_ptr + i, y.to(y_ptr.dtype.element_ty), mask=exists)
