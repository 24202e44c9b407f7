# SPDX-License-Identifier: Apache-2.0
"""Lines 5 to 8 for NumPy's arrays, on threads of the library's own."""

from typing import Any

import numpy as np

from dropblock_core.call import Call
from dropblock_core.native import calls
from dropblock_core.native.library import library, parallel_for
from dropblock_core.renorm import factor, scope_number

Array = np.ndarray[Any, Any]


def takes(x: Array) -> bool:
    """Whether the library is here, and knows the dtype."""
    return x.dtype.name in calls.DTYPES and x.dtype.isnative and library() is not None


def drop_block(x: Array, call: Call, seed: int) -> Array:
    """Lines 5 to 8 for activations that :func:`takes` accepts, in their memory layout."""
    channels_last = not x.flags.c_contiguous and np.moveaxis(x, 1, -1).flags.c_contiguous
    y = np.empty_like(x, subok=False)
    # With channels last a map's units do not lie together, and a row of memory would have many factors.
    is_in_order = x.flags.c_contiguous or (channels_last and call.renorm != "map")
    if is_in_order and x.flags.aligned:
        _fill(y, x, call, seed, channels_last=channels_last)
        return y
    made = np.empty(x.shape, x.dtype)
    _fill(made, np.require(x, requirements=["C", "ALIGNED"]), call, seed, channels_last=False)
    y[...] = made
    return y


def _fill(y: Array, x: Array, call: Call, seed: int, *, channels_last: bool) -> None:
    channels, units = x.shape[1], call.segments.units
    state = np.empty(calls.state_words(call.samples * call.maps * units), np.uint64)
    # Channels that share a mask do not lie between its bits.
    in_units = channels_last and call.maps == channels
    threads = parallel_for()
    dropped = calls.draw(call.batch(seed), state.ctypes.data, channels_last=in_units, parallel_for=threads)
    scopes = scope_number(call.renorm, (call.samples, call.maps))
    scale: Any = call.fixed_scale
    if scale is None:
        counts = dropped if scopes == 1 else calls.count(state.ctypes.data, scopes, call.count)
        scale = factor(counts, call.count)
    scale = np.asarray(scale, np.float64 if x.dtype == np.float64 else np.float32)
    rows = calls.Rows.of(call.samples, channels, call.maps, units, scopes, channels_last)
    places = x.ctypes.data, y.ctypes.data, state.ctypes.data, scale.ctypes.data
    calls.apply(*places, rows, x.dtype.name, parallel_for=threads)
