# SPDX-License-Identifier: Apache-2.0
"""Independence of any two maps (rule R6): all pairs at once, whatever the law.

Take two maps A and B, and their like A' and B' from another call. If A and B know nothing of each other, the product of
the differences A - A' and B - B', summed over units, is positive as often as negative, whatever the law: to swap B and
B' turns its sign. So for each pair of maps the signs of many such sums are fair coins, and an exact binomial bound,
shared among all pairs, says when they are not. Copies show that are mirrored, turned, or shifted, as do complements.
"""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from dropblock_conformance.checks.events import spaced
from dropblock_conformance.checks.independence import RULE
from dropblock_conformance.judging.binomial import at_least
from dropblock_conformance.judging.check import Check, Context, Finding, check, claim
from dropblock_conformance.judging.configuration import Configuration
from dropblock_conformance.judging.dtypes import dtype_named
from dropblock_conformance.judging.exact import gravest, unless_refused
from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.subject import Claims

Signs = npt.NDArray[np.float32]
Move = Callable[[Signs], Signs]

# By spatial rank: maps of which about half of the units are kept, whose grid of units without a common block looks the
# same from every side.
AT = {1: Configuration((44,), 3, 0.41), 2: Configuration((14, 14), 3, 0.51), 3: Configuration((8, 8, 8), 3, 0.71)}
# Blocks of one unit at gamma 0.5: of two maps that avoid each other's seeds, one is the complement of the other.
HALF = {1: Configuration((36,), 1, 0.5), 2: Configuration((6, 6), 1, 0.5), 3: Configuration((3, 3, 3), 1, 0.5)}
MAPS = 256
CALLS = 90
COINS = 96  # a pair: nearly all fall alike for a twin, and many for less
EFFECT = "how far the signs of a pair are from fair: 1 if all are alike, 0 if half of them are"


def differences(dropped: npt.NDArray[np.bool_], c: Configuration) -> Signs:
    """Of ``[2, ..., *feat]`` on the grid of units that share no block: -1, 0 or 1."""
    units = dropped.astype(np.float32)
    for axis in range(len(c.feat)):
        units = units.take(spaced(c, axis), axis - len(c.feat))
    return np.asarray(units[0] - units[1])


def moves(rank: int) -> dict[str, Move]:
    """What a copy may have been through: axes are counted from the last."""
    axes = range(-rank, 0)
    found: dict[str, Move] = {"as it is": lambda z: z}
    found |= {f"mirrored along axis {axis}": partial(np.flip, axis=axis) for axis in axes}
    if rank > 1:
        found["turned by half"] = partial(np.flip, axis=tuple(axes))
        found["with its last axes swapped"] = lambda z: z.swapaxes(-1, -2)
    found |= {f"shifted along axis {axis}": partial(np.roll, shift=1, axis=axis) for axis in axes}
    return found


class Coins:
    """For each pair of maps, and each move of the second: how many sums were positive, and how many were not 0."""

    def __init__(self, maps: int, rank: int) -> None:
        self.moves = moves(rank)
        self.positive = np.zeros((len(self.moves), maps, maps), np.int32)
        self.tossed = np.zeros_like(self.positive)

    def toss(self, z: Signs) -> None:
        """`z` is ``[maps, *grid]``, the differences of each map."""
        flat = z.reshape(len(z), -1)
        for number, move in enumerate(self.moves.values()):
            sums = flat @ np.ascontiguousarray(move(z)).reshape(len(z), -1).T
            self.positive[number] += sums > 0
            self.tossed[number] += sums != 0

    def finding(self, name: Callable[[int], str], alpha: float) -> Finding:
        distinct = ~np.eye(self.positive.shape[1], dtype=bool)
        counts = np.stack([self.positive, self.tossed], axis=-1)[:, distinct].reshape(-1, 2)
        alike = np.maximum(counts[:, 0], counts[:, 1] - counts[:, 0])
        least = _least_alike(int(counts[:, 1].max()), alpha / len(counts))
        off = 2 * alike / np.maximum(counts[:, 1], 1) - 1
        if not counts[:, 1].max():
            return Finding(Verdict.INCONCLUSIVE, 0.0, "no two calls differed in any map")
        coupled = alike >= least[counts[:, 1]]
        if not coupled.any():
            summary = f"of {len(counts):,} pairs of maps the most alike fell alike {alike.max()} times"
            return Finding(Verdict.CONFORMS, 0.0, summary, {"pairs": len(counts), "most_alike": int(alike.max())})
        pairs = np.broadcast_to(distinct, self.positive.shape).nonzero()
        worst = int(np.where(coupled, off, -1).argmax())
        move, one, other = (int(index[worst]) for index in pairs)
        summary = (
            f"{int(coupled.sum()):,} of {len(counts):,} pairs of maps are coupled, as {name(one)} and {name(other)}, "
            f"{list(self.moves)[move]}: {alike[worst]} of {counts[worst, 1]} signs alike"
        )
        return Finding(Verdict.DEVIATES, float(off[worst]), summary, {"coupled": int(coupled.sum())})


