# SPDX-License-Identifier: Apache-2.0
"""Calls of the library: a mask from a batch, its counts, and lines 7 and 8. Memory is given by its address."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd, prod
from typing import Any

import numpy as np

from dropblock_core.mask import row_starts
from dropblock_core.native.library import SWITCH, MaskArguments, UnitsArguments, library
from dropblock_core.stream import Batch, Segments, doublings, philox_key, threshold_word, thresholds

DTYPES = {"float32": 0, "float64": 1, "bfloat16": 2, "float16": 3}

TASK_BITS = 2**17  # of a mask: they stay in a core's cache while their blocks grow


def state_words(bits: int) -> int:
    """Words of 64 bits that hold the bits of a mask."""
    return -(-bits // 64)


def draw(batch: Batch, state: int, *, channels_last: bool = False, parallel_for: int | None = None) -> int:
    """Lines 5 and 6: write the mask's bits to `state`, in the order of memory; returns how many units are dropped.

    `state` is the address of ``state_words(samples * maps * units)`` words, `parallel_for` that of the caller's way to
    run a function on threads.
    """
    if batch.maps * batch.segments.per_map >= 2**32:
        raise ValueError(
            f"a sample of {batch.maps:,} maps of {batch.segments.feat} has 2^32 segments or more, which the C library "
            f"does not count: set {SWITCH}=0 to draw its mask in NumPy"
        )
    t = threshold_word(batch.gamma)
    bits = batch.samples * batch.maps * batch.segments.units
    if t == 0:  # draws nothing, and its thresholds, 2^32, are no words
        ctypes.memset(state, 0, 8 * state_words(bits))
        return 0
    known, _ = _known(batch.samples, batch.maps, batch.segments, t, channels_last)
    arguments = MaskArguments.from_buffer_copy(known)
    arguments.key[:] = philox_key(batch.seed)
    arguments.stream, arguments.sample_offset, arguments.state = batch.stream, batch.sample_offset, state
    return int(library().dropblock_mask(ctypes.byref(arguments), parallel_for))


@lru_cache(256)
def _known(samples: int, maps: int, segments: Segments, t: int, channels_last: bool) -> tuple[bytes, Sequence[Any]]:
    """What a call with these sizes has in common with the next one, and the arrays that it points to."""
    feat, units = segments.feat, segments.units
    apart = maps if channels_last else 1  # bits from one unit of a map to the next
    row_start = row_starts(segments) * apart
    strides = (apart * prod(feat[axis + 1 :]) for axis in range(len(feat)))
    grown = zip(segments.block, strides, strict=True)
    shifts = np.array([by * stride for side, stride in grown for by in doublings(side)], np.int64)
    table = np.array(thresholds(t, segments.length), np.uint32)
    arguments = MaskArguments(
        samples=samples,
        maps=maps,
        per_map=segments.per_map,
        packed=segments.packed,
        cuts=segments.cuts,
        width=segments.width,
        rows=segments.rows,
        length=segments.length,
        thresholds=table.ctypes.data,
        sample_stride=maps * units,
        map_stride=1 if channels_last else units,
        unit_stride=apart,
        row_start=row_start.ctypes.data,
        shifts=shifts.ctypes.data,
        n_shifts=shifts.size,
    )
    if segments.packed:
        for position in range(segments.length):
            arguments.row_of[position] = position // segments.width
    if channels_last and maps % 64 == 0:
        arguments.slab = 64 * max(1, TASK_BITS // (64 * units))
    else:
        maps_a_piece = maps if channels_last else 1
        piece_bits = maps_a_piece * units
        whole = 64 // gcd(64, piece_bits)  # so many pieces end with a word
        arguments.pieces = samples * maps // maps_a_piece
        arguments.maps_a_piece, arguments.piece_bits = maps_a_piece, piece_bits
        arguments.pieces_a_task = whole * max(1, TASK_BITS // (whole * piece_bits))
    return bytes(arguments), (row_start, shifts, table)


def count(state: int, scopes: int, span: int) -> Any:
    """The dropped units of each of `scopes` stretches of `span` bits, int64 ``[scopes]``."""
    dropped = np.empty(scopes, np.int64)
    library().dropblock_count(state, scopes, span, dropped.ctypes.data)
    return dropped


@dataclass(frozen=True)
class Rows:
    """How memory falls into rows with the same bits and the same factor: ``units_t`` of dropblock.c.

    `scopes` is the number of line 8's factors, 1 or one a sample or a map.
    """

    rows: int
    row: int
    rows_a_mask: int
    rows_a_scale: int
    bit_a_row: bool

    @classmethod
    @lru_cache(256)
    def of(cls, samples: int, channels: int, maps: int, units: int, scopes: int, channels_last: bool) -> "Rows":
        """Of activations ``[samples, channels, units]``, or channels last in memory."""
        if maps == channels:  # each unit has a bit: a row is what shares a factor
            return cls(scopes, samples * channels * units // scopes, 1, 1, False)
        rows = samples * (units if channels_last else channels)
        return cls(rows, channels if channels_last else units, channels, rows // scopes, channels_last)


def apply(x: int, y: int, state: int, scale: int, rows: Rows, dtype: str, *, parallel_for: int | None = None) -> None:
    """Lines 7 and 8: ``y = x * scale``, +0 where dropped, rounded once.

    `scale` is the address of the factors, in the type that the product is made in: float64 for float64, else float32.
    """
    arguments = UnitsArguments(
        x, y, state, scale, rows.rows, rows.row, rows.rows_a_mask, rows.rows_a_scale, rows.bit_a_row, DTYPES[dtype]
    )
    library().dropblock_apply(ctypes.byref(arguments), parallel_for)
