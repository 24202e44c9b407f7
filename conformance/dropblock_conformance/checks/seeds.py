# SPDX-License-Identifier: Apache-2.0
"""What a seed does (rules R6 and R13)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dropblock_conformance.checks.distinct import SIDES
from dropblock_conformance.checks.mode import SEEDABLE, SHARE
from dropblock_conformance.judging.check import Context, Finding, Violation, check
from dropblock_conformance.judging.dtypes import dtype_named
from dropblock_conformance.judging.exact import once, require_some, share, unless_refused
from dropblock_conformance.level import Severity
from dropblock_conformance.subject import Array

BITS = 31  # of the seeds that a subject is given
CALLS = 450
OTHERS = 150  # seeds drawn at random: of a thousand kinds two are alike, almost surely
MOST = 2**BITS - 1
FEWEST = 0.05  # share of the units: by it two masks of hundreds of maps are told apart


def _ones(context: Context, dtype: str | None = None, side: int | None = None) -> Array:
    """256 maps; a large one where all of them share a mask."""
    claims = context.subject.claims
    side = side or (5 if claims.per_sample or claims.per_channel else SIDES[claims.spatial[0]])
    shape = (16, 16) if claims.per_sample and claims.per_channel else (256, 1) if claims.per_sample else (1, 256)
    return np.ones((*shape, *(side,) * claims.spatial[0]), dtype_named(dtype or claims.law_dtype))


def _mask(
    context: Context,
    seed: int,
    *,
    keep_prob: float = 0.64,
    block_size: int = 3,
    dtype: str | None = None,
    side: int | None = None,
) -> Array:
    """The mask of 256 maps at gamma 0.1 or more: two independent ones agree with probability below 0.8^256."""
    x = _ones(context, dtype, side)
    dropped = np.asarray(context.call(x, keep_prob=keep_prob, block_size=block_size, seed=seed) == 0)
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
    """Twelve calls of different sizes, blocks, keep_probs and seeds are made again and again, 450 calls in all, with
    evaluations and calls that drop nothing in between. Each gives its first mask every time: nothing that a call leaves
    behind moves it, and nothing is kept from one call to another. These are the first calls of a run.
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
            if (number + number // len(calls)) % 2:  # each of the calls sometimes comes after one, and sometimes not
                context.call(**{**calls[which], "seed": context.new_seed()}, training=False)
            if number % 5 == 4:
                with unless_refused():
                    context.call(**{**calls[which], "keep_prob": 1.0})
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
    matters, in every dtype, at a low keep_prob, and to the gradient. So do the first seeds and the last, seeds a power
    of ten apart, seeds of the same bytes, negatives, and any two of 150 drawn at random. No map is the same for all.
    """

    claims = context.subject.claims
    seed = context.new_seed()
    flipped = [seed, *(seed ^ 1 << bit for bit in range(BITS))]

    def holds() -> str:
        others = [context.new_seed() for _ in range(OTHERS)]
        said = [
            _all_differ(lambda s: _mask(context, s), [*dict.fromkeys((*flipped, *akin(seed), *others))]),
            _all_differ(lambda s: _mask(context, s, keep_prob=0.3), flipped, "at keep_prob 0.3"),
        ]
        for name in claims.dtypes:
            if name != claims.law_dtype:
                said.append(_all_differ(lambda s, name=name: _mask(context, s, dtype=name), flipped, f"in {name}"))  # type: ignore[misc]
        if context.subject.grad is not None:
            x = _ones(context)
            arguments: dict[str, Any] = {"keep_prob": 0.64, "block_size": 3}
            said.append(_all_differ(lambda s: context.gradient(x, x, seed=s, **arguments)[1], flipped, "of gradients"))
        return "; ".join(said)

    return once(holds)


def akin(seed: int) -> list[int]:
    """Seeds that confused arithmetic takes for others: of a seed and of its complement."""
    found = [0, 1, 2, 3, MOST, MOST - 1]
    for one in (seed, seed ^ MOST):
        found += [one ^ 1 << bit for bit in range(BITS)] + [one ^ 3 << bit for bit in range(BITS - 1)]
        found += [(one + 10**power) % 2**BITS for power in range(1, 10)]
        found += [one & ~(2**bits - 1) | -one % 2**bits for bits in (8, 16, 24, BITS)]
        found.append(int.from_bytes(one.to_bytes(4, "little")[2::-1] + one.to_bytes(4, "little")[3:], "little"))
        found.append(one & ~0xFFFF | (one & 0xFF) << 8 | (one & 0xFF00) >> 8)
    return found


def _all_differ(mask: Callable[[int], Array], seeds: list[int], what: str = "") -> str:
    """Each seed's mask is its own, and no map is the same for all of them."""
    masks = [mask(seed) == 0 for seed in seeds]
    if not all(FEWEST <= share(one) <= 1 - FEWEST for one in masks):
        return f"so little or so much is dropped that masks cannot be told apart {what}"
    first: dict[bytes, int] = {}  # the seed that gave a mask first
    of_mask = [(first.setdefault(one.tobytes(), seed), seed) for one, seed in zip(masks, seeds, strict=True)]
    pairs = [(one, other) for one, other in of_mask if one != other]
    if pairs:
        raise Violation(
            f"seeds {pairs[0][0]} and {pairs[0][1]} gave one mask {what}, and so did {len(pairs) - 1} more pairs of "
            f"{len(seeds)} seeds",
            len(pairs) / len(seeds),
        )
    same = np.all([one == masks[0] for one in masks], axis=0)
    same = same.reshape(*same.shape[:2], -1).all(axis=-1)
    if same.any():
        sample, channel = np.argwhere(same)[0]
        raise Violation(f"sample {sample} channel {channel} has one mask {what}, whatever the seed", share(same))
    return f"{len(seeds)} seeds gave as many masks {what}".rstrip()


@check(
    "seed.fresh",
    title="Another call, another mask",
    rule="R6, R13 · Algorithm 1 line 5",
    effect="1 if two masks were the same",
)
def fresh(context: Context) -> Finding:
    """Calls with different seeds (any two calls, where no seed is claimed) give different masks, on large maps and with
    blocks that cover the map too. So do calls with one seed and another keep_prob or another block.
    """

    def holds() -> str:
        seed = context.new_seed()
        masks = [_mask(context, seed + n if context.subject.claims.seedable else seed) for n in range(2)]
        masks.append(_mask(context, context.new_seed()))
        for one, other in ((0, 1), (0, 2), (1, 2)):
            if np.array_equal(masks[one], masks[other]):
                raise Violation("two calls that should differ gave the same mask")
        claims = context.subject.claims
        kinds: list[dict[str, Any]] = []
        if claims.per_sample or claims.per_channel:  # else all of a call is lost, or nothing
            kinds += [{"block_size": 5}] + [{"block_size": 9}] * claims.clips
        kinds += [{"side": side} for side in ((40,) if claims.spatial[0] < 3 else (13,))]
        for kind in kinds:
            if np.array_equal(_mask(context, seed, **kind), _mask(context, context.new_seed(), **kind)):
                raise Violation(f"two calls that should differ gave the same mask, with {kind}")
        if claims.seedable:
            for kind in ({"keep_prob": 0.3}, {"block_size": 1}):
                _mask(context, seed)
                if np.array_equal(masks[0], _mask(context, seed, **kind)):
                    raise Violation(f"a call with another {next(iter(kind))} gave the mask of the call before")
        return "calls that differ gave masks that differ"

    return once(holds)
