# SPDX-License-Identifier: Apache-2.0
"""drop_block for JAX: it checks its arguments here, and `program` draws and applies the mask."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, export
from jax.experimental import checkify

from dropblock_core import arrays, validate
from dropblock_core.call import Call
from dropblock_core.positional import looks_at_position
from dropblock_jax import keys, options, program
from dropblock_jax.threshold import Threshold


@looks_at_position()
def drop_block(
    x: Array,
    keep_prob: float | Array | Threshold = 0.9,
    block_size: int | tuple[int, ...] = 7,
    *,
    key: Array | None = None,
    seed: int | Array | None = None,
    training: bool = True,
    per_channel: bool = True,
    renorm: str = "tensor",
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    sample_offset: int | Array = 0,
    stream: int | Array = 0,
    data_format: str = "channels_last",
    axis_name: Any = None,
    **foreign: Any,
) -> Array:
    """DropBlock, Algorithm 1 of the paper with gamma from Eq. (1). A pure function, for any of JAX's transformations.

    Args:
        x: activations ``[samples, *spatial, channels]`` (or as `data_format` says) with 1, 2 or 3 spatial axes, of a
            real floating dtype.
        keep_prob: probability of keeping a unit, in [0, 1], up to the overlap of blocks (see `calibrated`). Traced, it
            compiles a whole schedule once: clamped to [0, 1], NaN drops nothing, and gamma is float32, so that the
            mask has the right law but not NumPy's very bits; a :class:`Threshold` has both.
        block_size: side of the dropped block, or one per spatial axis; clipped to the map.
        key: one key, ``jax.random.key(...)`` or a raw one; it is used up, as by JAX's own samplers.
        seed: 64 bits that fix the mask, the same on every backend: an int, or uint32 ``[2]`` (low word, high word),
            which may be traced. Instead of `key`.
        training: False returns `x` itself (line 3).
        per_channel: one mask per channel ("tends to work better", section 3), or one that a sample's channels share.
        renorm: what line 8 counts over: ``"tensor"`` (the whole mask, as the authors' code; the global one where `x`
            is sharded automatically), ``"sample"`` or ``"map"``; or ``"expected"`` (divide by the exact expected keep
            fraction), ``"none"``.
        gamma_scale: factor on Eq. (1), at least 0.
        calibrated: solve for the gamma whose expected keep fraction is exactly `keep_prob`, instead of Eq. (1).
        sample_offset: number of this call's first sample in the whole batch, for shards of one batch; may be traced.
        stream: 32 bits that tell apart layers which share a seed; may be traced.
        data_format: ``"channels_last"`` or ``"channels_first"``.
        axis_name: count line 8 over this mapped axis too, inside ``shard_map`` or ``vmap`` (``renorm="tensor"``).

    Returns:
        An array of the dtype and shape of `x`. A dropped unit is +0, whatever it held, and a kept one is
        ``x * count(M) / count_ones(M)``. `x` itself where nothing can be dropped (keep_prob 1, inference, no samples or
        channels).

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it, its value, the rule and the remedy.
            What is traced has no value to look at; ``jax.experimental.checkify`` finds a keep_prob outside [0, 1]
            there.

    >>> import jax.numpy as jnp
    >>> x = jnp.ones((1, 4, 4, 2))
    >>> drop_block(x, keep_prob=0.7, block_size=2, seed=5)[0, :, :, 0]
    Array([[1.3333334, 0.       , 0.       , 1.3333334],
           [1.3333334, 0.       , 0.       , 1.3333334],
           [1.3333334, 1.3333334, 0.       , 0.       ],
           [1.3333334, 1.3333334, 0.       , 0.       ]], dtype=float32)
    """
    validate.no_foreign_keywords(foreign)
    channels_last = validate.data_format(data_format, "JAX") == "channels_last"
    x = options.checked_array(x)
    # A size that is a symbol (jax.export) is checked as 1.
    sizes = [1 if export.is_symbolic_dim(size) else size for size in x.shape]
    shape = validate.activations(sizes, x.dtype, channels_last=channels_last)
    training, calibrated = validate.flag("training", training), validate.flag("calibrated", calibrated)
    has_value = not isinstance(keep_prob, Threshold) and not arrays.is_traced(keep_prob)
    if isinstance(keep_prob, Threshold):
        _check_threshold(gamma_scale, calibrated)
    elif not has_value:
        _check_traced(keep_prob, calibrated)
    call = Call.checked(
        shape,
        x.dtype,
        keep_prob,
        block_size,
        has_value=has_value,
        per_channel=per_channel,
        renorm=renorm,
        gamma_scale=gamma_scale,
        calibrated=calibrated,
        sample_offset=_value_of("sample_offset", sample_offset),
        stream=_value_of("stream", stream),
    )
    if axis_name is not None and call.renorm != "tensor":
        raise ValueError(
            f"{validate.shown('axis_name', axis_name)} with renorm={renorm!r}: only renorm='tensor' counts over an "
            "axis; drop one of them"
        )
    keys.check(key, seed, needed=training)
    if not training or call.drops_nothing:
        return x
    _check_symbols(x.shape, renorm)
    if isinstance(keep_prob, Threshold):
        threshold = keep_prob
    elif has_value:
        threshold = Threshold.of_gamma(call.gamma, call.segments)
    else:
        threshold = Threshold.traced(jnp.asarray(keep_prob), call.segments, call.gamma_scale)
    numbers = jnp.arange(x.shape[0], dtype=jnp.uint32) + _word(sample_offset)
    spec = program.ProgramSpec(call.segments, call.maps, call.renorm, channels_last, axis_name)
    return program.drop(x, keys.words_of(key, seed), numbers, threshold, _word(stream), spec)


def _value_of(name: str, value: Any) -> Any:
    """`value`, or 0 in place of a traced one; TypeError where that is no integer."""
    if not arrays.is_traced(value):
        return value
    if value.ndim or not jnp.issubdtype(value.dtype, jnp.integer):
        raise TypeError(f"{name} is traced as {value.aval}: it must be one number of an integer dtype")
    return 0


def _word(value: Any) -> Any:
    """A word of the generator's counter. JAX would refuse a Python int above 2^31, so NumPy converts it."""
    return value.astype(jnp.uint32) if arrays.is_traced(value) else np.uint32(value)