def _least_alike(most: int, alpha: float) -> npt.NDArray[np.int64]:
    """By the number of coins tossed: the least number alike that fair coins have with probability at most `alpha`."""
    least = []
    for tossed in range(most + 1):
        alike = tossed // 2
        while alike <= tossed and 2 * at_least(alike, tossed, 0.5) > alpha:
            alike += 1
        least.append(alike)
    return np.array(least)


def masks(context: Context, c: Configuration, samples: int, channels: int, seed: int) -> npt.NDArray[np.bool_]:
    x = np.ones((samples, channels, *c.feat), dtype_named(context.subject.claims.law_dtype))
    y = context.call(x, keep_prob=c.keep_prob, block_size=c.block_size, seed=seed % 2**31)
    return np.asarray(y == 0)


def _plan_row(c: Configuration, tests: int, maps: int) -> dict[str, Any]:
    return {"configuration": str(c), "tests": tests, "maps": maps}


def _of_a_call(what: str, is_claimed: str) -> Check:
    def maps_of(claims: Claims) -> tuple[int, int]:
        """Samples and channels: many of what is asked of, and two of the other where it has masks of its own."""
        other = 2 if (claims.per_channel if what == "sample" else claims.per_sample) else 1
        return (MAPS, other) if what == "sample" else (other, MAPS)

    @check(
        f"independence.all_{what}s",
        title=f"Any two {what}s of a call have masks of their own",
        rule=RULE,
        effect=EFFECT,
        needs=claim(lambda s: getattr(s.claims, is_claimed), f"does not claim a mask per {what}"),
        tests=lambda profile: 2,
        plan=lambda subject, *_: [
            _plan_row(at[subject.claims.law_rank], 1, 2 * COINS * prod(maps_of(subject.claims))) for at in (AT, HALF)
        ],
    )
    def all_pairs(context: Context) -> Finding:
        """Any two of 512 maps of a call are masked independently, however far apart, and one is no mirrored, turned or
        shifted copy of another. So are masks of half of the units, with blocks of one: there maps show that avoid each
        other's seeds.
        """
        claims = context.subject.claims
        samples, channels = maps_of(claims)

        def finding(c: Configuration) -> Finding:
            coins = Coins(samples * channels, len(c.feat))
            for _ in range(COINS):
                pair = np.stack([masks(context, c, samples, channels, context.new_seed()) for _ in range(2)])
                coins.toss(differences(pair.reshape(2, -1, *c.feat), c))
            return coins.finding(lambda m: f"sample {m // channels} channel {m % channels}", context.alpha)

        found = [finding(AT[claims.law_rank])]
        with unless_refused():
            found.append(finding(HALF[claims.law_rank]))
        return gravest(found)

    return all_pairs


all_samples, all_channels = _of_a_call("sample", "per_sample"), _of_a_call("channel", "per_channel")


@check(
    "independence.all_calls",
    title="Any two calls have masks of their own",
    rule=RULE,
    effect=EFFECT,
    needs=claim(
        lambda s: s.claims.per_sample or s.claims.per_channel, "claims one mask a call: see independence.calls"
    ),
    tests=lambda profile: 4,
    plan=lambda subject, *_: [_plan_row(AT[subject.claims.law_rank], 4, 4 * COINS * CALLS)],
)
def all_calls(context: Context) -> Finding:
    """Any two of 90 calls are masked independently: of successive seeds, of seeds that differ in one bit, and of any
    two calls where no seed is claimed. So are sample n of seed s and sample 0 of seed s + n, and channels alike.
    """
    claims = context.subject.claims
    c = AT[claims.law_rank]
    seed = context.new_seed()
    seeds = [(seed + n) % 2**31 for n in range(CALLS - 24)] + [seed ^ (1 << bit) for bit in range(7, 31)]
    found = []
    for what in ("sample", "channel"):
        if not (claims.per_sample if what == "sample" else claims.per_channel):
            continue
        shape = (2 * COINS, 1) if what == "sample" else (1, 2 * COINS)
        maps = np.stack([masks(context, c, *shape, s).reshape(2, COINS, *c.feat) for s in seeds])
        calls = np.arange(len(seeds))
        for skew, how in ((0, ""), (1, f" ({what} n against {what} 0 of the seed n further)")):
            coins = Coins(len(seeds), len(c.feat))
            for coin in range(COINS):
                coins.toss(differences(maps[calls, :, (coin - skew * calls) % COINS].swapaxes(0, 1), c))
            found.append(coins.finding(lambda call, how=how: f"the call of seed {seeds[call]}{how}", context.alpha))  # type: ignore[misc]
    return gravest(sorted(found, key=lambda finding: -finding.data.get("coupled", 0)))
