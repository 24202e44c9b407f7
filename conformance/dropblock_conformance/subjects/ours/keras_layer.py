# SPDX-License-Identifier: Apache-2.0
"""This project's Keras layers. Keras has one backend a process, so each of the three subjects needs its own."""

import os
import sys
from collections.abc import Iterator

import numpy as np

from dropblock_conformance.subject import Array, Claims, Subject


def on(backend: str, name: str) -> Subject:
    """The layers on one backend.

    Raises:
        RuntimeError: Keras was imported before, and runs on another one.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = backend
    import keras

    from dropblock_keras import DropBlock1D, DropBlock2D, DropBlock3D, LinearSchedule

    if keras.backend.backend() != backend:
        raise RuntimeError(
            f"Keras runs on {keras.backend.backend()!r} in this process: certify on {backend!r} in one of its own, "
            f"with KERAS_BACKEND={backend}"
        )
    layers = {3: DropBlock1D, 4: DropBlock2D, 5: DropBlock3D}

    def call(x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
        layer = layers[x.ndim](keep_prob, block_size, seed=seed, dtype=x.dtype.name)
        y = layer(keras.ops.convert_to_tensor(np.moveaxis(x, 1, -1)), training=training)
        z: Array = np.moveaxis(keras.ops.convert_to_numpy(y), -1, 1).astype(x.dtype)
        return z

    def schedule(keep_prob: float, steps: int) -> Iterator[float]:
        linear, layer = LinearSchedule(keep_prob, steps), DropBlock2D()
        for step in range(steps + 1):
            layer.keep_prob = linear(step)
            yield layer.keep_prob

    # JAX has float64 only where it is switched on, and Keras's PyTorch takes no bfloat16 arrays of NumPy.
    dtypes = {
        "tensorflow": ("float32", "float16", "bfloat16", "float64"),
        "jax": ("float32", "float16", "bfloat16"),
        "torch": ("float32", "float16", "float64"),
    }
    return Subject(name, call, Claims(spatial=(1, 2, 3), dtypes=dtypes[backend]), None, schedule, backend == "jax")


def tensorflow() -> Subject:
    return on("tensorflow", "keras-tf")


def jax() -> Subject:
    return on("jax", "keras-jax")


def torch() -> Subject:
    return on("torch", "keras-torch")
