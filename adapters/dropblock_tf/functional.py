# SPDX-License-Identifier: Apache-2.0
"""drop_block for TensorFlow: it checks its arguments here, and `program` draws and applies the mask."""

from typing import Any

import tensorflow as tf

from dropblock_core import validate
from dropblock_core.call import Call
from dropblock_core.positional import looks_at_position
from dropblock_tf import host, keys, program
from dropblock_tf.threshold import Threshold


@looks_at_position()
@tf.autograph.experimental.do_not_convert
def drop_block(
    x: Any,
    keep_prob: Any = 0.9,
    block_size: int | tuple[int, ...] = 7,
    *,
    seed: Any = None,
    generator: tf.random.Generator | None = None,
    training: bool = True,
    per_channel: bool = True,
    renorm: str = "tensor",
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    sample_offset: Any = 0,
    stream: Any = 0,
    data_format: str = "channels_last",
    across_replicas: bool = False,
    **foreign: Any,
) -> Any:
    """DropBlock, Algorithm 1 of the paper with gamma from Eq. (1): eagerly, in ``tf.function``, and compiled by XLA.

    Args:
        x: activations ``[samples, *spatial, channels]`` (or as `data_format` says) with 1, 2 or 3 spatial axes, of a
            real floating dtype. In a graph any size but the channels' may be unknown; XLA wants to know all.
        keep_prob: probability of keeping a unit, in [0, 1], up to the overlap of blocks (see `calibrated`). As a tensor
            or a variable it changes without retracing; in a graph it is clamped to [0, 1], and NaN drops nothing.
        block_size: side of the dropped block, or one per spatial axis; clipped to the map.
        seed: 64 bits that fix the mask, the same on every backend: an int, or a tensor of two words of 32 bits, the
            low one and the high one. Without it they come from `generator`.
        generator: ``tf.random.Generator`` to draw 64 bits from; by default they are drawn as ``tf.nn.dropout`` draws
            (``tf.random.set_seed``). In ``tf.recompute_grad`` a mask needs a seed, from outside.
        training: False returns `x` itself (line 3) and draws nothing.
        per_channel: one mask per channel ("tends to work better", section 3), or one that a sample's channels share.
        renorm: what line 8 counts over: ``"tensor"`` (this replica's whole mask, as the authors' code), ``"sample"`` or
            ``"map"``; or ``"expected"`` (divide by the exact expected keep fraction), ``"none"``.
        gamma_scale: factor on Eq. (1), at least 0.
        calibrated: solve for the gamma whose expected keep fraction is exactly `keep_prob`, instead of Eq. (1).
        sample_offset: number of this call's first sample in the whole batch, for shards of one batch; may be a tensor.
        stream: 32 bits that tell apart layers which share a seed.
        data_format: ``"channels_last"`` or ``"channels_first"``.
        across_replicas: count line 8 over all replicas of a distribution strategy (``renorm="tensor"``). Each of them
            must make the same calls in training, with samples or without.

    Returns:
        A tensor of the dtype and shape of `x`. A dropped unit is +0, whatever it held, and a kept one is
        ``x * count(M) / count_ones(M)``. `x` itself where nothing can be dropped (keep_prob 1, inference, no samples or
        channels).

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it, its value, the rule and the remedy.

    >>> import tensorflow as tf
    >>> x = tf.ones([1, 4, 4, 2])
    >>> drop_block(x, keep_prob=0.7, block_size=2, seed=5)[0, :, :, 0].numpy()
    array([[1.3333334, 0.       , 0.       , 1.3333334],
           [1.3333334, 0.       , 0.       , 1.3333334],
           [1.3333334, 1.3333334, 0.       , 0.       ],
           [1.3333334, 1.3333334, 0.       , 0.       ]], dtype=float32)
    """
    validate.no_foreign_keywords(foreign)
    channels_last = validate.data_format(data_format, "TensorFlow") == "channels_last"
    x, shape = _activations(x, channels_last)
    training, calibrated = validate.flag("training", training), validate.flag("calibrated", calibrated)
    across_replicas = validate.flag("across_replicas", across_replicas)
    keep_prob, has_value = _keep_prob(keep_prob, calibrated)
    options: dict[str, Any] = {
        "block_size": block_size,
        "per_channel": per_channel,
        "renorm": renorm,
        "gamma_scale": gamma_scale,
        "calibrated": calibrated,
    }
    _check_block(block_size)
    call = Call.checked(
        [1 if size is None else size for size in shape],
        x.dtype,
        keep_prob,
        has_value=has_value,
        sample_offset=_value_of("sample_offset", sample_offset),
        stream=_value_of("stream", stream),
        **options,
    )
    keys.check(seed, generator)
    if across_replicas and renorm != "tensor":
        raise ValueError(
            f"across_replicas=True with renorm={renorm!r}: only renorm='tensor' counts over replicas; drop one of them"
        )
    if not training:
        return x
    if across_replicas and None in shape[2:]:
        raise ValueError("across_replicas=True needs spatial sizes that the graph knows: set them on the input")
    spec = program.MaskSpec(call.segments, call.maps, call.renorm, channels_last, across_replicas)
    if call.drops_nothing:
        if across_replicas:
            program.count_kept(x, spec)
        return x
    keys.not_recomputed(seed)
    key = keys.words_of(seed, generator)
    if host.is_at_hand(x) and not across_replicas:
        return host.drop_eagerly(x, call, key, channels_last)
    sample_offset, stream = tf.cast(sample_offset, tf.int64), tf.cast(stream, tf.int64)
    if None in shape[2:]:
        return host.drop_unknown_sizes(x, keep_prob, key, sample_offset, stream, channels_last, options)
    if has_value:
        threshold = Threshold.of_gamma(call.gamma, call.segments)
    else:
        threshold = Threshold.symbolic(keep_prob, call.segments, call.gamma_scale)
    numbers = tf.range(tf.cast(tf.shape(x)[0], tf.int64)) + sample_offset
    return program.drop(x, key, numbers, threshold, stream, spec)


