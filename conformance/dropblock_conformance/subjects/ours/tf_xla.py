# SPDX-License-Identifier: Apache-2.0
"""This project's TensorFlow adapter compiled by XLA."""

import tensorflow as tf

from dropblock_conformance.subject import Subject
from dropblock_conformance.subjects.ours.tf_eager import subject
from dropblock_conformance.subjects.ours.tf_function import call, compiled


def candidate() -> Subject:
    return subject("tf-xla", compiled(tf.function(call, jit_compile=True)), compiles=True)
