# SPDX-License-Identifier: Apache-2.0
"""Line 5 on a GPU: the seeds, a word of 32 bits for each segment."""

import triton
import triton.language as tl

TABLE = tl.constexpr(32)  # thresholds


@triton.jit
def _threshold_word(keep_prob_ptr, gamma_scale, ratio):
    """t of a keep_prob that lives here, 0 where there are no seeds: in float32 as the specification has it of traced
    values, and of float64 as the host computes it, to the bit.
    """
    wide: tl.constexpr = tl.float64 if keep_prob_ptr.dtype.element_ty == tl.float64 else tl.float32
    fractions: tl.constexpr = 4503599627370496.0 if wide == tl.float64 else 8388608.0  # there are none from here on
    keep_prob = tl.load(keep_prob_ptr).to(wide)
    keep_prob = tl.where(keep_prob > 1.0, 1.0, tl.where(keep_prob < 0.0, 0.0, keep_prob))  # NaN stays NaN
    gamma = tl.full([], gamma_scale, wide) * (1.0 - keep_prob) * tl.full([], ratio, wide)
    scaled = gamma * 4294967296.0
    whole = tl.where(scaled < fractions, (scaled + fractions) - fractions, scaled)  # half to even
    # The largest gamma of float32 below 1 gives 2^32 - 256, and 1 gives 2^32.
    t = tl.maximum(tl.where(gamma < 1.0, whole, 4294967296.0).to(tl.int64), 1)
    return tl.where(gamma > 0.0, t, 0)


@triton.jit
def _thresholds(t, length):
    """``T_1, T_2, ...`` of the stream's rule, 0 past `length`."""
    q = (4294967296 - t.to(tl.int64)).to(tl.uint64)
    place, threshold = tl.arange(0, TABLE), q
    table = tl.zeros([TABLE], tl.int64)
    for j in range(TABLE):
        table = tl.where((place == j) & (j < length), threshold.to(tl.int64), table)
        threshold = (threshold * q) >> 32
    return table


@triton.jit(
    do_not_specialize=["n_counts", "t", "length", "samples", "groups", "sample_offset", "stream"],
)  # fmt: skip
def draw(
    seeds_ptr, table_ptr, counts_ptr, scale_ptr, key_ptr, keep_prob_ptr, t: tl.int64, gamma_scale: tl.float64,
    fixed_scale: tl.float64, sample_offset: tl.int64, stream: tl.int64, n_counts, length, ratio: tl.float64, samples,
    groups, KEEP_PROB_IS_HERE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The seeds of BLOCK groups of four segments, bit p of a word where position p holds one; clear the counts, and
    write line 8's factor for the case that nobody counts.

    The four words of one call of the generator are the draws of four neighbouring segments.
    """
    if KEEP_PROB_IS_HERE:
        t = _threshold_word(keep_prob_ptr, gamma_scale, ratio)
    draws = tl.where(t > 0, length, 0)
    # Every program writes the same table, and waits for itself alone.
    tl.store(table_ptr + tl.arange(0, TABLE), _thresholds(t, length))
    tl.store(scale_ptr, tl.full([], fixed_scale, tl.float64))
    tl.debug_barrier()

    lane = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(counts_ptr + lane, tl.zeros([BLOCK], tl.int64), mask=lane < n_counts)
    n, group = lane // groups, lane % groups
    seed = (tl.load(key_ptr + 1) << 32) | tl.load(key_ptr)
    zero = tl.zeros([BLOCK], tl.uint32)
    sample = (sample_offset + n).to(tl.uint32)
    seeds = tl.zeros([BLOCK, 4], tl.int32)
    position = tl.zeros([BLOCK, 4], tl.int32)
    exists = (n < samples)[:, None]
    going = draws
    k = 0
    while going > 0:
        a, b, c, d = tl.philox(seed, group.to(tl.uint32), sample, zero + k, zero + stream.to(tl.uint32))
        u = tl.reshape(tl.join(tl.join(a, c), tl.join(b, d)), (BLOCK, 4)).to(tl.int64)
        # `#{j : u < T_j}` by halving: the thresholds fall, so those above u come first.
        skipped = tl.zeros([BLOCK, 4], tl.int32)
        for step in tl.static_range(5):
            skipped += tl.where(u < tl.load(table_ptr + skipped + ((16 >> step) - 1)), 16 >> step, 0)
        position += skipped + (u < tl.load(table_ptr + skipped)).to(tl.int32)
        inside = exists & (position < draws)
        seeds |= tl.where(inside, 1 << (position & 31), 0)
        position += 1
        k += 1
        going = tl.max((exists & (position < draws)).to(tl.int32))
    tl.store(seeds_ptr + lane.to(tl.int64)[:, None] * 4 + tl.arange(0, 4)[None, :], seeds, mask=exists)
