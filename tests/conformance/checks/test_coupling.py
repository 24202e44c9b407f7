"""Any two maps: the signs are fair coins whatever the law, and a copy is found wherever it is and however moved."""

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from dropblock_conformance import Outcome, Subject, certify
from dropblock_conformance.checks import coupling
from dropblock_conformance.checks.coupling import AT, MAPS, Coins, _least_alike, differences, moves
from dropblock_conformance.judging.inference import Verdict
from dropblock_core import keep_map
from tests.mutants import MUTANTS, WILD

from ..support import NUMPY, binomial

C = AT[2]


def test_the_sign_of_a_sum_is_a_fair_coin_whatever_the_law() -> None:
    """Exactly: two independent maps of three units, each with a law of its own, at which units go together."""
    laws = [{(0, 0, 0): 5, (1, 1, 0): 2, (1, 1, 1): 9}, {(0, 0, 1): 3, (1, 0, 1): 7, (1, 1, 1): 1}]
    signs = {-1: Fraction(0), 0: Fraction(0), 1: Fraction(0)}
    for a, a_else in product(laws[0], repeat=2):
        for b, b_else in product(laws[1], repeat=2):
            weight = Fraction(laws[0][a] * laws[0][a_else] * laws[1][b] * laws[1][b_else])
            total = sum((x - x_else) * (y - y_else) for x, x_else, y, y_else in zip(a, a_else, b, b_else, strict=True))
            signs[(total > 0) - (total < 0)] += weight
    assert signs[1] == signs[-1] > 0


@pytest.mark.parametrize("alpha", [0.1, 1e-6, 1e-16])
def test_so_many_alike_are_too_rare_for_fair_coins_and_one_fewer_is_not(alpha: float) -> None:
    for tossed, least in enumerate(_least_alike(60, alpha)):
        law = binomial(tossed, 0.5)
        assert 2 * sum(law[least:]) <= alpha
        assert least <= tossed // 2 + 1 or 2 * sum(law[least - 1 :]) > alpha


@pytest.mark.parametrize("rank", AT)
def test_the_grid_looks_the_same_from_every_side_and_its_units_are_kept_half_of_the_time(rank: int) -> None:
    c = AT[rank]
    assert len(c.feat) == rank
    maps = np.zeros((2, 1, *c.feat), bool)
    maps[0] = np.random.default_rng(0).random(c.feat) < 0.5
    z = differences(maps, c)
    for axis in range(-rank, 0):
        mirrored = differences(np.flip(maps, axis=axis), c)
        assert np.array_equal(np.flip(z, axis=axis), mirrored)
    inside = keep_map(c.gamma, c.block_size, c.feat)[(c.block_size - 1,) * rank]
    assert inside == pytest.approx(0.5, abs=0.01)
    assert c.block_size % 2  # so that a subject without even blocks is asked too


def found(z: list[Any], name: str = "map {}") -> Any:
    coins = Coins(len(z[0]), 2)
    for one in z:
        coins.toss(one)
    return coins.finding(name.format, 1e-9)


def noise(maps: int = 20) -> list[Any]:
    rng = np.random.default_rng(1)
    return [rng.integers(-1, 2, (maps, 4, 4)).astype(np.float32) for _ in range(96)]


def test_maps_that_know_nothing_of_each_other_conform() -> None:
    assert found(noise()).verdict == Verdict.CONFORMS


@pytest.mark.parametrize("move", moves(2))
@pytest.mark.parametrize("sign", [1, -1], ids=["copy", "complement"])
def test_a_copy_is_found_and_named_however_it_was_moved(move: str, sign: int) -> None:
    z = noise()
    for one in z:
        one[17] = sign * moves(2)[move](one[3][None])[0]
    finding = found(z)
    assert finding.verdict == Verdict.DEVIATES
    assert "map 3" in finding.summary
    assert "map 17" in finding.summary
    assert finding.effect == 1.0


def test_maps_of_which_half_is_common_are_coupled() -> None:
    z = noise()
    for one in z:
        one[11, :2] = one[4, :2]
    assert found(z).verdict == Verdict.DEVIATES


def test_where_no_map_ever_differs_nothing_is_concluded() -> None:
    assert found([np.zeros((4, 4, 4), np.float32)] * 96).verdict == Verdict.INCONCLUSIVE


def outcome(call: Any, check: str, name: str = "coupled") -> Any:
    (result,) = certify(Subject(name, call, NUMPY.claims), profile="tiny", checks=[check]).results
    return result


def copying(x: Any, axis: int, **arguments: Any) -> Any:
    """The last map of an axis is the 38th, upside down."""
    y = np.moveaxis(np.array(NUMPY.call(x, **arguments)), axis, 0)
    if len(y) == MAPS:
        y[-1] = y[37][..., ::-1, :]
    return np.moveaxis(y, 0, axis)


@pytest.mark.parametrize(("check", "axis"), [("independence.all_samples", 0), ("independence.all_channels", 1)])
def test_a_pair_far_apart_is_found(check: str, axis: int) -> None:
    result = outcome(lambda x, **arguments: copying(x, axis, **arguments), check)
    assert result.outcome == Outcome.DEVIATES
    assert "mirrored along axis -2" in result.summary


@pytest.mark.parametrize(
    ("check", "mutant"),
    [
        ("independence.all_samples", "OpposedSamples"),
        ("independence.all_channels", "OpposedChannels"),
        ("seed.lasting", "EvaluationMovesOneCall"),
    ],
)
def test_what_the_adversary_got_past_an_earlier_suite_is_found(check: str, mutant: str) -> None:
    subject = WILD[mutant].build().subject(mutant)
    (result,) = certify(subject, profile="tiny", checks=[check]).results
    assert result.outcome == Outcome.DEVIATES


CALLS = {
    "one bit is lost": lambda seed: seed & ~(1 << 20),
    "neighbours share": lambda seed: seed & ~1,
}


@pytest.mark.parametrize("seeding", CALLS)
def test_calls_that_share_a_mask_are_found(seeding: str) -> None:
    def call(x: Any, *, seed: int, **arguments: Any) -> Any:
        return NUMPY.call(x, seed=CALLS[seeding](seed), **arguments)

    assert outcome(call, "independence.all_calls").outcome == Outcome.DEVIATES


def test_a_sample_that_is_the_first_of_another_seed_is_found() -> None:
    def call(x: Any, *, seed: int, **arguments: Any) -> Any:
        return np.stack([one * (np.random.default_rng(seed + n).random(one.shape) < 0.5) for n, one in enumerate(x)])

    result = outcome(call, "independence.all_calls")
    assert result.outcome == Outcome.DEVIATES
    assert "sample n against sample 0" in result.summary


@pytest.mark.parametrize("check", ["independence.all_samples", "independence.all_channels", "independence.all_calls"])
@pytest.mark.parametrize("mutant", ["EqOneOnWholeMap", "FixedNumberOfBlocks"])
def test_a_wrong_law_is_no_dependence(check: str, mutant: str) -> None:
    subject = MUTANTS[mutant].build().subject(mutant)
    (result,) = certify(subject, profile="tiny", checks=[check]).results
    assert result.outcome == Outcome.CONFORMS, result.summary


def test_the_plan_says_how_many_maps_are_drawn() -> None:
    for check in (coupling.all_samples, coupling.all_channels):
        rows = check.plan(NUMPY, None, 1e-6, 0)  # type: ignore[arg-type]
        assert [row["maps"] for row in rows] == [2 * coupling.COINS * 2 * MAPS] * 2
