# SPDX-License-Identifier: Apache-2.0
"""Every unit of batches as large as a network's: values, gradients, and numbers of every size (rules R7 to R9)."""

import numpy as np
import numpy.typing as npt

from dropblock_conformance.checks.gradient import HAS_GRADIENT, SEEDABLE_GRADIENT, WRONG
from dropblock_conformance.checks.mode import SEEDABLE, SHARE
from dropblock_conformance.checks.scale import ERROR, claimed_scale, require_scaled
from dropblock_conformance.judging.batches import in_batches
from dropblock_conformance.judging.check import Context, Finding, Violation, check
from dropblock_conformance.judging.dtypes import limits, scaled_range, tolerance
from dropblock_conformance.judging.exact import Setting, require_some, share, unless_refused
from dropblock_conformance.judging.inputs import after_relu, extremes, finite_extremes, ordinary
from dropblock_conformance.level import Severity
from dropblock_conformance.subject import Array

Units = npt.NDArray[np.bool_]


@check(
    "values.every_unit",
    title="Every unit of a large batch is right",
    rule="R7, R8, R9 · Algorithm 1 lines 7 and 8",
    effect=ERROR,
)
def every_unit(context: Context) -> Finding:
    """Each of the units of batches with up to 64 samples and 300 channels is zero, or its input times the factor of the
    scope claimed. Where the mask is known from the seed half of the activations are zero, as after a ReLU, and all of
    one sample and of one channel: zeros do not count as dropped.
    """
    claims = context.subject.claims

    def holds(setting: Setting) -> None:
        x = ordinary(setting.shape, setting.dtype, setting.seed)
        y = context.call(x.copy(), **setting.arguments)
        dropped = y == 0
        require_scaled("kept values", x, y, ~dropped, claimed_scale(claims, setting, dropped), setting.dtype)
        require_some(dropped)
        if claims.seedable:
            x = after_relu(setting.shape, setting.dtype, setting.seed)
            y = context.call(x.copy(), **setting.arguments)
            _require_zero(y[dropped], "values")
            scale = claimed_scale(claims, setting, dropped)
            what = "kept values, where half of the activations are 0,"
            require_scaled(what, x, y, ~dropped, scale, setting.dtype)

    return in_batches(context, holds)


def _require_zero(values: Array, what: str) -> None:
    if (wrong := values != 0).any():
        raise Violation(f"{int(wrong.sum())} {what} of dropped units are not 0", share(wrong))


@check(
    "values.edges",
    title="Numbers of every size, infinities and NaN are kept",
    rule="R9 · Algorithm 1 line 8",
    effect=SHARE,
    needs=SEEDABLE,
    severity=Severity.SERIOUS,
)
def edges(context: Context) -> Finding:
    """What is kept is the input times the factor for every number of the dtype, from the smallest to the largest.
    A product out of range is infinity, and an infinity or a NaN that is kept comes out as it was. Subnormal numbers of
    float32 and bfloat16 may come out as 0, as many frameworks' arithmetic has it.
    """
    claims = context.subject.claims

    def holds(setting: Setting) -> None:
        dropped = context.call(setting.ones(), **setting.arguments) == 0
        require_some(dropped)
        scale = claimed_scale(claims, setting, dropped)
        for make in (finite_extremes, extremes):
            x = make(setting.shape, setting.dtype, setting.seed)
            y = context.call(x.copy(), **setting.arguments, nan_is_an_answer=True)
            _require_products("kept value", x, y, ~dropped, scale, setting.dtype)

    return in_batches(context, holds)


USUAL_SIZES = 1e-4, 1e4  # of activations and gradients; what is wrong beyond them is rare


