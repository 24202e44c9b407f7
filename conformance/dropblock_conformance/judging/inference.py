# SPDX-License-Identifier: Apache-2.0
"""From a count to one of three outcomes: exact binomial intervals on the effect (Clopper and Pearson 1934).

Every statistical check counts how often an event with an exact law occurs among independent maps. Its effect is the
relative error of gamma (or of a rate) that the count stands for, zero for a right implementation. The outcome compares
an interval on the effect with a margin, so that "no difference was seen" is never taken for "there is none":

- the interval lies within [-margin, margin]: **conforms**;
- it lies outside altogether: **deviates**;
- it straddles an end: **inconclusive**, which is not a pass.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from dropblock_conformance.judging.binomial import at_least, at_most, interval


class Verdict(StrEnum):
    CONFORMS = "conforms"
    DEVIATES = "deviates"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Event:
    """Something that happens to a map, or a pair of maps, with a probability known exactly.

    `probability(effect)` is its probability if gamma (or the rate in question) were ``(1 + effect)`` times the right
    one, and strictly monotone in the effect; `effect(probability)` is its inverse.
    """

    name: str
    probability: Callable[[float], float]
    effect: Callable[[float], float]


def seed_free(name: str, gamma: float, anchors: int) -> Event:
    """`anchors` given anchors hold no seed: ``(1 - gamma)^anchors``. A unit, a pair, a whole map kept are such."""
    return Event(
        name,
        lambda effect: (1.0 - min(1.0, gamma * (1.0 + effect))) ** anchors,
        lambda p: (1.0 - p ** (1.0 / anchors)) / gamma - 1.0,
    )


def one_seed(name: str, gamma: float, anchors: int) -> Event:
    """Exactly one of `anchors` is a seed: ``S g (1 - g)^(S - 1)``, on the branch below its maximum at ``g = 1 / S``."""

    def probability(effect: float) -> float:
        g = min(gamma * (1.0 + effect), 1.0 / anchors)
        return anchors * g * (1.0 - g) ** (anchors - 1)

    ceiling = 1.0 / anchors / gamma - 1.0

    def effect(p: float) -> float:
        if p >= probability(ceiling):
            return ceiling
        low, high = -1.0, ceiling
        while low < (middle := (low + high) / 2) < high:  # halved until no number lies between
            low, high = (middle, high) if probability(middle) < p else (low, middle)
        return middle

    return Event(name, probability, effect)


def rate(name: str, p0: float) -> Event:
    """A share of `p0`, as each of S equally likely anchors has 1 / S."""
    return Event(name, lambda effect: p0 * (1.0 + effect), lambda p: p / p0 - 1.0)


@dataclass(frozen=True)
class Judgement:
    """An event counted: `successes` in `trials`, with an interval on the effect of confidence ``1 - alpha``."""

    event: str
    successes: int
    trials: int
    expected: float
    effect: float
    low: float
    high: float
    margin: float
    alpha: float
    verdict: Verdict
    p_value: float
    randomised_p: float


def judge(
    event: Event, successes: int, trials: int, margin: float, alpha: float, rng: np.random.Generator
) -> Judgement:
    """Decide on one count.

    `p_value` is the exact two-sided p-value of "no effect", conservative as exact tests are; `randomised_p` spreads the
    probability of the observed count evenly, which makes it uniform under the law: the calibration relies on that.
    """
    low, high = sorted(map(event.effect, interval(successes, trials, alpha)))
    if -margin <= low and high <= margin:
        verdict = Verdict.CONFORMS
    elif high < -margin or margin < low:
        verdict = Verdict.DEVIATES
    else:
        verdict = Verdict.INCONCLUSIVE
    p0 = event.probability(0.0)
    below, up_to = at_most(successes - 1, trials, p0), at_most(successes, trials, p0)
    return Judgement(
        event=event.name,
        successes=successes,
        trials=trials,
        expected=p0,
        effect=event.effect(successes / trials) if trials else 0.0,
        low=low,
        high=high,
        margin=margin,
        alpha=alpha,
        verdict=verdict,
        p_value=min(1.0, 2 * min(up_to, at_least(successes, trials, p0))),
        randomised_p=below + rng.random() * (up_to - below),
    )


def combine(tests: list[Judgement]) -> tuple[Verdict, Judgement]:
    """The verdict of several tests, of which all must conform, and the one with the largest effect that decided it."""
    found = {test.verdict for test in tests}
    verdict = next(v for v in (Verdict.DEVIATES, Verdict.INCONCLUSIVE, Verdict.CONFORMS) if v in found)
    return verdict, max((test for test in tests if test.verdict == verdict), key=lambda test: abs(test.effect))
