# SPDX-License-Identifier: Apache-2.0
"""When nothing is dropped, and what comes back (rules R1, R9 and R13)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dropblock_conformance.judging.answers import BadOutputError, SubjectError
from dropblock_conformance.judging.attempt import in_subject
from dropblock_conformance.judging.batches import in_batches
from dropblock_conformance.judging.check import Context, Finding, Violation, check, claim, explanation_of
from dropblock_conformance.judging.dtypes import dtype_named, limits, tolerance
from dropblock_conformance.judging.exact import Setting, both, for_all, once, share, valid_settings
from dropblock_conformance.judging.inputs import LAYOUTS, REPEATED, extremes, finite_extremes, ordinary
from dropblock_conformance.level import Severity
from dropblock_conformance.subject import Array

SHARE = "share of units that are wrong in the simplest setting found"
SEEDABLE = claim(lambda s: s.claims.seedable, "does not claim to be seedable")


def same_bits(one: Array, other: Array) -> Array:
    """Unit by unit, whether two arrays hold the same bits: NaN equals NaN, and -0 is not +0."""
    size = one.dtype.itemsize
    bits = np.dtype(f"u{size}")
    return np.asarray(np.ascontiguousarray(one).view(bits) == np.ascontiguousarray(other).view(bits))


def require_identity(x: Array, y: Array, when: str, is_computed: bool) -> None:
    """Every unit is what it was, to the bit; what differs by less than training notices is less grave.

    What is computed, a product with 1, may have another NaN, and 0 for a subnormal number, which many machines'
    arithmetic leaves out.
    """
    if y.dtype != x.dtype:
        raise Violation(f"{when} returns {y.dtype} for {x.dtype}", severity=Severity.SERIOUS)
    same = same_bits(x, y)
    tiny = np.abs(x) < limits(x.dtype.name)[0]
    if is_computed:
        same |= (np.isnan(x) & np.isnan(y)) | (tiny & (y == 0) & (x.dtype != np.float16))
    if same.all():
        return
    finite = np.isfinite(x)
    with np.errstate(all="ignore"):
        off = np.abs(y.astype(np.float64) - x.astype(np.float64))
        grave = finite & ~(off <= tolerance(x.dtype.name) * np.abs(x.astype(np.float64)))
    for wrong, severity in (
        (grave & ~tiny, Severity.WRONG),
        (~finite & ~same & ~(np.isnan(x) & np.isnan(y)), Severity.HYGIENE),
        (~same, Severity.COSMETIC),
    ):
        if wrong.any():
            was, became = x[wrong][0], y[wrong][0]
            raise Violation(
                f"{when} changes {int(wrong.sum())} of {x.size} units, {was!s} to {became!s}", share(wrong), severity
            )


def _identity(context: Context, when: str, arguments: dict[str, Any]) -> Finding:
    is_computed = arguments.get("training", True)

    def holds(setting: Setting) -> None:
        if not is_computed:  # what a training call leaves behind is no matter
            context.call(setting.values(), **setting.arguments, nan_is_an_answer=True)
        # NaN last: a layer that spreads it is another, lesser finding.
        for make in (ordinary, finite_extremes, extremes):
            x = make(setting.shape, setting.dtype, setting.seed)
            given = x.copy()
            y = context.call(given, **setting.arguments | arguments, nan_is_an_answer=True)
            require_identity(x, y, when, is_computed)
            if not same_bits(x, given).all():
                raise Violation(f"{when} writes to the caller's input", share(~same_bits(x, given)), Severity.SERIOUS)

    def beyond(setting: Setting) -> None:
        x = setting.values()
        y = context.call(x.copy(), **setting.arguments | arguments, nan_is_an_answer=True)
        require_identity(x, y, when, is_computed)

    found = both(for_all(context, valid_settings(context), holds), in_batches(context, holds))
    if context.level == "robust" and context.subject.claims.clips:
        found = both(found, for_all(context, valid_settings(context, beyond_map=True), beyond))
    return found


@check(
    "mode.inference",
    title="Inference returns the input",
    rule="R1 · Algorithm 1 lines 2 to 4",
    effect=SHARE,
)
def inference(context: Context) -> Finding:
    """In inference the output is the input, bit for bit, NaN included."""
    return _identity(context, "inference", {"training": False})


@check(
    "mode.keep_prob_one",
    title="keep_prob 1 returns the input",
    rule="R1 · Eq. (1) with keep_prob = 1",
    effect=SHARE,
)
def keep_prob_one(context: Context) -> Finding:
    """Nothing is dropped and nothing is scaled in training at keep_prob 1. Of a product with 1, subnormal numbers of
    float32 and bfloat16 may come out as 0, as in many frameworks' arithmetic.
    """
    return _identity(context, "keep_prob=1", {"keep_prob": 1.0})


@check(
    "output.dtype",
    title="The output is of the input's dtype, the input untouched",
    rule="R9 · Algorithm 1 lines 7 and 8",
    effect=SHARE,
    severity=Severity.SERIOUS,
)
def dtype(context: Context) -> Finding:
    """Dtype and shape are the input's, those of an empty batch too, unless it is refused. The caller's array is left as
    it was, and so is an output when the next call comes.
    """

    def holds(setting: Setting) -> None:
        x = setting.values()
        before = x.copy()
        y = context.call(x, **setting.arguments)
        if y.dtype != x.dtype:
            raise Violation(f"the output is {y.dtype} for an input of {x.dtype}")
        if not same_bits(x, before).all():
            raise Violation("the caller's input was changed", share(~same_bits(x, before)))
        raw = in_subject(context.subject.call, x, **setting.arguments, training=True)
        kept = raw.copy()
        context.call(x, **{**setting.arguments, "seed": setting.seed ^ 1})
        if not (same := same_bits(raw, kept)).all():
            raise Violation("the next call overwrote an output", share(~same))

    return both(for_all(context, valid_settings(context), holds), once(lambda: _empty(context)))


def _empty(context: Context) -> str:
    claims = context.subject.claims
    x = np.ones((0, 3, *(5,) * claims.law_rank), dtype_named(claims.law_dtype))
    try:
        context.call(x, keep_prob=0.5, block_size=3, seed=context.new_seed())
    except SubjectError as refused:
        return f"an empty batch is refused: {refused}"
    except BadOutputError as error:
        raise Violation(f"an empty batch {error}", severity=Severity.EDGE) from error
    return "an empty batch comes back empty"


@check(
    "output.layout",
    title="The memory layout does not matter",
    rule="R13 · Algorithm 1 line 1",
    effect=SHARE,
    needs=SEEDABLE,
    severity=Severity.HYGIENE,
)
def layout(context: Context) -> Finding:
    """Arrays with the same values and seed get the same answer, however they lie in memory: channels last, backwards,
    every second unit or the inside of a larger array, first axis fastest, unaligned, read-only, or one channel, one
    sample or one unit repeated without memory of its own. So do they in inference.
    """

    def holds(setting: Setting) -> None:
        x = setting.values()
        usual = context.call(x.copy(), **setting.arguments)
        for lay in (*LAYOUTS, *REPEATED):
            laid = lay(x)
            wanted = usual if lay in LAYOUTS else context.call(laid.copy(order="C"), **setting.arguments)
            _require_same(wanted, context.call(laid, **setting.arguments), lay)

    def evaluated() -> str:
        claims = context.subject.claims
        for dtype in claims.dtypes:
            setting = Setting((3, 4, *(6,) * claims.law_rank), 3, 0.7, context.new_seed(), dtype)
            for lay in (*LAYOUTS, *REPEATED):
                laid = lay(setting.values())
                _require_same(laid, context.call(laid, **setting.arguments, training=False), lay)
        return "in inference too"

    return both(for_all(context, valid_settings(context), holds), once(evaluated))


def _require_same(wanted: Array, y: Array, lay: Callable[[Array], Array]) -> None:
    if not (same := same_bits(wanted, y)).all():
        how = explanation_of(lay).rstrip(".").lower()
        raise Violation(f"the answer depends on how the input lies in memory ({how})", share(~same))
