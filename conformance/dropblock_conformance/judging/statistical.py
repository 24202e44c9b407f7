# SPDX-License-Identifier: Apache-2.0
"""The engine of the statistical checks: plan, sample, count, judge.

The independent unit is the map (or, where channels share a mask, the sample), never the unit of a map: units of a map
are dropped together, so a test that treats them as independent false-alarms most of the time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from math import ceil, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from dropblock_conformance.judging.answers import NothingKeptError
from dropblock_conformance.judging.check import Check, Context, Finding, Needs, anything, explanation_of
from dropblock_conformance.judging.configuration import Configuration
from dropblock_conformance.judging.dtypes import dtype_named
from dropblock_conformance.judging.inference import Event, Verdict, combine, judge
from dropblock_conformance.judging.power import POWER, plan
from dropblock_conformance.judging.profile import Profile
from dropblock_conformance.level import Severity
from dropblock_conformance.subject import Claims, Subject
from dropblock_core import keep_map

Dropped = npt.NDArray[np.bool_]


def of_maps(dropped: Dropped, *spatial: int | slice) -> Dropped:
    """A unit, or a part, of every map: indices of the spatial axes, the last ones."""
    index: Any = (..., *spatial)
    return np.asarray(dropped[index])


UNITS_PER_CALL = 2**20
UNITS_PER_HALF = 2**15  # below the 65,520 from which a count in float16 is infinite: that has a check of its own
MAPS_PICTURED = 2**15
PATIENCE = 16  # times the planned number of maps, where trials come more rarely than by the paper's law


@dataclass(frozen=True)
class Measure:
    """Events and how to count them in a batch of dropped units ``[calls, samples, channels, *feat]``.

    `count` returns (successes, trials) of each event; `trials_per_map` is what to expect of the latter, for planning.
    `coarser` is how many of the profile's margins its events are judged by.
    """

    events: tuple[Event, ...]
    count: Callable[[Dropped], list[tuple[int, int]]]
    trials_per_map: float = 1.0
    coarser: float = 1.0

    def margin(self, margin: float) -> float:
        """The margin of its events by the profile's; the law itself ends at an effect of -1."""
        return max(margin, min(self.coarser * margin, 0.4))


Tune = Callable[[Dropped], Sequence[Measure]]


@dataclass(frozen=True)
class Sampling:
    """A batch: how many calls belong together, of how many samples and channels, and how often it is drawn.

    `trials` is how many of them each event needs.
    """

    calls: int
    samples: int
    channels: int
    batches: int
    trials: tuple[int, ...]

    @property
    def maps(self) -> int:
        return self.calls * self.samples * self.channels * self.batches