def _check_symbols(shape: tuple[Any, ...], renorm: str) -> None:
    """Refuse a mask of sizes that are symbols: only the number of samples may be one, if nothing counts over them."""
    samples, *others = map(export.is_symbolic_dim, shape)
    if any(others) or (samples and renorm == "tensor"):
        raise ValueError(
            f"x has shape {shape} with renorm={renorm!r}: a size may be a symbol only for the samples, and only where "
            "line 8 does not count over them; export with numbers, with another renorm, or with training=False"
        )


def _check_threshold(gamma_scale: Any, calibrated: bool) -> None:
    if calibrated or gamma_scale != 1.0:
        raise ValueError(
            "keep_prob is a Threshold, which holds gamma already, beside "
            f"{validate.shown('gamma_scale', gamma_scale)} and calibrated={calibrated!r}: pass them to Threshold.of"
        )


def _check_traced(keep_prob: Any, calibrated: bool) -> None:
    """Refuse what a traced keep_prob cannot go with, and let checkify check its value when the program runs."""
    if calibrated:
        raise ValueError(
            "calibrated=True with a traced keep_prob: the gamma is solved on the host; pass a number, or "
            "Threshold.of(keep_prob, block_size, feat_size, calibrated=True) as the operand"
        )
    if keep_prob.ndim or not jnp.issubdtype(keep_prob.dtype, jnp.floating):
        raise TypeError(f"keep_prob is traced as {keep_prob.aval}: it must be one number of a floating dtype")
    checkify.debug_check(
        (keep_prob >= 0) & (keep_prob <= 1),
        "keep_prob={keep_prob} is outside [0, 1]: it is the probability to keep, so a drop probability d is 1-d",
        keep_prob=keep_prob,
    )
