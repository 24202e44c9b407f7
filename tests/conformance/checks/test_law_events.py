"""What a check counts has the probability its event states: every pattern of seeds of small maps, weighed exactly."""

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from math import prod

import numpy as np
import pytest

from dropblock_conformance.checks import independence
from dropblock_conformance.checks.events import (
    anchor_of_one_block,
    at_each_place,
    border,
    exactly_one_block,
    only_block,
    touched,
    unit_kept,
    units_apart,
    units_kept,
    untouched_map,
)
from dropblock_conformance.checks.independence import CHANNELS, LAGS, SAMPLES, apart, calls_apart
from dropblock_conformance.judging.configuration import Configuration
from dropblock_conformance.judging.statistical import Dropped, Measure
from dropblock_core import block_mask

from ..support import Law, registered_laws

MAPS = [
    Configuration((3, 3), 2, 0.5),
    Configuration((2, 4), 2, 0.6),
    Configuration((4,), 2, 0.6),
    Configuration((5,), 1, 0.7),
    Configuration((2, 5), 3, 0.8),  # clipped
    Configuration((3, 3), 3, 0.6),  # a block as large as the map
    Configuration((4, 4), 2, 0.7),
    Configuration((5, 5), 3, 0.64),  # every block covers the centre
    Configuration((2, 3, 3), 2, 0.8),
]
SEVERAL_ANCHORS = [c for c in MAPS if c.anchors > 1]


def patterns(c: Configuration) -> tuple[Dropped, Dropped]:
    """All patterns of seeds, ``[2^S, S]``, and the units that each drops, ``[2^S, *feat]``."""
    seeds = (np.arange(2**c.anchors)[:, None] >> np.arange(c.anchors) & 1).astype(bool)
    valid = tuple(f - b + 1 for f, b in zip(c.feat, c.block, strict=True))
    return seeds, ~block_mask(seeds.reshape(1, -1, *valid), c.block_size, c.feat)[0]


def shares(c: Configuration, measure: Measure, gamma: float) -> list[float]:
    """The exact share of trials that each event succeeds in, if every anchor is a seed with probability `gamma`."""
    seeds, dropped = patterns(c)
    number = seeds.sum(axis=1)
    totals = np.zeros((len(measure.events), 2))
    for k in range(c.anchors + 1):  # a pattern's weight depends on its number of seeds alone
        weight = gamma**k * (1 - gamma) ** (c.anchors - k)
        totals += weight * np.array(measure.count(dropped[number == k][None, None]))
    return list(totals[:, 0] / totals[:, 1])


def require_exact(c: Configuration, measure: Measure) -> None:
    """At the right gamma, and at wrong ones: the effect is what it says it is."""
    for effect in (-0.4, 0.0, 0.05, 0.6):
        gamma = min(1.0, c.gamma * (1 + effect))
        if all(event.name.startswith("exactly one") for event in measure.events):
            gamma = min(gamma, 1 / c.anchors)  # the branch on which it is monotone
        # Given that there is one block its anchor is uniform, whatever gamma is: there its effect stays 0.
        stated = 0.0 if "of the maps with one block" in measure.events[0].name else effect
        wanted = [event.probability(stated) for event in measure.events]
        assert shares(c, measure, gamma) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("c", MAPS, ids=str)
def test_a_map_is_untouched_with_the_stated_probability(c: Configuration) -> None:
    require_exact(c, untouched_map(c))


@pytest.mark.parametrize("c", MAPS, ids=str)
def test_every_unit_is_kept_with_the_stated_probability(c: Configuration) -> None:
    for unit in np.ndindex(*c.feat):
        require_exact(c, unit_kept(c, unit))


@pytest.mark.parametrize("c", MAPS[:6], ids=str)
def test_every_pair_of_units_is_kept_with_the_stated_probability(c: Configuration) -> None:
    for pair in product(np.ndindex(*c.feat), repeat=2):
        require_exact(c, units_kept(c, "pair", list(pair)))


@pytest.mark.parametrize("c", MAPS, ids=str)
def test_one_block_is_dropped_if_and_only_if_there_is_one_seed(c: Configuration) -> None:
    seeds, dropped = patterns(c)
    for seed, units in zip(seeds, dropped, strict=True):
        found = only_block(c, units[None, None, None])
        if seed.sum() == 1:
            assert np.array_equal(found, seed[None])  # and the anchor named is the seed
        else:
            assert not found.any()


