"""TensorFlow in graphs and under XLA, beside the authors' formulation and the frameworks' own dropout."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dropblock_core import gamma
from dropblock_tf import drop_block
from tests.bench.cases import CASES, FLOOR, OURS, Backend, Case, Contenders, Target

MAX_POOL, DROPOUT, KERAS = "max-pool formulation", "tf.nn.dropout", "keras.layers.Dropout"
Layer = Callable[[Any], Any]  # of activations [samples, *spatial, channels]


def layers_of(case: Case) -> dict[str, Layer]:
    keep_prob, block = case.keep_prob, case.block
    feat = case.shape[2:]
    rows, columns = (np.arange(f) for f in feat)
    centred = [
        (axis >= block // 2) & (axis < f - (block - 1) // 2) for axis, f in zip((rows, columns), feat, strict=True)
    ]
    valid = tf.constant((centred[0][:, None] & centred[1])[None, :, :, None])

    def max_pool(x: Any) -> Any:
        """The authors' rule: a random number a unit of the map, seeds where a block fits, a maximum over windows."""
        seeds = valid & (tf.random.uniform(tf.shape(x)) < gamma(keep_prob, block, feat))
        mask = 1 - tf.nn.max_pool2d(tf.cast(seeds, x.dtype), block, 1, "SAME")
        return x * mask * (tf.cast(tf.size(mask), x.dtype) / tf.reduce_sum(mask))

    dropout = keras.layers.Dropout(1 - keep_prob)
    return {
        OURS: lambda x: drop_block(x, keep_prob=keep_prob, block_size=block),
        FLOOR: lambda x: x * 1.1,
        DROPOUT: lambda x: tf.nn.dropout(x, 1 - keep_prob),
        KERAS: lambda x: dropout(x, training=True),
        MAX_POOL: max_pool,
    }


def both(layer: Layer) -> Layer:
    def run(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        return y, tape.gradient(y, x, tf.ones_like(y))

    return run


def contenders(
    x: np.ndarray[Any, Any], case: Case, *, way: Callable[[Layer], Layer] = lambda layer: layer, xla: bool
) -> Contenders:
    activations = tf.constant(np.ascontiguousarray(np.moveaxis(x, 1, -1)))
    programs = {name: tf.function(way(layer), jit_compile=xla) for name, layer in layers_of(case).items()}

    def run(program: Any) -> None:
        tf.nest.map_structure(lambda y: y[0, 0, 0, 0].numpy(), program(activations))  # waits for it

    return {name: partial(run, program) for name, program in programs.items()}


XLA = {case: [Target(MAX_POOL, at_least=5.0), Target(DROPOUT, at_least=3.0)] for case in CASES[:3]}
GRAPH = {case: [Target(MAX_POOL, at_least=1.0)] for case in CASES[:3]}
BACKENDS = [
    Backend("graph, forward", partial(contenders, xla=False), GRAPH),
    Backend("graph, forward + backward", partial(contenders, way=both, xla=False), GRAPH),
    Backend("XLA, forward", partial(contenders, xla=True), XLA),
    Backend("XLA, forward + backward", partial(contenders, way=both, xla=True), XLA),
]
