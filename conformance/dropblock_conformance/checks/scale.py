# SPDX-License-Identifier: Apache-2.0
"""Renormalisation: line 8's count, over the scope that is claimed, at every size and precision (rules R8 to R10)."""

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from dropblock_conformance.judging.check import Check, Context, Finding, Violation, check, claim
from dropblock_conformance.judging.dtypes import scaled_range, tolerance
from dropblock_conformance.judging.exact import SEEDS, Setting, for_all, once, require_some, share, valid_settings
from dropblock_conformance.level import Severity
from dropblock_conformance.subject import Array, Claims
from dropblock_core import expected_keep, gamma

ERROR = "largest relative error of a kept value, in the simplest setting found"

FOUR_UNITS = {1: (4,), 2: (2, 2), 3: (2, 2, 1)}
SCOPE_AXES = {"tensor": 0, "sample": 1, "map": 2}


def claimed_scale(claims: Claims, setting: Setting, dropped: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Line 8's factor in float64, from the mask seen and the scope claimed; broadcastable to the activations."""
    if claims.renorm == "none":
        return np.ones(())
    if claims.renorm == "expected":
        g = gamma(setting.keep_prob, setting.block_size, setting.feat)
        kept = expected_keep(g, setting.block_size, setting.feat)
        return np.asarray(1 / kept if kept else 0.0)
    axes = tuple(range(SCOPE_AXES[claims.renorm], dropped.ndim))
    ones = np.count_nonzero(~dropped, axis=axes, keepdims=True)
    return np.asarray(dropped.size / np.prod(ones.shape) / np.maximum(ones, 1))


def require_scaled(what: str, x: Array, y: Array, kept: npt.NDArray[np.bool_], scale: Array, dtype: str) -> str:
    """Every kept value is its input times the scale, rounded as rule R9 allows; within the paper's tolerance a value
    that is not is less grave.
    """
    low, high = scaled_range(x, scale, dtype)
    with np.errstate(invalid="ignore"):  # NaN is neither
        wrong = kept & ~((low <= y) & (y <= high))
    if wrong.any():
        wanted = np.broadcast_to(x * scale, y.shape)[wrong]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            error = np.abs(y.astype(np.float64)[wrong] - wanted) / np.abs(wanted)
        grave = ~(error <= tolerance(dtype))
        count = f"{int(wrong.sum())} of {int(kept.sum())} {what} are wrong, by {error.max():.3g} of themselves"
        raise Violation(count, float(error.max()), None if grave.any() else Severity.COSMETIC)
    return f"all {int(kept.sum()):,} {what} are right to rounding"


@check(
    "scale.claimed",
    title="Kept values are scaled by count / count_ones",
    rule="R8, R9 · Algorithm 1 line 8",
    effect=ERROR,
)
def claimed(context: Context) -> Finding:
    """The count runs over the scope that is claimed and is exact; the factor is right to 2 ulp of float32 (float64 for
    float64) and the product is rounded once. 1 / keep_prob is not the paper's factor.
    """
    claims = context.subject.claims

    def holds(setting: Setting) -> None:
        x = setting.values()
        y = context.call(x.copy(), **setting.arguments)
        require_scaled("kept values", x, y, y != 0, claimed_scale(claims, setting, y == 0), setting.dtype)
        require_some(y == 0)

    return for_all(context, valid_settings(context) | few_kept(context), holds)


def few_kept(context: Context) -> st.SearchStrategy[Setting]:
    """Settings that keep one or two units of four, seven times in ten: there an epsilon added to the count shows."""
    claims = context.subject.claims
    shape = (1, 1, *FOUR_UNITS[min(claims.spatial)])
    return st.builds(Setting, st.just(shape), st.just(1), st.just(0.375), SEEDS, st.just(claims.law_dtype))


def _large(context: Context, dtype: str, shape: tuple[int, ...]) -> Finding:
    """One map, which every scope counts whole, of so many kept units that a narrow count does not hold them."""
    setting = Setting(shape, 7, 0.9, context.new_seed(), dtype)

    def holds() -> str:
        x = setting.values()
        y = context.call(x.copy(), **setting.arguments)
        kept = y != 0
        if not kept.mean() > 0.5:
            raise Violation(
                f"{kept.mean():.0%} of {x.size:,} units are not 0, about 91% should be", 1 - float(kept.mean())
            )
        scale = claimed_scale(context.subject.claims, setting, ~kept)
        return require_scaled("kept values", x, y, kept, scale, dtype)

    return once(holds)


@check(
    "scale.large",
    title="More than 2^24 units are counted",
    rule="R9 · Algorithm 1 line 8",
    effect=ERROR,
    needs=claim(lambda s: 2 in s.claims.spatial, "does not claim spatial rank 2"),
    severity=Severity.EDGE,
)
def large(context: Context) -> Finding:
    """Adding ones in float32 stops growing at 2^24; a count has to be exact at every size."""
    return _large(context, context.subject.claims.law_dtype, (1, 1, 4352, 4352))


def _in_half(dtype: str) -> Check:
    @check(
        f"scale.{dtype}",
        title=f"65,520 units and more are counted in {dtype}",
        rule="R9 · Algorithm 1 line 8",
        effect="share of units lost, or largest relative error of a kept value",
        needs=claim(
            lambda s: dtype in s.claims.dtypes and 2 in s.claims.spatial, f"does not claim {dtype} at spatial rank 2"
        ),
    )
    def in_half(context: Context) -> Finding:
        """A count in half precision overflows or stops growing: one layer in wide use returns all zeros in float16 from
        65,520 kept units on.
        """
        return _large(context, dtype, (1, 1, 384, 384))

    return in_half


float16, bfloat16 = _in_half("float16"), _in_half("bfloat16")


def all_dropped(context: Context) -> list[Setting]:
    """At keep_prob 0 a block as large as the map leaves nothing: in each dtype and rank."""
    return [
        Setting((2, 3, *(5,) * rank), 5, 0.0, context.new_seed(), dtype)
        for dtype, rank in context.subject.claims.dtypes_and_ranks
    ]


@check(
    "values.nothing_kept",
    title="Zeros, not NaN, where nothing is kept",
    rule="R10 · Algorithm 1 line 8 with count_ones(M) = 0",
    effect="share of units that are not 0",
    severity=Severity.EDGE,
    needs=claim(lambda s: s.claims.keep_prob_zero, "does not claim to take keep_prob 0"),
)
def nothing_kept(context: Context) -> Finding:
    """At keep_prob 0 with a block as large as the map nothing is kept, and 0 / 0 must not come out."""

    def holds() -> str:
        for setting in all_dropped(context):
            y = context.call(setting.ones(), **setting.arguments, nan_is_an_answer=True)
            if (wrong := y != 0).any():
                first = y[wrong][0]
                what = "where nothing is kept" if np.isnan(first) else "of a unit kept, where all are to be dropped"
                raise Violation(f"{first} in place of 0 {what}, at {setting}", share(wrong))
        return "zeros where nothing is kept"

    return once(holds)