def test_units_that_are_no_block_are_not_taken_for_one() -> None:
    c = MAPS[0]
    for units in product([False, True], repeat=9):
        dropped = np.reshape(units, (1, 1, 1, 3, 3))
        corners = [dropped[..., i : i + 2, j : j + 2].all() and dropped.sum() == 4 for i in (0, 1) for j in (0, 1)]
        found = only_block(c, dropped)
        assert found.any() == any(corners)
        assert not len(found) or found[0].tolist() == corners


@pytest.mark.parametrize("c", SEVERAL_ANCHORS, ids=str)
def test_exactly_one_block_has_the_stated_probability(c: Configuration) -> None:
    require_exact(c, exactly_one_block(c))


@pytest.mark.parametrize("c", SEVERAL_ANCHORS, ids=str)
def test_the_anchor_of_a_single_block_is_uniform(c: Configuration) -> None:
    measure = anchor_of_one_block(c)
    require_exact(c, measure)
    single = c.anchors * c.gamma * (1 - c.gamma) ** (c.anchors - 1)
    assert 0.9 * single < measure.trials_per_map < single


GRIDS = [
    Configuration((9, 9), 3, 0.6),
    Configuration((5, 5), 3, 0.64),
    Configuration((4, 6), 3, 0.7),
    Configuration((8,), 2, 0.6),
    Configuration((5, 2), 2, 0.8),
    Configuration((3, 3, 4), 2, 0.8),
    Configuration((4, 4), 4, 0.6),
    Configuration((1, 7), 1, 0.6),
]


@pytest.mark.parametrize("c", GRIDS, ids=str)
def test_units_apart_are_kept_with_the_stated_probability_and_share_no_anchor(c: Configuration) -> None:
    last = len(c.feat) - 1
    for measure in (units_apart(c), border(c, 0), border(c, last)):
        one_map = np.zeros((1, 1, 1, *c.feat), bool)
        ((_, trials),) = measure.count(one_map)
        assert trials == measure.trials_per_map
        # A block anywhere takes one trial at most, so that trials are independent.
        valid = tuple(f - b + 1 for f, b in zip(c.feat, c.block, strict=True))
        for anchor in np.ndindex(*valid):
            seeds = np.zeros((1, 1, *valid), bool)
            seeds[(0, 0, *anchor)] = True
            ((kept, _),) = measure.count(~block_mask(seeds, c.block_size, c.feat)[None])
            assert trials - kept <= 1
        if c.anchors <= 16:
            require_exact(c, measure)


@pytest.mark.parametrize("axis", [1, 2])
def test_each_place_of_a_batch_is_counted_by_itself(axis: int) -> None:
    batch = np.zeros((2, 4, 4, 3, 3), bool)
    np.moveaxis(batch, axis, 0)[2, 0, :3, 1, 1] = True  # of the eight maps at place 2, three are touched
    np.moveaxis(batch, axis, 0)[1, 1, :2, 0, 0] = True
    measure = at_each_place(MAPS[0], axis, 4, "sample", 8.0)
    assert measure.count(batch) == [(0, 5), (2, 5), (3, 5), (0, 5)]
    assert [event.probability(0.0) for event in measure.events] == [0.25] * 4
    assert measure.trials_per_map == pytest.approx(0.98 * (1 - (1 - MAPS[0].gamma) ** 4))


LAWS = registered_laws()
PLACES = ("law.each_sample", "law.each_channel")  # of a batch
OF_ONE_MAP = [law for law in LAWS if law.check.id.startswith("law.") and law.check.id not in PLACES]


@pytest.mark.parametrize("law", [law for law in OF_ONE_MAP if law.configuration.anchors <= 16], ids=str)
def test_what_the_checks_themselves_measure_has_the_stated_probability(law: Law) -> None:
    for measure in law.measures:
        require_exact(law.configuration, measure)


# --- independence: pairs of maps ---------------------------------------------------------------------------------

PAIRS = independence.PAIRS[2]
FREE, TOUCHED = np.zeros((4, 4), bool), np.eye(4, dtype=bool)


def one_trial(measure: Measure, shape: tuple[int, int, int]) -> Callable[..., tuple[int, int]]:
    """Counts in the smallest batch that holds A, B, A' and B', in this order in memory, by whether each is free."""

    def count(*free: bool) -> tuple[int, int]:
        batch = np.stack([FREE if one else TOUCHED for one in free]).reshape(*shape, 4, 4)
        ((successes, trials),) = measure.count(batch)
        return successes, trials

    return count


FOUR_MAPS = {
    "channels": one_trial(apart(PAIRS, CHANNELS, 1, "channels", 0), (2, 1, 2)),
    "samples": one_trial(apart(PAIRS, SAMPLES, 1, "samples", 0), (2, 2, 1)),
    "calls": one_trial(calls_apart(PAIRS, 0), (4, 1, 1)),
}


