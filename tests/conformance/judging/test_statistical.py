"""The engine of the statistical checks: it samples what was planned, from one stream, and shows what it saw."""

import json
from math import prod

import numpy as np
import pytest

from dropblock_conformance import Claims, Outcome, Subject, certify
from dropblock_conformance.checks.drawn_law import DEAREST, measures, settings
from dropblock_conformance.checks.events import unit_kept, untouched_map
from dropblock_conformance.checks.independence import PAIRS, even_cut
from dropblock_conformance.checks.law import paper
from dropblock_conformance.judging.check import Check
from dropblock_conformance.judging.configuration import Configuration
from dropblock_conformance.judging.inference import Verdict, rate
from dropblock_conformance.judging.power import POWER, plan
from dropblock_conformance.judging.profile import PROFILES
from dropblock_conformance.judging.statistical import (
    MAPS_PICTURED,
    PATIENCE,
    UNITS_PER_CALL,
    Measure,
    Sampling,
    _Picture,
    draw,
    measure_law,
    number_of_tests,
    sampling,
)
from dropblock_conformance.subject import DTYPES
from dropblock_core import keep_map
from tests.mutants import MUTANTS

from ..support import NUMPY, TINY, Law, context, honest, measured, registered_laws, returning

ALPHA = 2e-8
LAWS = registered_laws()
SMALL = Configuration((5, 5), 3, 0.64)
SHARED = Claims(per_channel=False)


# --- how many -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["quick", "standard"])
@pytest.mark.parametrize("claims", [Claims(), SHARED], ids=["per channel", "shared"])
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_every_event_gets_its_planned_trials(law: Law, claims: Claims, profile: str) -> None:
    margin = PROFILES[profile].margin
    batch = sampling(law.configuration, law.measures, claims, margin, ALPHA, law.calls)
    # The promised power is the whole check's: its tests share what may go wrong.
    power = 1 - (1 - POWER) / number_of_tests(law.measures)
    for measure in law.measures:
        for event in measure.events:
            assert batch.maps * measure.trials_per_map >= plan(event, measure.margin(margin), ALPHA, power)


@pytest.mark.parametrize("claims", [Claims(), SHARED], ids=["per channel", "shared"])
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_batches_pair_up_at_every_lag_and_fit_in_memory(law: Law, claims: Claims) -> None:
    batch = sampling(law.configuration, law.measures, claims, 0.025, ALPHA, law.calls)
    assert batch.calls == law.calls
    for size in (batch.samples, batch.channels):
        assert size == 2 ** int(np.log2(size))
    assert batch.samples >= 8  # lags up to 4 take blocks of 8
    assert batch.channels >= 8 or not claims.per_channel
    assert batch.samples * batch.channels * prod(law.configuration.feat) <= UNITS_PER_CALL


def test_a_shared_mask_is_sampled_through_one_channel() -> None:
    # The unit of observation is then the sample: more channels would show the same mask again.
    batch = sampling(SMALL, [untouched_map(SMALL)], SHARED, 0.025, ALPHA, 1)
    assert batch.channels == 1
    assert batch.maps == batch.calls * batch.samples * batch.batches


@pytest.mark.parametrize("per_channel", [True, False])
def test_a_mask_that_samples_share_is_sampled_by_one_a_call(per_channel: bool) -> None:
    batch = sampling(SMALL, [untouched_map(SMALL)], Claims(per_sample=False, per_channel=per_channel), 0.025, ALPHA)
    assert batch.samples == 1
    assert (batch.channels > 1) is per_channel
    assert batch.maps >= batch.trials[0]


def test_no_more_is_sampled_than_a_full_last_batch() -> None:
    law = [untouched_map(SMALL)]
    batch = sampling(SMALL, law, Claims(), 0.025, ALPHA, 1)
    planned = plan(law[0].events[0], 0.025, ALPHA, POWER)
    assert batch.maps - batch.samples * batch.channels < planned <= batch.maps


@pytest.mark.parametrize(("dtype", "claims"), [("float16", Claims()), (None, Claims(dtypes=("float16",)))])
def test_the_law_is_told_from_a_count_that_overflows_in_float16(dtype: str | None, claims: Claims) -> None:
    seen: list[int] = []

    def call(x, **arguments):
        seen.append(x.size)
        y = NUMPY.call(x, **arguments)
        return y if x.dtype != np.float16 or np.count_nonzero(y) < 65_520 else np.zeros_like(y)

    wide = Configuration((16, 16), 3, 0.976)
    finding = measure_law(context(Subject("lost", call, claims)), wide, [untouched_map(wide)], dtype=dtype)
    assert finding.verdict == Verdict.CONFORMS
    assert seen[0] >= 65_520
    assert max(seen[1:]) < 65_520