def _activations(x: Any, channels_last: bool) -> tuple[Any, list[Any]]:
    """`x` as a tensor, and its sizes with the channels first; None for one that is not known."""
    validate.unmasked(x)
    try:
        x = tf.convert_to_tensor(x)
    except (TypeError, ValueError):
        raise TypeError(f"x is a {type(x).__name__}: pass a tensor, e.g. tf.convert_to_tensor(x)") from None
    if x.shape.rank is None:
        raise ValueError("x has an unknown rank: give it one with tf.ensure_shape(x, [None, None, None, channels])")
    shape = x.shape.as_list()
    # A size that is not known yet is checked as 1.
    validate.activations([1 if size is None else size for size in shape], x.dtype, channels_last=channels_last)
    if channels_last:
        shape = [shape[0], shape[-1], *shape[1:-1]]
    if shape[1] is None:
        raise ValueError(
            f"x has shape {x.shape}: the number of channels must be known, as a layer's weights need it too"
        )
    return x, shape


def _value_of(name: str, value: Any) -> Any:
    """`value` where the host can look at it, or 0 in its place; TypeError for a tensor that is no integer."""
    if not tf.is_tensor(value):
        return value
    if value.shape.rank != 0 or not value.dtype.is_integer:
        raise TypeError(
            f"{name} is a tensor of shape {value.shape} and dtype {value.dtype.name}: it must be one number of an "
            "integer dtype"
        )
    return int(value) if tf.executing_eagerly() else 0


def _check_block(block_size: Any) -> None:
    """TypeError for a tensor without a value, which Python cannot even iterate over."""
    if tf.is_symbolic_tensor(block_size):
        raise TypeError(
            f"block_size is a tensor of shape {block_size.shape} that has no value yet, as the program is traced: it "
            "must be an int of at least 1, or one such int for each spatial axis"
        )


def _keep_prob(keep_prob: Any, calibrated: bool) -> tuple[Any, bool]:
    """keep_prob, and whether it has a value that the host can look at."""
    if not (tf.is_tensor(keep_prob) or isinstance(keep_prob, tf.Variable)):
        return keep_prob, True
    if keep_prob.shape.rank != 0 or not keep_prob.dtype.is_floating:
        raise TypeError(
            f"keep_prob is a tensor of shape {keep_prob.shape} and dtype {keep_prob.dtype.name}: it must be one number "
            "of a floating dtype"
        )
    if tf.executing_eagerly():
        return float(keep_prob.numpy()), True
    if calibrated:
        raise ValueError(
            "calibrated=True with a keep_prob that has no value yet: the gamma is solved on the host; pass a number"
        )
    return tf.convert_to_tensor(keep_prob), False