def _require_products(what: str, x: Array, y: Array, kept: Units, scale: Array, dtype: str) -> None:
    """Every kept number is the product, to the paper's tolerance, whatever its size; the gravest of what is not."""
    tiny, largest, smallest = limits(dtype)
    with np.errstate(all="ignore"):
        wanted = x.astype(np.float64) * scale
        size = np.abs(wanted)
        low, high = scaled_range(x, scale, dtype)
        right = (low <= y) & (y <= high) | (y == wanted) | np.isnan(x) & np.isnan(y)
        near = np.abs(y.astype(np.float64) - wanted) <= np.maximum(tolerance(dtype) * size, 2 * smallest)
        right |= near & np.isfinite(wanted)
        right |= np.isinf(y) & (np.sign(y) == np.sign(wanted)) & (size > largest * (1 - tolerance(dtype)))
        if dtype != "float16":  # the arithmetic of many machines has no subnormals, and frameworks leave them out
            right |= (y == 0) & (np.minimum(np.abs(x), size) < tiny)
    wrong = kept & ~right
    signs = kept & (x == 0) & (y == 0) & (np.signbit(x) != np.signbit(y))
    usual = (x == 0) | (size >= USUAL_SIZES[0]) & (size <= USUAL_SIZES[1])
    for units, severity in (
        (wrong & usual, Severity.SERIOUS),
        (wrong & np.isfinite(x) & (size >= tiny) & (size <= largest), Severity.EDGE),
        (wrong & (size >= tiny), Severity.HYGIENE),  # out of range, or infinite
        (wrong & np.isnan(x), Severity.HYGIENE),
        (wrong | signs, Severity.COSMETIC),
    ):
        if units.any():
            was, became = x[units][0], y[units][0]
            factor = np.broadcast_to(scale, x.shape)[units][0]
            summary = f"{int(units.sum())} of {int(kept.sum())} {what}s are wrong: {was} times {factor:.6g} is {became}"
            raise Violation(summary, share(units), severity)


@check(
    "gradient.every_unit",
    title="The gradient of every unit of a large batch is right",
    rule="R7, R8 · Algorithm 1 lines 7 and 8 differentiated",
    effect=ERROR,
    needs=HAS_GRADIENT,
)
def every_gradient(context: Context) -> Finding:
    """Each of the gradients in large batches is zero, or the upstream gradient times the factor of the scope claimed,
    in the dtype of the activations. They do not depend on the activations: where one is 0 its gradient still flows. The
    output that comes with them is training's, and at keep_prob 1 the gradient is the upstream one.
    """
    claims = context.subject.claims

    def holds(setting: Setting) -> None:
        dy = ordinary(setting.shape, setting.dtype, setting.seed + 1)
        x = ordinary(setting.shape, setting.dtype, setting.seed)
        y, dx = context.gradient(x, dy, **setting.arguments)
        dropped = y == 0
        require_some(dropped)
        scale = claimed_scale(claims, setting, dropped)
        if dx.dtype != x.dtype:
            raise Violation(f"the gradient is {dx.dtype} for activations of {x.dtype}", severity=Severity.SERIOUS)
        _require_zero(dx[dropped], "gradients")
        require_scaled("gradients", dy, dx, ~dropped, scale, setting.dtype)
        require_scaled("values of the output that comes with a gradient", x, y, ~dropped, scale, setting.dtype)
        with unless_refused():
            _, all_kept = context.gradient(x, dy, **{**setting.arguments, "keep_prob": 1.0})
            require_scaled("gradients at keep_prob 1", dy, all_kept, np.ones_like(dropped), np.ones(()), setting.dtype)
        if claims.seedable:
            _, dx = context.gradient(after_relu(setting.shape, setting.dtype, setting.seed), dy, **setting.arguments)
            _require_zero(dx[dropped], "gradients")
            require_scaled("gradients, where half of the activations are 0,", dy, dx, ~dropped, scale, setting.dtype)

    return in_batches(context, holds)


@check(
    "gradient.edges",
    title="Gradients of every size are kept",
    rule="R9 · Algorithm 1 line 8 differentiated",
    effect=WRONG,
    needs=SEEDABLE_GRADIENT,
    severity=Severity.SERIOUS,
)
def gradient_edges(context: Context) -> Finding:
    """An upstream gradient of any size is multiplied by the factor: zero, subnormal, largest, infinite and NaN ones.
    So is an ordinary one, whatever the activation is.
    """
    claims = context.subject.claims

    def holds(setting: Setting) -> None:
        x = ordinary(setting.shape, setting.dtype, setting.seed)
        y, _ = context.gradient(x, x, **setting.arguments)
        dropped = y == 0
        require_some(dropped)
        scale = claimed_scale(claims, setting, dropped)
        for make in (finite_extremes, extremes):
            strange = make(setting.shape, setting.dtype, setting.seed)
            for held, dy in ((x, strange), (strange, x)):
                _, dx = context.gradient(held.copy(), dy.copy(), **setting.arguments)
                _require_products("gradient", dy, dx, ~dropped, scale, setting.dtype)

    return in_batches(context, holds)