# --- one batch ----------------------------------------------------------------------------------------------------


def spy(seen: list[dict[str, object]]) -> Subject:
    def call(x, **arguments):
        seen.append({"shape": x.shape, "dtype": x.dtype.name, "ones": bool((x == 1).all()), **arguments})
        return NUMPY.call(x, **arguments)

    return Subject("spy", call, NUMPY.claims)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_batch_puts_ones_in_and_takes_zeros_for_dropped(dtype: str) -> None:
    seen: list[dict[str, object]] = []
    batch = Sampling(calls=3, samples=4, channels=8, batches=1, trials=(96,))
    dropped = draw(context(spy(seen)), SMALL, batch, dtype)
    assert dropped.shape == (3, 4, 8, 5, 5)
    first = seen[0].pop("seed")
    assert isinstance(first, int)
    assert seen[0] == {
        "shape": (4, 8, 5, 5), "dtype": dtype, "ones": True, "block_size": 3, "keep_prob": 0.64, "training": True,
    }  # fmt: skip
    # Neighbouring seeds: the likeliest to be confused.
    assert [call["seed"] for call in seen[1:]] == [first + 1, first + 2]
    for number in range(3):
        again = NUMPY.call(
            np.ones((4, 8, 5, 5), "float32"), keep_prob=0.64, block_size=3, training=True, seed=first + number
        )
        assert np.array_equal(dropped[number], again == 0)


def test_measuring_takes_the_planned_batches_and_counts_all_of_them() -> None:
    seen: list[dict[str, object]] = []
    law = [untouched_map(SMALL), unit_kept(SMALL, (2, 2))]
    batch = sampling(SMALL, law, NUMPY.claims, TINY.margin, 1e-6, 2)
    finding = measure_law(context(spy(seen)), SMALL, law, calls=2)
    assert len(seen) == 2 * batch.batches
    assert [test["trials"] for test in finding.data["tests"]] == [batch.maps] * 2
    assert {test["margin"] for test in finding.data["tests"]} == {TINY.margin}
    assert {test["alpha"] for test in finding.data["tests"]} == {1e-6}


def test_a_finding_tells_its_worst_event_with_all_its_numbers() -> None:
    # Outcomes at a fixed seed are deterministic, so they can be asserted.
    finding = measure_law(context(honest()), SMALL, [untouched_map(SMALL), unit_kept(SMALL, (2, 2))])
    assert finding.verdict == Verdict.CONFORMS
    worst = max(finding.data["tests"], key=lambda test: abs(test["effect"]))
    assert finding.effect == worst["effect"]
    for part in (str(SMALL), worst["event"], f"{worst['successes']:,} of {worst['trials']:,}", "margin 25.00%"):
        assert part in finding.summary
    json.dumps(finding.data)  # evidence goes into reports as it is


# --- what is not as the plan takes it -----------------------------------------------------------------------------


