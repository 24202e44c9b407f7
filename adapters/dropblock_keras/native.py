"""drop_block of the framework that Keras runs on: one file, since each is a call of a few lines."""

from collections.abc import Callable
from typing import Any

import keras


def tensorflow(x: Any, keep_prob: Any, words: Any, channels_last: bool, options: dict[str, Any]) -> Any:
    import tensorflow as tf

    from dropblock_tf import drop_block

    seed = tf.cast(words, tf.int64) & 0xFFFFFFFF
    return drop_block(x, keep_prob, seed=seed, data_format=_data_format(channels_last), **options)


def jax(x: Any, keep_prob: Any, words: Any, channels_last: bool, options: dict[str, Any]) -> Any:
    from dropblock_jax import drop_block

    return drop_block(x, keep_prob, seed=words.astype("uint32"), data_format=_data_format(channels_last), **options)


def torch(x: Any, keep_prob: Any, words: Any, channels_last: bool, options: dict[str, Any]) -> Any:
    from dropblock_torch import drop_block

    low, high = words.long() & 0xFFFFFFFF
    if not channels_last:
        return drop_block(x, keep_prob, seed=low | high << 32, **options)
    # Seen with the channels first, it lies in memory as PyTorch's own channels-last tensors do.
    return drop_block(x.movedim(-1, 1), keep_prob, seed=low | high << 32, **options).movedim(1, -1)


def _data_format(channels_last: bool) -> str:
    return "channels_last" if channels_last else "channels_first"


def drop_block() -> Callable[..., Any]:
    """The one for the backend in use, ``(x, keep_prob, words, channels_last, options)``; `words` is a seed of two."""
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax", "torch"):
        raise RuntimeError(
            f"Keras runs on {backend!r}, which has no DropBlock: set KERAS_BACKEND to tensorflow, jax or torch "
            "(for inference any backend will do)"
        )
    return {"tensorflow": tensorflow, "jax": jax, "torch": torch}[backend]