def sampling(
    configuration: Configuration,
    measures: Sequence[Measure],
    claims: Claims,
    margin: float,
    alpha: float,
    calls: int = 1,
    units: int = UNITS_PER_CALL,
    batch: tuple[int, int] | None = None,
) -> Sampling:
    """How many maps give every event its planned number of trials, at `units` a call at most, or in batches of so many
    samples and channels.
    """
    power = 1 - (1 - POWER) / number_of_tests(measures)
    trials = [[plan(event, measure.margin(margin), alpha, power) for event in measure.events] for measure in measures]
    maps = max(ceil(max(t) / measure.trials_per_map) for t, measure in zip(trials, measures, strict=True))
    per_call = min(units // prod(configuration.feat), ceil(maps / calls))
    per_call = max(64 if units > UNITS_PER_HALF else 1, per_call)
    # Powers of two, so that channels and samples pair up at every lag. What shares a mask counts as one map.
    doublings = int(np.log2(per_call))
    channels = 2 ** (doublings // 2 if claims.per_sample else doublings) if claims.per_channel else 1
    samples = 2**doublings // channels if claims.per_sample else 1
    if batch is not None:
        samples, channels = (
            own if claimed else 1 for own, claimed in zip(batch, (claims.per_sample, claims.per_channel), strict=True)
        )
    return Sampling(calls, samples, channels, ceil(maps / (calls * samples * channels)), tuple(chain(*trials)))


def number_of_tests(measures: Sequence[Measure]) -> int:
    return sum(len(measure.events) for measure in measures)


def draw(context: Context, configuration: Configuration, batch: Sampling, dtype: str) -> Dropped:
    """One batch of dropped units, seen from outside: ones go in, zeros are what was dropped."""
    x = np.ones((batch.samples, batch.channels, *configuration.feat), dtype_named(dtype))
    seed = context.new_seed()
    dropped = []
    for number in range(batch.calls):  # neighbouring seeds: the likeliest to be confused
        arguments = {"keep_prob": configuration.keep_prob, "block_size": configuration.block_size}
        try:
            y = context.call(x, **arguments, seed=(seed + number) % 2**31)
        except NothingKeptError as error:  # R10 has a check of its own: here these units were dropped
            y = np.nan_to_num(error.y, nan=0.0)
        dropped.append(y == 0)
    return np.stack(dropped)


def measure_law(
    context: Context,
    configuration: Configuration,
    measures: Sequence[Measure],
    *,
    calls: int = 1,
    dtype: str | None = None,
    tune: Tune | None = None,
    batch: tuple[int, int] | None = None,
) -> Finding:
    """Sample as planned, count, and judge every event.

    Where an event's trials are themselves left to chance, and come too rarely, sampling goes on until there are as many
    as planned: a rule that looks at the number of trials alone, so what is judged of them stays binomial.
    """
    claims, margin = context.subject.claims, context.profile.margin
    drawn = sampling(configuration, measures, claims, margin, context.alpha, calls, batch=batch)
    dtype = dtype or claims.law_dtype
    if dtype == "float16" and draw(context, configuration, replace(drawn, calls=1), dtype).all():
        drawn = sampling(configuration, measures, claims, margin, context.alpha, calls, UNITS_PER_HALF)
    if tune is not None:
        measures = tune(draw(context, configuration, replace(drawn, calls=1), dtype))
    totals = np.zeros((number_of_tests(measures), 2), np.int64)
    picture = _Picture(configuration)
    for number in range(PATIENCE * drawn.batches):
        if number >= drawn.batches and (totals[:, 1] >= drawn.trials).all():
            break
        dropped = draw(context, configuration, drawn, dtype)
        if tune is None and (shared := shared_axis(dropped)):
            return Finding(Verdict.INCONCLUSIVE, 0.0, f"{configuration}: {SHARED.format(*shared)}")
        totals += [pair for measure in measures for pair in measure.count(dropped)]
        picture.add(dropped)
    events = [(event, measure.margin(margin)) for measure in measures for event in measure.events]
    tests = [
        judge(event, int(successes), int(trials), its_margin, context.alpha, context.rng)
        for (event, its_margin), (successes, trials) in zip(events, totals, strict=True)
    ]
    verdict, worst = combine(tests)
    summary = (
        f"{configuration}: {worst.event} {worst.successes:,} of {worst.trials:,} times, expected a share of "
        f"{worst.expected:.5f}; effect {worst.effect:+.2%}, within [{worst.low:+.2%}, {worst.high:+.2%}] "
        f"at alpha {worst.alpha:.1e}; margin {worst.margin:.2%}"
    )
    data = {"configuration": str(configuration), "tests": [asdict(test) for test in tests], **picture.data()}
    return Finding(verdict, worst.effect, summary, data)


SHARED = (
    "all {0} of a call lose the same units, so the law cannot be told from them: where that is meant, claim {1}=False"
)


def shared_axis(dropped: Dropped) -> tuple[str, str] | None:
    """What has one mask for all in a batch of maps that should be independent, and the claim that says otherwise."""
    if dropped.any() and not dropped.all():
        for axis, name, claim in ((1, "samples", "per_sample"), (2, "channels", "per_channel")):
            if dropped.shape[axis] > 1 and (dropped == dropped.take([0], axis)).all():
                return name, claim
    return None


class _Picture:
    """What a report shows beside the numbers: how often each unit was dropped, beside the exact law, and some masks."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.dropped = np.zeros(configuration.feat, np.int64)
        self.maps = 0
        self.masks: list[Any] = []

    def add(self, dropped: Dropped) -> None:
        maps = dropped.reshape(-1, *self.configuration.feat)[: MAPS_PICTURED - self.maps]
        if not len(maps):
            return
        self.dropped += maps.sum(axis=0)
        self.maps += len(maps)
        if not self.masks:
            busy = maps[maps.any(axis=tuple(range(1, maps.ndim)))]
            self.masks = (~busy[:6]).astype(int).tolist()

    def data(self) -> dict[str, Any]:
        c = self.configuration
        exact = 1.0 - keep_map(c.gamma, c.block_size, c.feat)
        return {
            "drop_map": {
                "maps": self.maps,
                "observed": (self.dropped / max(1, self.maps)).tolist(),
                "exact": exact.tolist(),
            },
            "masks": self.masks,
        }


def law(
    id: str,
    *,
    title: str,
    rule: str,
    at: Configuration | Mapping[int, Configuration],
    effect: str = "relative error of gamma, or of a rate, that the observed share stands for; 0 is the paper's",
    needs: Needs = anything,
    calls: int = 1,
    dtype: str | None = None,
    tune: Callable[[Dropped], Any] | None = None,
    batch: tuple[int, int] | None = None,
    severity: Severity = Severity.WRONG,
) -> Callable[[Callable[..., Sequence[Measure]]], Check]:
    """A decorator that makes a check of a function from a configuration to its measures.

    Args:
        id, title, rule, effect, needs, severity: as in :func:`check.check`.
        at: the configuration, or one by spatial rank where the measures do for every rank.
        calls: how many calls of the subject belong together.
        dtype: that of the activations; by default the one in which the subject's law is tested.
        tune: what a first batch, which is not counted, says to the measures. It is their second argument; by the
            paper's law they need none.
        batch: samples and channels of a call; by default as many as give the planned number of maps.
    """
    by_rank = {len(at.feat): at} if isinstance(at, Configuration) else dict(at)

    def made(measures: Callable[..., Sequence[Measure]]) -> Check:
        known = {rank: measures(configuration) for rank, configuration in by_rank.items()}
        tests = number_of_tests(next(iter(known.values())))

        def rank_for(claims: Claims) -> int:
            return min(set(by_rank) & set(claims.spatial), key=lambda rank: abs(rank - 2))

        def lacks(subject: Subject) -> str | None:
            if not set(by_rank) & set(subject.claims.spatial):
                return f"does not claim spatial rank {', '.join(map(str, by_rank))}"
            return needs(subject)

        def plan_for(subject: Subject, profile: Profile, alpha: float, _seed: int) -> list[dict[str, Any]]:
            rank = rank_for(subject.claims)
            drawn = sampling(by_rank[rank], known[rank], subject.claims, profile.margin, alpha, calls, batch=batch)
            return [plan_row(by_rank[rank], tests, drawn)]

        def run(context: Context) -> Finding:
            rank = rank_for(context.subject.claims)
            tuned = None if tune is None else lambda dropped: measures(by_rank[rank], tune(dropped))
            return measure_law(context, by_rank[rank], known[rank], calls=calls, dtype=dtype, tune=tuned, batch=batch)

        return Check(
            id,
            title,
            rule,
            f"{explanation_of(measures)} Measured at {'; '.join(map(str, by_rank.values()))}.",
            effect,
            run,
            lacks,
            tests=lambda profile: tests,
            plan=plan_for,
            at=by_rank,
            severity=severity,
        )

    return made


def plan_row(configuration: Configuration, tests: int, batch: Sampling) -> dict[str, Any]:
    return {"configuration": str(configuration), "tests": tests, "maps": batch.maps}