def rare(trials: int) -> Measure:
    """An event with so many trials in each batch, whatever is drawn, of which half are successes."""
    return Measure((rate("a coin", 0.5),), lambda dropped: [(trials // 2, trials)])


@pytest.mark.parametrize("beside", [[], [1]], ids=["alone", "beside a frequent one"])
def test_sampling_goes_on_until_each_event_has_as_many_trials_as_planned(beside: list[int]) -> None:
    seen: list[dict[str, object]] = []
    batch = sampling(SMALL, [rare(1) for _ in (0, *beside)], NUMPY.claims, TINY.margin, 1e-6)
    planned = batch.trials[0]
    per_batch = planned // 5
    finding = measure_law(context(spy(seen)), SMALL, [rare(per_batch), *(rare(n * planned) for n in beside)])
    assert batch.batches < len(seen) == 6
    assert finding.data["tests"][0]["trials"] == 6 * per_batch >= planned


def test_sampling_ends_though_there_is_nothing_to_count() -> None:
    seen: list[dict[str, object]] = []
    finding = measure_law(context(spy(seen)), SMALL, [rare(0)])
    assert len(seen) == PATIENCE * sampling(SMALL, [rare(0)], NUMPY.claims, TINY.margin, 1e-6).batches
    assert finding.verdict == Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("axis", "claim"), [(0, "per_sample"), (1, "per_channel")])
def test_a_law_is_not_judged_by_maps_that_share_a_mask(axis: int, claim: str) -> None:
    def call(x, **arguments):
        return np.broadcast_to(NUMPY.call(x.take([0], axis), **arguments), x.shape).copy()

    ids = ["law.paper", "law.drawn", "independence.samples" if axis == 0 else "independence.channels"]
    *laws, independence = certify(Subject("sharing", call), profile="tiny", checks=ids).results
    for law in laws:
        assert law.outcome == Outcome.INCONCLUSIVE
        assert f"claim {claim}=False" in law.summary
    assert independence.outcome == Outcome.DEVIATES
    assert certify(Subject("sharing", call, Claims(**{claim: False})), profile="tiny", checks=ids).conforms


@pytest.mark.parametrize("value", [0, 1])
def test_maps_that_lose_all_or_nothing_are_not_taken_for_shared(value: int) -> None:
    finding = measure_law(context(returning(lambda x: x * value)), SMALL, [untouched_map(SMALL)])
    assert finding.verdict == Verdict.DEVIATES


def test_a_cut_divides_maps_evenly_whatever_their_law() -> None:
    for configuration in PAIRS.values():
        batch = sampling(configuration, [untouched_map(configuration)], NUMPY.claims, TINY.margin, 1e-6)
        assert even_cut(draw(context(), configuration, batch, "float32")) == 0
    maps = np.zeros((1, 1, 10, 12), bool)
    for number, lost in enumerate((9, 9, 10, 10, 10, 11, 11, 12, 12, 12)):
        maps[0, 0, number, :lost] = True
    assert even_cut(maps) == 10


@pytest.mark.parametrize("check", ["independence.channels", "independence.samples", "independence.calls"])
def test_a_wrong_law_is_no_dependence_and_does_not_hide_one(check: str) -> None:
    wrong = MUTANTS["EqOneOnWholeMap"].build()  # leaves 2 maps of 100 untouched
    # Seeds of two calls are confused where the first is even: it takes several batches to have such.
    profile = "closer" if check == "independence.calls" else "small"
    assert certify(wrong.subject("wrong"), profile=profile, checks=[check]).conforms
    seeds, rng = wrong.seeds, wrong.rng
    wrong.seeds = lambda *arguments: (found := seeds(*arguments))[
        np.ix_(np.arange(found.shape[0]) // 2 * 2, np.arange(found.shape[1]) // 2 * 2)
    ]
    wrong.rng = lambda seed: rng(seed // 2)
    (result,) = certify(wrong.subject("wrong"), profile=profile, checks=[check]).results
    assert result.outcome == Outcome.DEVIATES


# --- configurations -----------------------------------------------------------------------------------------------


def test_a_configuration_knows_its_law() -> None:
    (c,) = paper.at.values()
    assert (c.gamma, c.anchors, c.block) == (pytest.approx(0.00625), 64, (7, 7))
    clipped = Configuration((4, 9), 7, 0.7)
    assert (clipped.anchors, clipped.block) == (3, (4, 7))
    assert str(clipped) == "4x9, block 7, keep_prob 0.7"


CLAIMS = [
    Claims(),
    Claims(even_blocks=False, non_square=False, dtypes=("float16", "float64")),
    Claims(spatial=(1, 2, 3), dtypes=DTYPES),
    Claims(spatial=(3,), even_blocks=False),
]


@pytest.mark.parametrize("of_paper", [True, False])
@pytest.mark.parametrize("claims", CLAIMS, ids=["default", "square and odd", "every rank", "rank 3"])
def test_drawn_settings_follow_the_seed_and_the_claims(claims: Claims, of_paper: bool) -> None:
    drawn = [settings(claims, of_paper, seed, 4) for seed in range(30)]
    assert drawn == [settings(claims, of_paper, seed, 4) for seed in range(30)]
    found = [setting for one in drawn for setting in one]
    assert len(found) == 120
    assert len(set(found)) > 90
    for c, dtype in found:
        assert 1 <= c.block_size <= min(c.feat) <= max(c.feat) <= 128
        assert 0.02 <= c.keep_prob <= 0.99
        assert c.gamma <= 0.5
        assert claims.even_blocks or c.block_size % 2
        assert prod(c.block) <= DEAREST
        if of_paper:
            assert (len(c.feat), dtype) == (claims.law_rank, claims.law_dtype)
        assert not (of_paper or not claims.non_square) or len(set(c.feat)) == 1
        for measure in measures(c):
            for margin in (TINY.margin, PROFILES["quick"].margin):  # twice it is a probability, and another one
                event, widest = measure.events[0], 2 * measure.margin(margin)
                assert 0.0 < event.probability(widest) < event.probability(0.0) < event.probability(-widest) < 1.0


def test_drawn_settings_are_of_every_kind() -> None:
    found = [s for seed in range(100) for s in settings(CLAIMS[2], False, seed, 4)]
    assert {len(c.feat) for c, _ in found} == {1, 2, 3}
    assert {dtype for _, dtype in found} == set(DTYPES)
    plane = [c for c, _ in found if len(c.feat) == 2]
    assert any(c.feat[0] > 2 * c.feat[1] for c in plane)
    assert any(c.feat[1] > 2 * c.feat[0] for c in plane)
    assert {min(c.block_size, 8) for c in plane} >= {1, 2, 3, 4, 5, 6, 7, 8}
    assert max(max(c.feat) for c in plane) > 100
    assert min(min(c.feat) for c in plane) == 1
    assert any(c.keep_prob < 0.1 for c in plane)
    assert any(c.keep_prob > 0.95 for c in plane)


@pytest.mark.parametrize("place", [0, 1])
def test_each_seed_draws_settings_of_its_own(place: int) -> None:
    # Hypothesis begins with the simplest example whatever the seed: it must not take the place of a drawn one.
    drawn = {settings(Claims(), True, seed, PROFILES["quick"].drawn_laws)[place] for seed in range(20)}
    assert len(drawn) > 5


@pytest.mark.parametrize("claimed", [(1,), (2,), (3,), (1, 3), (1, 2, 3)], ids=str)
@pytest.mark.parametrize("check", [law.check for law in LAWS], ids=lambda check: check.id)
def test_a_law_is_measured_at_a_spatial_rank_that_is_claimed(check: Check, claimed: tuple[int, ...]) -> None:
    subject = Subject("ranked", NUMPY.call, Claims(spatial=claimed, dtypes=DTYPES))
    rank = {"law.rank1": 1, "law.rank3": 3}.get(check.id, 2)
    if check.id.startswith(("independence.", "law.each_sample", "law.each_channel")) or rank in claimed:
        assert check.needs(subject) is None
        assert len(measured(check, subject)[0].configuration.feat) in claimed
        assert check.plan(subject, TINY, ALPHA, 0)[0]["configuration"] == str(measured(check, subject)[0].configuration)
    else:
        assert check.needs(subject) == f"does not claim spatial rank {rank}"


# --- pictures -----------------------------------------------------------------------------------------------------


def test_a_picture_shows_how_often_each_unit_was_dropped_beside_the_law() -> None:
    picture = _Picture(SMALL)
    rng = np.random.default_rng(0)
    batches = [rng.random((1, 4, 2, 5, 5)) < 0.3 for _ in range(3)]
    for batch in batches:
        picture.add(batch)
    data = picture.data()
    assert data["drop_map"]["maps"] == 24
    seen = np.concatenate(batches).reshape(-1, 5, 5)
    assert np.array_equal(data["drop_map"]["observed"], seen.mean(axis=0))
    assert np.array_equal(data["drop_map"]["exact"], 1 - keep_map(SMALL.gamma, 3, (5, 5)))
    json.dumps(data)


def test_a_picture_shows_a_few_masks_that_dropped_something() -> None:
    picture = _Picture(SMALL)
    dropped = np.zeros((1, 1, 20, 5, 5), bool)
    dropped[0, 0, 3:, 1:4, 1:4] = True
    picture.add(dropped)
    picture.add(~dropped)
    assert np.array_equal(picture.data()["masks"], [~dropped[0, 0, 3]] * 6)


def test_a_picture_looks_at_so_many_maps_and_no_more() -> None:
    picture = _Picture(Configuration((1,), 1, 0.5))
    for value in (True, False):
        picture.add(np.full((1, 1, MAPS_PICTURED - 5, 1), value))
    assert picture.data()["drop_map"]["maps"] == MAPS_PICTURED
    assert picture.data()["drop_map"]["observed"] == [(MAPS_PICTURED - 5) / MAPS_PICTURED]


def test_a_picture_of_nothing_is_empty() -> None:
    assert _Picture(SMALL).data()["drop_map"]["observed"] == np.zeros((5, 5)).tolist()
    assert _Picture(SMALL).data()["masks"] == []
