# SPDX-License-Identifier: Apache-2.0
"""No two maps have one mask (rule R6), whatever the call: exact, where a law would take many calls.

Masks in which a fifth to four fifths of a large map is dropped are made of many blocks, so two independent ones are
alike with a probability below 1e-12. A copy in a rare kind of call shows at once, and so does one from another call.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from dropblock_conformance.judging.check import Context, Finding, NotApplicableError, Violation, check
from dropblock_conformance.judging.dtypes import dtype_named
from dropblock_conformance.judging.exact import both, once
from dropblock_conformance.judging.statistical import Dropped
from dropblock_conformance.subject import Array, Claims

SIDES = {1: 784, 2: 28, 3: 10}
LARGE_SIDES = {1: 2000, 2: 70, 3: 20}
BATCHES = ((5, 5), (12, 1), (1, 12), (40, 3))  # many channels, one, one sample, as many channels as an image has
CALLS = 110
TOLD_APART = 0.2, 0.8  # shares of a map: what is dropped tells it from others


def _own(dropped: Dropped, claims: Claims) -> Dropped:
    """The maps that are claimed to have masks of their own, ``[samples, channels, *feat]``."""
    dropped = dropped if claims.per_sample else dropped[:1]
    return dropped if claims.per_channel else dropped[:, :1]


def require_distinct(masks: Iterable[tuple[str, Dropped]], claims: Claims) -> str:
    """No two of the maps of some calls, each with how it is called, are the same."""
    known: dict[tuple[tuple[int, ...], bytes], str] = {}
    copies: list[str] = []
    maps = 0
    for what, dropped in masks:
        own = _own(dropped, claims)
        shares = own.reshape(*own.shape[:2], -1).mean(axis=-1)
        for sample, channel in np.argwhere((shares > TOLD_APART[0]) & (shares < TOLD_APART[1])):
            mask, name = own[sample, channel], f"sample {sample} channel {channel} of {what}"
            other = known.setdefault((mask.shape, np.packbits(mask).tobytes()), name)
            maps += 1
            if other is not name:
                copies.append(f"{name} has the mask of {other}")
    if copies:
        raise Violation(f"{copies[0]}; so it is with {len(copies)} of {maps} maps", len(copies) / maps)
    if not maps:
        raise NotApplicableError("so little or so much is dropped that masks cannot be told apart")
    return f"{maps:,} maps have as many masks"


@check(
    "mask.distinct",
    title="No two maps have one mask",
    rule="R6 · section 3, 'each feature channel has its DropBlock mask'; Algorithm 1 line 5",
    effect="share of the maps that have another one's mask",
)
def distinct(context: Context) -> Finding:
    """No two maps of a call are masked alike: in every rank and dtype claimed, of one sample or one channel, with three
    channels as images have, of large maps, with blocks of one unit, and with a block that covers the map. Nor are any
    two maps of 110 calls, of successive seeds where a seed is claimed.
    """
    return both(once(lambda: _in_calls(context)), both(once(lambda: _among_calls(context)), _whole(context)))


def _dropped(context: Context, x: Array, keep_prob: float, block_size: int, seed: int) -> Dropped:
    return np.asarray(context.call(x, keep_prob=keep_prob, block_size=block_size, seed=seed) == 0)


def _in_calls(context: Context) -> str:
    claims = context.subject.claims
    few = context.subject.compiles
    kinds = [(rank, claims.law_dtype, shape) for rank in claims.spatial for shape in (BATCHES[:1] if few else BATCHES)]
    kinds += [(claims.law_rank, dtype, BATCHES[0]) for dtype in claims.dtypes]

    def calls() -> Iterator[tuple[str, Dropped]]:
        for rank, dtype, shape in dict.fromkeys(kinds):
            sides = (SIDES,) if few or shape != BATCHES[0] else (SIDES, LARGE_SIDES)
            for side in sides:
                for block_size in (3,) if few else (1, 3):
                    x = np.ones((*shape, *(side[rank],) * rank), dtype_named(dtype))
                    what = f"{x.shape} {dtype} block_size {block_size}"
                    yield what, _dropped(context, x, 0.5, block_size, context.new_seed())

    return require_distinct(calls(), claims)


def _among_calls(context: Context) -> str:
    claims, first = context.subject.claims, context.new_seed()
    rank = claims.law_rank
    x = np.ones((8, 2, *(SIDES[rank],) * rank), dtype_named(claims.law_dtype))
    seeds = [(first + number) % 2**31 for number in range(CALLS)]
    calls = ((f"seed {s}" if claims.seedable else f"call {n}", s) for n, s in enumerate(seeds, 1))
    return require_distinct(((name, _dropped(context, x, 0.5, 3, seed)) for name, seed in calls), claims)


def _whole(context: Context) -> Finding:
    """With a block as large as the map each map is dropped whole or not at all: 16 by 16 of them, not all alike."""
    claims = context.subject.claims

    def holds() -> str:
        x = np.ones((16, 16, *(5,) * claims.law_rank), dtype_named(claims.law_dtype))
        lost = _dropped(context, x, 0.5, 5, context.new_seed()).reshape(16, 16, -1).all(axis=-1)
        for axis, what, is_claimed in ((0, "samples", claims.per_sample), (1, "channels", claims.per_channel)):
            if is_claimed and lost.any() and not lost.all() and (lost == lost.take([0], axis)).all():
                raise Violation(f"all {what} lose the same maps where the block covers the map")
        return "blocks that cover the map fall on maps of their own"

    return once(holds)
