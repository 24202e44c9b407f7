# SPDX-License-Identifier: Apache-2.0
"""Lines 7 and 8 on a GPU: one read and one write a unit, and one bit, whichever of the two orders each lies in."""

import triton
import triton.language as tl

from dropblock_torch.engines.kernels import words


# A sample's units a multiple of 16: wide loads and stores.
@triton.jit(do_not_specialize=["words_a_sample", "chunks", "divisor", "magic", "shift"])
def scale_and_drop(
    x_ptr, y_ptr, words_ptr, scale_ptr, units_a_sample, words_a_sample, chunks, divisor, magic: tl.int64, shift,
    SHARED: tl.constexpr, SCOPE: tl.constexpr, CHANNELS_LAST: tl.constexpr, LARGE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """The units of one sample, in the order of memory, which is that of the mask. `divisor` is the channels if they lie
    side by side, else a map's units. LARGE: offsets take 64 bits.
    """
    n = (tl.program_id(0) // chunks).to(tl.int64)
    x_ptr += n * units_a_sample
    y_ptr += n * units_a_sample
    words_ptr += n * words_a_sample
    row = (tl.program_id(0) % chunks) * ROWS + tl.arange(0, ROWS)
    if LARGE:
        row = row.to(tl.int64)
    i = row[:, None] * 32 + tl.arange(0, 32)[None, :]
    exists = i < units_a_sample
    wide: tl.constexpr = scale_ptr.dtype.element_ty
    x = tl.load(x_ptr + i, mask=exists, other=0.0)
    if SHARED or SCOPE == "map":
        quotient = i // divisor if LARGE else words.quotient(i, magic, shift)
        remainder = i - quotient * divisor
    if SHARED:
        bit = quotient if CHANNELS_LAST else remainder
        word = tl.load(words_ptr + (bit >> 5), mask=exists, other=0) >> (bit & 31).to(tl.int32)
    else:
        word = tl.load(words_ptr + row, mask=row * 32 < units_a_sample, other=0)[:, None] >> tl.arange(0, 32)[None, :]
    if SCOPE == "tensor":
        scale = tl.load(scale_ptr)
    elif SCOPE == "sample":
        scale = tl.load(scale_ptr + n)
    else:
        channels = units_a_sample // divisor
        scale = tl.load(scale_ptr + n * channels + quotient, mask=exists, other=0.0)
    tl.store(y_ptr + i, _applied(x, word, scale, wide).to(y_ptr.dtype.element_ty), mask=exists)


@triton.jit(do_not_specialize=["grains", "outer", "words_a_sample", "tiles", "across"])
def scale_and_drop_across(
    x_ptr, y_ptr, words_ptr, scale_ptr, grains, outer, words_a_sample, tiles, across,
    GRAIN: tl.constexpr, SCOPE: tl.constexpr, LARGE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """The same where the mask lies in the other order: a sample's units as [outer, inner], its bits as [inner, outer].

    A program has 32 of the outer and 32 * ROWS of the inner, and transposes their bits word by word. A sample has
    `tiles` of them, `across` side by side. The inner are `grains` * GRAIN: a power of two that divides them is known.
    """
    inner = grains * GRAIN
    n = (tl.program_id(0) // tiles).to(tl.int64)
    tile = tl.program_id(0) % tiles
    x_ptr += n * outer * inner
    y_ptr += n * outer * inner
    words_ptr += n * words_a_sample
    lane = tl.arange(0, 32)
    first = (tile % across) * (32 * ROWS) + tl.arange(0, ROWS) * 32
    o, i = (tile // across) * 32, first[:, None] + lane[None, :]
    bit = i.to(tl.int64) * outer + o if LARGE else i * outer + o
    place, shift = bit >> 5, (bit & 31).to(tl.uint32)
    low = tl.load(words_ptr + place, mask=i < inner, other=0).to(tl.uint32, bitcast=True)
    split = (i < inner) & (shift > 0) & (place + 1 < words_a_sample)
    high = tl.load(words_ptr + place + 1, mask=split, other=0).to(tl.uint32, bitcast=True)
    word = words.transposed((low >> shift) | (high << ((32 - shift) & 31)), i & 31)
    i, o = first[:, None, None] + lane[None, None, :], o + lane[None, :, None]
    exists = (o < outer) & (i < inner)
    place = o.to(tl.int64) * inner + i if LARGE else o * inner + i
    wide: tl.constexpr = scale_ptr.dtype.element_ty
    x = tl.load(x_ptr + place, mask=exists, other=0.0)
    if SCOPE == "tensor":
        scale = tl.load(scale_ptr)
    elif SCOPE == "sample":
        scale = tl.load(scale_ptr + n)
    else:  # where each map has a factor its bits lie together, so the inner are the channels
        scale = tl.load(scale_ptr + n * inner + i, mask=i < inner, other=0.0)
    y = _applied(x, word[:, :, None] >> lane[None, None, :].to(tl.uint32), scale, wide)
    tl.store(y_ptr + place, y.to(y_ptr.dtype.element_ty), mask=exists)


@triton.jit
def _applied(x, word, scale, WIDE: tl.constexpr):
    """A unit is dropped where the lowest bit of its word is set."""
    return tl.where((word & 1) == 0, x.to(WIDE), 0.0) * scale
