"""What a seed does (rules R6 and R13)."""

from typing import Any

import numpy as np

from dropblock_conformance.checks.mode import SEEDABLE, SHARE
from dropblock_conformance.judging.check import Context, Finding, Violation, check
from dropblock_conformance.judging.dtypes import dtype_named
from dropblock_conformance.judging.exact import once, require_some, share
from dropblock_conformance.level import Severity
from dropblock_conformance.subject import Array

BITS = 31  # of the seeds that a subject is given
CALLS = 250
OTHERS = 150  # seeds drawn at random: of a thousand kinds two are alike, almost surely


def _mask(context: Context, seed: int) -> Array:
    """The mask of 256 maps at gamma 0.1 or more: two independent ones agree with probability below 0.8^256."""
    claims = context.subject.claims
    shape = (16, 16) if claims.per_sample and claims.per_channel else (256, 1) if claims.per_sample else (1, 256)
    x = np.ones((*shape, *(5,) * claims.spatial[0]), dtype_named(claims.law_dtype))
    dropped = np.asarray(context.call(x, keep_prob=0.64, block_size=3, seed=seed) == 0)
    require_some(dropped)
    return dropped


@check(
    "seed.same",
    title="One seed, one mask",
    rule="R13 · Algorithm 1 line 5",
    effect=SHARE,
    needs=SEEDABLE,
    severity=Severity.HYGIENE,
)
def same(context: Context) -> Finding:
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
    "seed.lasting",
    title="A seed gives its mask at any time",
    rule="R13 · Algorithm 1 line 5",
    effect=SHARE,
    needs=SEEDABLE,
    severity=Severity.HYGIENE,
)
def lasting(context: Context) -> Finding:
    """Twelve calls of different sizes, blocks, keep_probs and seeds are made again and again, 250 calls in all, with
    evaluations in between. Each gives its first mask every time: nothing that a call leaves behind moves it, and
    nothing is kept from one call to another.
    """
    claims = context.subject.claims
    rank, dtype = claims.spatial[0], dtype_named(claims.law_dtype)
    kinds = [(shape, block, p) for shape in ((3, 2), (16, 16)) for block in (1, 3) for p in (0.3, 0.64, 0.9)]
    calls: list[dict[str, Any]] = [
        {"x": np.ones((*shape, *(5,) * rank), dtype), "block_size": block, "keep_prob": p, "seed": context.new_seed()}
        for shape, block, p in kinds
    ]

    def holds() -> str:
        first: dict[int, Array] = {}
        for number in range(CALLS):
            which = number % len(calls)
            if number % 5 == 4:
                context.call(**{**calls[which], "seed": context.new_seed()}, training=False)
            dropped = np.asarray(context.call(**calls[which]) == 0)
            if (wrong := dropped != first.setdefault(which, dropped)).any():
                raise Violation(
                    f"call {which + 1} of the run, made again as call {number + 1}, gave another mask", share(wrong)
                )
        require_some(np.concatenate([dropped.ravel() for dropped in first.values()]))
        return f"each of {CALLS} calls gave the mask that it gave first"

    return once(holds)


@check(
    "seed.bits",
    title="Every bit of a seed matters",
    rule="R13 · Algorithm 1 line 5",
    effect="share of the pairs of seeds that gave one mask",
    needs=SEEDABLE,
    severity=Severity.HYGIENE,
)
def bits(context: Context) -> Finding:
    """Seeds that differ in a single bit, or in two neighbouring ones, give masks of their own: each of the 31 bits
    matters. So do any two of 150 seeds drawn at random.
    """

    def holds() -> str:
        seed = context.new_seed()
        flips = [0, *(1 << bit for bit in range(BITS)), *(3 << bit for bit in range(BITS - 1)), 2**BITS - 1]
        first: dict[bytes, int] = {}  # the flip that gave a mask first
        flips += [seed ^ context.new_seed() for _ in range(OTHERS)]
        of_mask = [(first.setdefault(_mask(context, seed ^ flip).tobytes(), flip), flip) for flip in flips]
        pairs = [(one, other) for one, other in of_mask if one != other]
        if pairs:
            one, other = pairs[0]
            raise Violation(
                f"seeds {seed ^ one} and {seed ^ other} gave one mask, and so did {len(pairs) - 1} more pairs of "
                f"{len(flips)} seeds",
                len(pairs) / len(flips),
            )
        return f"{len(flips)} seeds gave as many masks"

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
