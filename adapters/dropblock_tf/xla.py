# SPDX-License-Identifier: Apache-2.0
"""What TensorFlow knows of XLA and does not say in public."""

from typing import Any

import tensorflow as tf
from tensorflow.compiler.tf2xla.python.xla import optimization_barrier
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext


def compiles_for_a_gpu() -> bool:
    """Whether XLA compiles the graph that is being traced, on a machine whose GPUs TensorFlow sees."""
    graph = tf.compat.v1.get_default_graph()
    return (
        not tf.executing_eagerly() and bool(tf.config.list_logical_devices("GPU")) and GraphOrParentsInXlaContext(graph)
    )


def held(tensors: list[Any]) -> list[Any]:
    """`tensors`, which XLA then writes once, and does not compute anew wherever they are read."""
    return list(optimization_barrier(*tensors))
