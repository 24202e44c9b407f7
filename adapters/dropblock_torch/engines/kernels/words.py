# SPDX-License-Identifier: Apache-2.0
"""What the kernels do with words of 32 bits, as uint32, and a division that is a product."""

import triton
import triton.language as tl


@triton.jit
def quotient(i, magic, shift):
    """``i // d`` for 0 <= i < 2^31, with what :func:`gpu._magic` made of d. A division takes ten times as long."""
    i = i.to(tl.uint32)
    return ((tl.umulhi(i, tl.zeros_like(i) + magic.to(tl.uint32)) + i) >> shift.to(tl.uint32)).to(tl.int32)


@triton.jit
def bits_below(high):
    """The lowest `high` bits, from 0 to 32."""
    return tl.where(high >= 32, 0xFFFFFFFF, (1 << (high & 31).to(tl.uint32)) - 1).to(tl.uint32)


@triton.jit
def dilated(word, side):
    """Every bit grown to `side` bits towards the higher ones, inside the word."""
    grown = 1
    for _ in tl.static_range(5):
        by = tl.minimum(grown, tl.maximum(tl.minimum(side, 32) - grown, 0))
        word |= word << by.to(tl.uint32)
        grown += by
    return word


@triton.jit
def carried(word, beyond):
    """What the bits of a word reach in a later one. Bit i reaches every bit up to ``i + beyond`` there."""
    below = word
    for step in tl.static_range(5):
        below |= below >> (1 << step)
    far = tl.minimum(tl.maximum(beyond, 0), 31).to(tl.uint32)
    near = tl.minimum(tl.maximum(-beyond, 0), 31).to(tl.uint32)
    reached = tl.where(beyond >= 32, 0xFFFFFFFF, ((below << far) | ((1 << far) - 1)) >> near).to(tl.uint32)
    return tl.where(word == 0, 0, reached).to(tl.uint32)


@triton.jit
def ones(v):
    """The number of set bits in each word."""
    v = v - ((v >> 1) & 0x55555555)
    v = (v & 0x33333333) + ((v >> 2) & 0x33333333)
    v = (v + (v >> 4)) & 0x0F0F0F0F
    v = v + (v >> 8)
    return (v + (v >> 16)) & 0x3F


@triton.jit
def _exchanged(word, lane, BY: tl.constexpr):
    """Lanes BY apart exchange squares of BY bits."""
    kept: tl.constexpr = 0xFFFFFFFF // ((1 << BY) + 1)  # the lower BY of every 2 * BY bits
    other = tl.gather(word, lane ^ BY, axis=1)
    lower = (word & kept) | ((other & kept) << BY)
    upper = ((other >> BY) & kept) | (word & (kept << BY))
    return tl.where((lane & BY) == 0, lower, upper)


@triton.jit
def transposed(word, lane):
    """[n, 32] words whose bit i of word j becomes bit j of word i; `lane` is j."""
    for step in tl.static_range(5):
        word = _exchanged(word, lane, 16 >> step)
    return word
