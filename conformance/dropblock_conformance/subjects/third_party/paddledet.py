# SPDX-License-Identifier: Apache-2.0
"""PaddleDetection's `DropBlock` (github.com/PaddlePaddle/PaddleDetection), version 2.6.0, with Paddle 3.3.1."""

from importlib import import_module
from typing import Any

from dropblock_conformance.subject import Array, Claims, Deviation, Subject
from dropblock_conformance.subjects.third_party import deviations, reproduce

paddle: Any = import_module("paddle")
DropBlock = import_module("ppdet.modeling.layers").DropBlock


def layer(keep_prob: float, block_size: int, training: bool, seed: int) -> Any:
    paddle.seed(seed)
    dropblock = DropBlock(block_size, keep_prob, name="dropblock")
    dropblock.training = training
    return dropblock


def call(x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
    y: Array = layer(keep_prob, block_size, training, seed)(paddle.to_tensor(x)).numpy()
    return y


def grad(x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
    activations = paddle.to_tensor(x, stop_gradient=False)
    y = layer(keep_prob, block_size, True, seed)(activations)
    (dx,) = paddle.grad([y], [activations], [paddle.to_tensor(dy)])
    return y.numpy(), dx.numpy()


# Its documentation names the paper and says nothing else; masks are per channel by its code. An even block fails, as
# the mask comes out one unit too large.
CLAIMS = Claims(even_blocks=False, clips=False)

LAW = deviations.WHOLE_MAP
EXPECT = [
    deviations.OVER_THE_BORDER,
    *deviations.MULTIPLIED,
    *deviations.nothing_kept("count / 0 where nothing is kept is infinite, and times zero NaN"),
    *deviations.of_law(LAW, "gamma is Eq. (1)'s, but seeds fall on the whole map"),
]
PRELUDE = (
    "import numpy as np, paddle; from ppdet.modeling.layers import DropBlock; "
    "f = lambda x, p, b: (paddle.seed(0), DropBlock(b, 1 - p, 'd')(x))[1]"
)
ANSWER = "f(paddle.ones([{n}, 1, {feat}]), {p}, {b}).numpy()[:, 0]"
GRADIENT = "x.stop_gradient = False; y = f(x, {p}, {b}); g = paddle.grad([y], [x], [{dy}])[0].numpy()"
REPRODUCE = {
    "mask.blocks": reproduce.line(PRELUDE, ANSWER, "mask.blocks"),
    "values.dropped_zero": reproduce.command(
        PRELUDE,
        "x = paddle.ones([100, 1, 9, 9])",
        "y, n = (f(v, 0.3, 3).numpy() for v in (x, x * np.nan))",
        "print((n[y == 0] != 0).mean())",
    ),
    "values.nothing_kept": reproduce.command(
        PRELUDE, "print((f(paddle.ones([20, 1, 5, 5]), 1.0, 5).numpy() != 0).mean())"
    ),
    "gradient.nonfinite": reproduce.command(
        PRELUDE,
        "x = paddle.ones([100, 1, 9, 9])",
        GRADIENT.format(p=0.3, b=3, dy="y.detach() + np.inf"),
        "print((g != 0)[y.numpy() == 0].mean())",
    ),
    "gradient.nothing_kept": reproduce.command(
        PRELUDE,
        "x = paddle.ones([20, 1, 5, 5])",
        GRADIENT.format(p=1.0, b=5, dy="paddle.ones_like(y)"),
        "print((g != 0).mean())",
    ),
    **reproduce.law_lines(PRELUDE, ANSWER, LAW),
}


def candidate() -> tuple[Subject, list[Deviation]]:
    return Subject("paddledet", call, CLAIMS, grad), reproduce.shown(EXPECT, REPRODUCE)
