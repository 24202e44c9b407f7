# SPDX-License-Identifier: Apache-2.0
"""Independence of masks (rule R6), whatever their law.

Take two maps A and B that should know nothing of each other, and another such pair A', B' from elsewhere. Where A and
A' differ (one untouched, one not), and so do B and B', the two differences point the same way with probability exactly
1/2 if A and B are independent, whatever gamma is: a wrong gamma is no dependence, and is not taken for one. In general
the probability is ``(1 + Q) / 2``, where Q is Yule's measure of association, from -1 to 1. Small maps and a low
keep_prob leave and touch maps about equally often, which makes most of every map drawn. Where the law is another, so
that nearly all maps are touched, they are told apart by how much they lose: a first batch, not counted, says where the
cut divides them most evenly.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dropblock_conformance.judging.check import Check, claim
from dropblock_conformance.judging.configuration import Configuration
from dropblock_conformance.judging.inference import rate
from dropblock_conformance.judging.statistical import Dropped, Measure, law

RULE = "R6 · section 3, 'each feature channel has its DropBlock mask'; Algorithm 1 line 5"
# By spatial rank, all with four anchors and the same gamma.
PAIRS = {1: Configuration((6,), 3, 5 / 9), 2: Configuration((4, 4), 3, 0.5), 3: Configuration((4, 4, 3), 3, 0.5)}
SAMPLES, CHANNELS = 1, 2  # axes of a batch, after its calls


def units_lost(dropped: Dropped) -> npt.NDArray[np.int64]:
    """Of each map, ``[calls, samples, channels]``."""
    return np.asarray(dropped.reshape(*dropped.shape[:3], -1).sum(axis=-1))


def even_cut(dropped: Dropped) -> int:
    """The number of units such that about half of the maps lose no more; 0 by the paper's law."""
    losses, maps = np.unique(units_lost(dropped), return_counts=True)
    return int(losses[np.abs(maps.cumsum() / maps.sum() - 0.5).argmin()])


def concordance(c: Configuration, name: str, pairs: Callable[[Dropped], Sequence[Dropped]], cut: int) -> Measure:
    """`pairs` takes A, B, A' and B', of one shape, from "loses at most `cut` units" of each map; no map twice."""
    event = rate(f"{name}: two differences that point the same way", 0.5)

    def count(dropped: Dropped) -> list[tuple[int, int]]:
        a, b, a_else, b_else = pairs(units_lost(dropped) <= cut)
        tells = (a != a_else) & (b != b_else)
        return [(int(np.count_nonzero(tells & (a == b))), int(np.count_nonzero(tells)))]

    p = (1 - c.gamma) ** c.anchors
    # Four maps make a trial where both differences are there; a margin, as that is left to chance.
    return Measure((event,), count, trials_per_map=0.98 * (2 * p * (1 - p)) ** 2 / 4)


def apart(c: Configuration, axis: int, lag: int | None, name: str, cut: int) -> Measure:
    """Maps `lag` apart along an axis of the batch (None: half of it); the other pair is of another call."""
    other_axis = CHANNELS if axis == SAMPLES else SAMPLES

    def pairs(free: Dropped) -> Sequence[Dropped]:
        step = lag or free.shape[axis] // 2
        elsewhere = np.roll(free[1], free.shape[other_axis] // 2, axis=other_axis - 1)
        halves = []
        for call in (free[0], elsewhere):
            moved = np.moveaxis(call, axis - 1, 0)
            blocks = moved.reshape(-1, 2, step, *moved.shape[1:])
            halves += [blocks[:, 0], blocks[:, 1]]
        return halves

    return concordance(c, f"{name} {lag or 'half a batch'} apart", pairs, cut)


def calls_apart(c: Configuration, cut: int) -> Measure:
    """The same map of neighbouring calls; the other pair is of two more calls, and of other samples."""

    def pairs(free: Dropped) -> Sequence[Dropped]:
        elsewhere = np.roll(free, free.shape[SAMPLES] // 2, axis=SAMPLES)
        return free[0], free[1], elsewhere[2], elsewhere[3]

    return concordance(c, "the same map of two calls", pairs, cut)


LAGS = (1, 2, 4, None)  # neighbours, and the distances at which counters and lanes of a generator tend to be confused


def independence(what: str, **options: Any) -> Callable[[Callable[..., list[Measure]]], Check]:
    """A law whose measures take, beside the configuration, the cut that a first batch tells."""
    effect = "Yule's Q of the two masks: 0 where they are independent, 1 where they are the same"
    return law(f"independence.{what}", rule=RULE, at=PAIRS, tune=even_cut, effect=effect, **options)


@independence(
    "channels",
    title="Channels have masks of their own",
    calls=2,
    needs=claim(lambda s: s.claims.per_channel, "does not claim a mask per channel"),
)
def channels(c: Configuration, cut: int = 0) -> list[Measure]:
    """A sample's channels are masked independently, near and far."""
    return [apart(c, CHANNELS, lag, "channels", cut) for lag in LAGS]


@independence(
    "samples",
    title="Samples have masks of their own",
    calls=2,
    needs=claim(lambda s: s.claims.per_sample, "does not claim a mask per sample"),
)
def samples(c: Configuration, cut: int = 0) -> list[Measure]:
    """The samples of a batch are masked independently, near and far."""
    return [apart(c, SAMPLES, lag, "samples", cut) for lag in LAGS]


@independence("calls", title="Calls have masks of their own", calls=4)
def calls(c: Configuration, cut: int = 0) -> list[Measure]:
    """Two calls are masked independently, also if their seeds are neighbours."""
    return [calls_apart(c, cut)]
