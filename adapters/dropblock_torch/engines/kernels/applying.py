# SPDX-License-Identifier: Apache-2.0
"""Lines 7 and 8 on a GPU: one read and one write a unit, and one bit."""

import triton
import triton.language as tl

from dropblock_torch.engines.kernels import words


# A sample's units a multiple of 16: wide loads and stores.
@triton.jit(do_not_specialize=["words_a_sample", "chunks", "divisor", "magic", "shift"])
def scale_and_drop(
    x_ptr, y_ptr, words_ptr, scale_ptr, units_a_sample, words_a_sample, chunks, divisor, magic: tl.int64, shift,
    SHARED: tl.constexpr, SCOPE: tl.constexpr, CHANNELS_LAST: tl.constexpr, LARGE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """The units of one sample, in the order of memory. `divisor` is the channels if they lie side by side, else a
    map's units. LARGE: offsets take 64 bits.
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
    y = tl.where((word & 1) == 0, x.to(wide), 0.0) * scale
    tl.store(y_ptr + i, y.to(y_ptr.dtype.element_ty), mask=exists)
