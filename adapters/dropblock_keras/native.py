# SPDX-License-Identifier: Apache-2.0
"""drop_block of the framework that Keras runs on."""

from typing import Any

import keras


def drop_block(x: Any, keep_prob: Any, words: Any, data_format: str, options: dict[str, Any]) -> Any:
    """Blocks of `x` dropped by the backend in use; `words` is a seed, its low word and its high word."""
    backend = keras.backend.backend()
    if backend not in _ON_BACKEND:
        raise RuntimeError(
            f"Keras runs on {backend!r}, which has no DropBlock: set KERAS_BACKEND to tensorflow, jax or torch "
            "(for inference any backend will do)"
        )
    return _ON_BACKEND[backend](x, keep_prob, words, data_format, options)


def level() -> Any:
    """What operations go to: the graph, the trace, or nothing. Programs within programs have others."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.compat.v1.get_default_graph()
    if backend == "jax":
        from jax.extend.core import get_opaque_trace_state

        return get_opaque_trace_state()
    return None


def _on_tensorflow(x: Any, keep_prob: Any, words: Any, data_format: str, options: dict[str, Any]) -> Any:
    import tensorflow as tf

    from dropblock_tf import drop_block

    seed = tf.cast(words, tf.int64) & 0xFFFFFFFF
    return drop_block(x, keep_prob=keep_prob, seed=seed, data_format=data_format, **options)


def _on_jax(x: Any, keep_prob: Any, words: Any, data_format: str, options: dict[str, Any]) -> Any:
    from dropblock_jax import drop_block

    return drop_block(x, keep_prob=keep_prob, seed=words.astype("uint32"), data_format=data_format, **options)


def _on_torch(x: Any, keep_prob: Any, words: Any, data_format: str, options: dict[str, Any]) -> Any:
    from dropblock_torch import drop_block

    low, high = words.long() & 0xFFFFFFFF
    if data_format == "channels_first":
        return drop_block(x, keep_prob=keep_prob, seed=low | high << 32, **options)
    # With its axes in PyTorch's order, x is one of PyTorch's own channels-last tensors: nothing is copied.
    return drop_block(x.movedim(-1, 1), keep_prob=keep_prob, seed=low | high << 32, **options).movedim(1, -1)


_ON_BACKEND = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
