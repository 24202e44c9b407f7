"""When nothing is dropped, what comes back, and what a seed does (rules R1, R9 and R13)."""

import numpy as np
from hypothesis import strategies as st

from dropblock_conformance.judging.check import Context, Finding, Violation, check, claim
from dropblock_conformance.judging.dtypes import dtype_named
from dropblock_conformance.judging.exact import Setting, for_all, once, share, valid_settings
from dropblock_conformance.subject import Array

SHARE = "share of units that are wrong in the simplest setting found"
SEEDABLE = claim(lambda s: s.claims.seedable, "does not claim to be seedable")


def same_bits(one: Array, other: Array) -> Array:
    """Unit by unit, whether two arrays hold the same bits: NaN equals NaN, and -0 is not +0."""
    size = one.dtype.itemsize
    bits = np.dtype(f"u{size}")
    return np.asarray(np.ascontiguousarray(one).view(bits) == np.ascontiguousarray(other).view(bits))


def require_identity(x: Array, y: Array, when: str) -> None:
    if y.dtype != x.dtype:
        raise Violation(f"{when} returns {y.dtype} for {x.dtype}")
    if not (same := same_bits(x, y)).all():
        raise Violation(f"{when} changes {int((~same).sum())} of {x.size} units", share(~same))


@check(
    "mode.inference",
    title="Inference returns the input",
    rule="R1 · Algorithm 1 lines 2 to 4",
    effect=SHARE,
)
def inference(context: Context) -> Finding:
    """In inference the output is the input, bit for bit, NaN included."""

    def holds(setting: Setting) -> None:
        x = setting.values()
        x.reshape(-1)[0] = np.nan
        require_identity(x, context.call(x.copy(), **setting.arguments, training=False), "inference")

    return for_all(context, valid_settings(context), holds)


@check(
    "mode.keep_prob_one",
    title="keep_prob 1 returns the input",
    rule="R1 · Eq. (1) with keep_prob = 1",
    effect=SHARE,
)
def keep_prob_one(context: Context) -> Finding:
    """Nothing is dropped and nothing is scaled in training at keep_prob 1."""

    def holds(setting: Setting) -> None:
        x = setting.values()
        require_identity(x, context.call(x.copy(), **setting.arguments), "keep_prob=1")

    return for_all(context, valid_settings(context, keep_prob=st.just(1.0)), holds)


@check(
    "output.dtype",
    title="The output is of the input's dtype, the input untouched",
    rule="R9 · Algorithm 1 lines 7 and 8",
    effect=SHARE,
)
def dtype(context: Context) -> Finding:
    """Dtype and shape are the input's, and the caller's array is left as it was."""

    def holds(setting: Setting) -> None:
        x = setting.values()
        before = x.copy()
        y = context.call(x, **setting.arguments)
        if y.dtype != x.dtype:
            raise Violation(f"the output is {y.dtype} for an input of {x.dtype}")
        if not same_bits(x, before).all():
            raise Violation("the caller's input was changed", share(~same_bits(x, before)))

    return for_all(context, valid_settings(context), holds)


@check(
    "output.layout",
    title="The memory layout does not matter",
    rule="R13 · Algorithm 1 line 1",
    effect=SHARE,
    needs=SEEDABLE,
)
def layout(context: Context) -> Finding:
    """A channels-last array and a contiguous one with the same values and seed get the same answer."""

    def holds(setting: Setting) -> None:
        x = setting.values()
        wanted = context.call(x.copy(), **setting.arguments)
        strided = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)  # channels last in memory
        got = context.call(strided, **setting.arguments)
        if not (same := same_bits(wanted, got)).all():
            raise Violation("the answer depends on the memory layout of the input", share(~same))

    return for_all(context, valid_settings(context), holds)


def _mask(context: Context, seed: int) -> Array:
    """The mask of 256 maps at gamma 0.1 or more: two independent ones agree with probability below 0.8^256."""
    claims = context.subject.claims
    x = np.ones((16, 16, *(5,) * claims.spatial[0]), dtype_named(claims.law_dtype))
    return np.asarray(context.call(x, keep_prob=0.64, block_size=3, seed=seed) == 0)


@check(
    "seed.same",
    title="One seed, one mask",
    rule="R13 · Algorithm 1 line 5",
    effect=SHARE,
    needs=SEEDABLE,
)
def same_seed(context: Context) -> Finding:
    """The same seed gives the same mask at every call, whatever was called in between."""

    def holds() -> str:
        seed = context.new_seed()
        first = _mask(context, seed)
        for call in range(2, 6):  # an odd and an even number of calls in between
            if call == 4:
                _mask(context, seed + 1)
            if not np.array_equal(first, again := _mask(context, seed)):
                raise Violation(f"the same seed gave another mask at call {call}", share(first != again))
        return "five calls with one seed gave one mask"

    return once(holds)


@check(
    "seed.fresh",
    title="Another call, another mask",
    rule="R6, R13 · Algorithm 1 line 5",
    effect="1 if two masks were the same",
)
def fresh(context: Context) -> Finding:
    """Calls with different seeds (any two calls, where no seed is claimed) give different masks."""

    def holds() -> str:
        seed = context.new_seed()
        masks = [_mask(context, seed + n if context.subject.claims.seedable else seed) for n in range(2)]
        masks.append(_mask(context, context.new_seed()))
        for one, other in ((0, 1), (0, 2), (1, 2)):
            if np.array_equal(masks[one], masks[other]):
                raise Violation("two calls that should differ gave the same mask")
        return "three calls gave three masks"

    return once(holds)