def concordant(count: Callable[..., tuple[int, int]], joint: dict[tuple[bool, bool], Fraction]) -> Fraction:
    """The exact share of concordant trials, where (A, B) and (A', B') each have the law `joint`."""
    successes = trials = Fraction()
    for (a, b), (a_else, b_else) in product(joint, repeat=2):
        found = count(a, b, a_else, b_else)
        weight = joint[a, b] * joint[a_else, b_else]
        successes, trials = successes + weight * found[0], trials + weight * found[1]
    return successes / trials


@pytest.mark.parametrize("name", FOUR_MAPS)
@pytest.mark.parametrize("free", [Fraction(1, 100), Fraction(1, 3), Fraction(1, 2), Fraction(9, 10)])
def test_independent_maps_agree_with_probability_one_half_whatever_gamma_is(name: str, free: Fraction) -> None:
    law = {True: free, False: 1 - free}
    joint = {(a, b): law[a] * law[b] for a, b in product([True, False], repeat=2)}
    assert concordant(FOUR_MAPS[name], joint) == Fraction(1, 2)


@pytest.mark.parametrize("name", FOUR_MAPS)
def test_the_same_map_twice_always_agrees(name: str) -> None:
    joint = {(True, True): Fraction(1, 3), (False, False): Fraction(2, 3)}
    assert concordant(FOUR_MAPS[name], joint) == 1


@pytest.mark.parametrize("name", FOUR_MAPS)
def test_the_effect_of_dependent_maps_is_yules_q(name: str) -> None:
    joint = dict(zip(product([True, False], repeat=2), (Fraction(n, 16) for n in (6, 2, 3, 5)), strict=True))
    q = Fraction(6 * 5 - 2 * 3, 6 * 5 + 2 * 3)
    share = concordant(FOUR_MAPS[name], joint)
    assert share == (1 + q) / 2
    (event,) = apart(PAIRS, CHANNELS, 1, name, 0).events
    assert event.effect(float(share)) == pytest.approx(float(q))


def test_pairs_are_as_often_free_at_every_rank() -> None:
    # One plan serves them all, and one event.
    for rank, c in independence.PAIRS.items():
        assert len(c.feat) == rank
        assert (c.anchors, c.gamma) == (PAIRS.anchors, pytest.approx(PAIRS.gamma))
        assert c.block_size % 2  # so that a subject without even blocks is asked too


@pytest.mark.parametrize("axis", [SAMPLES, CHANNELS])
@pytest.mark.parametrize("lag", LAGS)
def test_a_lag_compares_maps_exactly_so_far_apart_and_uses_none_twice(axis: int, lag: int | None) -> None:
    rng = np.random.default_rng(0)
    size = 64
    batch = rng.random((2, 64, 64, 1, 1)) < 0.5
    for copied in (1, 2, 4, size // 2):
        maps = np.moveaxis(batch.copy(), axis, 0)
        maps = maps.reshape(-1, 2, copied, *maps.shape[1:])
        maps[:, 1] = maps[:, 0]  # every map has a copy of itself `copied` further on
        copies = np.moveaxis(maps.reshape(size, *maps.shape[3:]), 0, axis)
        ((successes, trials),) = apart(PAIRS, axis, lag, "maps", 0).count(copies)
        assert 0 < trials <= batch.size / 4
        if copied == (lag or size // 2):
            assert successes == trials
        else:
            assert 0.4 < successes / trials < 0.6


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_trials_are_not_promised_more_often_than_they_come(law: Law) -> None:
    """`trials_per_map` is at most 1, and below the exact expectation where that is left to chance."""
    for measure in law.measures:
        if law.check.id.startswith("independence."):
            p = (1 - law.configuration.gamma) ** law.configuration.anchors
            assert 0.95 < measure.trials_per_map / ((2 * p * (1 - p)) ** 2 / 4) < 1
        elif law.check.id in PLACES:
            counts = measure.count(np.ones((2, 128, 128, *law.configuration.feat), bool))
            assert counts == [(256, 256 * 128)] * len(measure.events)
        elif law.check.id != "law.anchors":
            assert measure.trials_per_map == 1.0
            counts = measure.count(np.zeros((2, 3, 5, *law.configuration.feat), bool))
            assert [trials for _, trials in counts] == [30] * len(measure.events)


def test_touched_is_any_unit_of_a_map() -> None:
    for c in MAPS:
        seeds, dropped = patterns(c)
        assert np.array_equal(touched(dropped[None, None]).ravel(), seeds.any(axis=1))
        assert dropped.shape[1:] == c.feat
        assert prod(c.feat) == dropped[0].size
