# SPDX-License-Identifier: Apache-2.0
"""KerasCV's `DropBlock2D` (github.com/keras-team/keras-cv), version 0.9.0, on Keras 3 with TensorFlow."""

import os
from importlib import import_module
from typing import Any

from dropblock_conformance.checks import events
from dropblock_conformance.subject import Claims, Deviation, Subject
from dropblock_conformance.subjects.third_party import deviations, reproduce

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # before Keras is imported
DropBlock2D = import_module("keras_cv.layers").DropBlock2D


def layer(x: Any, keep_prob: float, block_size: int, training: bool, seed: int) -> Any:
    return DropBlock2D(1 - keep_prob, block_size, seed=seed, dtype=x.dtype.name)(x, training=training)


# Its documentation names the paper; masks are per channel ("the number of blocks dropped can vary, between the
# channels") and a seed is offered. A block must not be larger than the map: it warns of NaN. Its code casts to the
# input's dtype, for Keras's mixed precision.
CLAIMS = Claims(dtypes=("float32", "float16", "bfloat16"), clips=False)

TRANSPOSED: deviations.Law = {
    "law.non_square": (events.UNTOUCHED, (0.25, 0.38)),
    "law.wide": (events.UNTOUCHED, (0.92, 1.05)),
    "law.tall": ("units 36 to 69 of a column all kept", (-1.01, -0.99)),
    "law.everywhere": ("law.non_square", (-1.0, 20.0)),
    "law.special": ("law.non_square", (-1.0, 20.0)),
}
REASON = "the valid region ends at row width - b // 2: too late on maps that are wider than high, else too early"
EXPECT = [
    Deviation("mask.blocks", f"{REASON}; blocks hang over the lower border", deviations.ANY_SHARE),
    *deviations.MULTIPLIED,
    # Now and then a share needs no rounding, and scale.float16 or scale.bfloat16 then conforms.
    *deviations.rounding("the share kept is rounded to the activations' dtype before they are divided by it"),
    *deviations.nothing_kept("division by a share of 0, as its documentation warns"),
    *deviations.of_law(TRANSPOSED, REASON),
    Deviation("seed.bits", "seeds 1 and 2147483647 give one mask, and so do a few others", (0.0, 0.02)),
]
PRELUDE = (
    "import os; os.environ['KERAS_BACKEND'] = 'tensorflow'; import numpy as np, tensorflow as tf; "
    "from keras_cv.layers import DropBlock2D as D"
)
ANSWER = "np.array(D({p}, {b}, seed=0)(np.ones(({n}, {feat}, 1), 'f4'), training=True))[..., 0]"
HALF = "x = tf.random.stateless_uniform((8, 64, 64, 1), (0, 0), 0.5, 1.5, tf.{dtype})"
ROUNDED = (
    "y = D(0.1, 7, seed=0, dtype='{dtype}')(x, training=True); k = (y != 0).numpy(); "
    "w = tf.cast(tf.cast(x, 'float64') * k.size / k.sum(), tf.{dtype}); print((y != w).numpy()[k].mean())"
)
GRADIENT = (
    "t = tf.GradientTape(); t.__enter__(); t.watch(x); y = D({p}, {b}, seed=0)(x, training=True); t.__exit__(0, 0, 0); "
    "g = t.gradient(y, x, {dy}); print((g != 0).numpy()[{where}].mean())"
)
REPRODUCE = {
    "seed.bits": reproduce.command(
        PRELUDE,
        "y, z = (np.array(D(0.3, 3, seed=s)(np.ones((100, 9, 9, 1), 'f4'), training=True)) for s in (1, 2**31 - 1))",
        "print((y == z).mean())",
    ),
    "mask.blocks": reproduce.line(PRELUDE, ANSWER, "mask.blocks"),
    "values.dropped_zero": reproduce.command(
        PRELUDE,
        "x = np.ones((100, 9, 9, 1), 'f4')",
        "y, n = (np.array(D(0.3, 3, seed=0)(v, training=True)) for v in (x, x * np.nan))",
        "print((n[y == 0] != 0).mean())",
    ),
    "values.nothing_kept": reproduce.command(
        PRELUDE, "y = D(1.0, 5, seed=0)(np.ones((20, 5, 5, 1), 'f4'), training=True)", "print((y != 0).numpy().mean())"
    ),
    "gradient.nonfinite": reproduce.command(
        PRELUDE, "x = tf.ones((100, 9, 9, 1))", GRADIENT.format(p=0.3, b=3, dy="y + np.inf", where="(y == 0).numpy()")
    ),
    "gradient.nothing_kept": reproduce.command(
        PRELUDE, "x = tf.ones((20, 5, 5, 1))", GRADIENT.format(p=1.0, b=5, dy="y", where="...")
    ),
    **{
        check: reproduce.command(PRELUDE, HALF.format(dtype=dtype), ROUNDED.format(dtype=dtype))
        for check, dtype in {
            "scale.claimed": "float16",
            "gradient.scale": "float16",
            "values.every_unit": "float16",
            "gradient.every_unit": "float16",
            "scale.float16": "float16",
            "scale.bfloat16": "bfloat16",
        }.items()
    },
    **reproduce.law_lines(PRELUDE, ANSWER, TRANSPOSED),
}


def candidate() -> tuple[Subject, list[Deviation]]:
    from dropblock_conformance.subjects.bridges.tf import subject

    return subject("keras-cv", layer, CLAIMS), reproduce.shown(EXPECT, REPRODUCE)
