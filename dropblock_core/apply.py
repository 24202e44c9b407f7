# SPDX-License-Identifier: Apache-2.0
"""drop_block: Algorithm 1 for NumPy arrays, fast, and for the arrays of any array-API library."""

from typing import Any

import numpy as np

from dropblock_core import arrays, validate, words
from dropblock_core.call import Call, remembered_call
from dropblock_core.mask import dropped_units
from dropblock_core.native import numpy as native
from dropblock_core.positional import looks_at_position
from dropblock_core.remembered import flat
from dropblock_core.renorm import counted_factor


@looks_at_position()
def drop_block(
    x: Any,
    keep_prob: float = 0.9,
    block_size: int | tuple[int, ...] = 7,
    *,
    training: bool = True,
    per_channel: bool = True,
    renorm: str = "tensor",
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    seed: int | None = None,
    sample_offset: int = 0,
    stream: int = 0,
    rng: np.random.Generator | None = None,
    **foreign: Any,
) -> Any:
    """DropBlock, Algorithm 1 of the paper with gamma from Eq. (1).

    Args:
        x: activations ``[samples, channels, *spatial]`` with 1, 2 or 3 spatial axes, of a real floating dtype.
        keep_prob: probability of keeping a unit, in [0, 1], up to the overlap of blocks (see `calibrated`).
        block_size: side of the dropped block, or one per spatial axis; clipped to the map.
        training: False returns `x` itself (line 3) and draws nothing.
        per_channel: one mask per channel ("tends to work better", section 3), or one that a sample's channels share.
        renorm: what line 8 counts over: ``"tensor"`` (this call's whole mask, as the authors' code), ``"sample"`` or
            ``"map"``; or ``"expected"`` (divide by the exact expected keep fraction), ``"none"``.
        gamma_scale: factor on Eq. (1), at least 0.
        calibrated: solve for the gamma whose expected keep fraction is exactly `keep_prob`, instead of Eq. (1).
        seed: 64 bits that fix the mask, the same on every backend. Without it they come from `rng`.
        sample_offset: number of this call's first sample in the whole batch, for shards of one batch.
        stream: 32 bits that tell apart layers which share a seed.
        rng: NumPy Generator to draw 64 bits from; by default NumPy's global generator (``np.random.seed``).

    Returns:
        A new array of the dtype, shape, device and memory layout of `x`. A dropped unit is +0, whatever it held, and a
        kept one is ``x * count(M) / count_ones(M)``. `x` itself where nothing can be dropped (keep_prob 1, inference,
        no samples or channels).

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it, its value, the rule and the remedy.

    >>> x = np.ones((1, 2, 4, 4), np.float32)
    >>> drop_block(x, keep_prob=0.7, block_size=2, seed=5)[0, 0]
    array([[1.3333334, 0.       , 0.       , 1.3333334],
           [1.3333334, 0.       , 0.       , 1.3333334],
           [1.3333334, 1.3333334, 0.       , 0.       ],
           [1.3333334, 1.3333334, 0.       , 0.       ]], dtype=float32)
    """
    validate.array(x)
    validate.no_foreign_keywords(foreign)
    call = remembered_call(
        x.shape,
        x.dtype,
        keep_prob,
        per_channel,
        renorm,
        gamma_scale,
        calibrated,
        sample_offset,
        stream,
        *flat(block_size),
    )
    validate.one_source(seed=seed, rng=validate.generator(rng))
    seed = None if seed is None else validate.seed_word(seed)
    if not validate.flag("training", training) or call.drops_nothing:
        return x
    if seed is None:  # NumPy's generators, the global one included, have `bytes`
        seed = int.from_bytes((np.random if rng is None else rng).bytes(8), "little")
    if isinstance(x, np.ndarray):
        return native.drop_block(x, call, seed) if native.takes(x) else _apply_numpy(x, call, seed)
    return _apply_words(x, call, seed)


def _apply_numpy(x: np.ndarray[Any, Any], call: Call, seed: int) -> np.ndarray[Any, Any]:
    dropped = dropped_units(call.batch(seed))  # lines 5 and 6
    scale: Any = call.fixed_scale
    if scale is None:
        scale = counted_factor(dropped, call.renorm, call.count)
    wide = np.result_type(x.dtype, np.float32)
    y = np.empty_like(x, subok=False)
    # Line 8 before line 7: one pass in the wide type, rounded once. Selecting, not multiplying, keeps NaN out.
    with np.errstate(over="ignore", invalid="ignore"):  # out of range is infinity, and a dropped unit may hold anything
        np.multiply(x, np.asarray(scale, wide), out=y, dtype=wide, casting="unsafe")
    np.copyto(y, 0, where=dropped)
    return y


def _apply_words(x: Any, call: Call, seed: int) -> Any:
    space = words.WordSpace.beside(x)
    xp, segments = space.xp, call.segments
    bits = words.seed_words(space, call.batch(seed))  # line 5
    dropped = words.grow(space, words.anchor_words(space, bits, segments), segments)  # line 6
    wide = x.dtype if x.dtype == xp.float64 else xp.float32
    scale: Any = call.fixed_scale
    if scale is None:
        scale = words.counted_factor(space, call.count, *words.count_bits(space, dropped, call.renorm), wide)
    y = xp.astype(xp.astype(x, wide) * scale, x.dtype)  # line 8
    dropped = words.unpack(space, dropped, segments.feat)
    if arrays.is_torch(xp):
        return y.masked_fill_(dropped, 0)  # keeps the memory format of y, where `where` takes the mask's
    return xp.where(dropped, xp.zeros_like(x), y)  # line 7
