"""The stream of seeds (rule R13): the generator, the thresholds, the segments, and what they imply for the law."""

from collections import Counter
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropblock_core.stream import (
    MASK32,
    Segments,
    literal_seeds,
    philox,
    philox_key,
    threshold_word,
    thresholds,
    wide_product,
)
from dropblock_core.words import limb_product
from tests.shared.strategies import GAMMAS, clipped, geometries

# Philox4x32-10 in Random123's known-answer file: zeros, ones, and the digits of pi.
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((MASK32,) * 4, (MASK32,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS, ids=["zeros", "ones", "pi"])
@pytest.mark.parametrize(
    ("product", "word"),
    [(wide_product, int), (wide_product, np.uint64), (limb_product, int), (limb_product, np.uint32)],
    ids=["wide-int", "wide-uint64", "limbs-int", "limbs-uint32"],
)
def test_r13_philox_gives_its_published_answers(
    counter: tuple[int, ...], key: tuple[int, ...], answer: tuple[int, ...], product: Any, word: Any
) -> None:
    # An array of one: NumPy warns of wrapping scalars, never of wrapping arrays.
    words = [x if word is int else np.array([x], word) for x in (*counter, *key)]
    drawn = philox(words[:4], words[4:], product, word)
    assert tuple(int(x if word is int else x[0]) for x in drawn) == answer


def test_r13_the_key_is_the_low_word_of_the_seed_then_the_high_one() -> None:
    assert philox_key(0x0123456789ABCDEF) == (0x89ABCDEF, 0x01234567)


def test_r13_thresholds_are_the_golden_ones(golden_thresholds: dict[str, Any]) -> None:
    t = threshold_word(float.fromhex(golden_thresholds["gamma"]))
    assert t == golden_thresholds["t"]
    assert thresholds(t, 32) == golden_thresholds["T"]
    assert thresholds(t, 5) == golden_thresholds["T"][:5]  # a shorter segment takes the first ones


def test_r13_literal_seeds_are_the_golden_ones(golden_seeds: dict[str, Any]) -> None:
    case, segments = golden_seeds, clipped(golden_seeds["feat_size"], golden_seeds["block_size"])
    found = [
        [n, c, *np.unravel_index(row * segments.width + column, segments.valid)]
        for n in range(case["samples"])
        for c, row, column in literal_seeds(
            int(case["seed"]),
            case["sample_offset"] + n,
            case["maps"],
            segments,
            float.fromhex(case["gamma"]),
            case["stream"],
        )
    ]
    assert found == case["seeds"]


@pytest.mark.parametrize(
    ("gamma", "t"),
    [
        (0.0, 0),
        (5e-324, 1),
        (2.0**-33, 1),  # a half: rounding to even would give 0, which would draw nothing
        (1.5 * 2.0**-32, 2),
        (2.5 * 2.0**-32, 2),
        (1 - 2.0**-33, 2**32),
        (1.0, 2**32),
    ],
)
def test_r13_threshold_word_rounds_half_to_even_but_to_at_least_1(gamma: float, t: int) -> None:
    assert threshold_word(gamma) == t


@given(gamma=st.floats(0, 1))
def test_r13_threshold_word_is_gamma_to_half_a_word(gamma: float) -> None:
    t = threshold_word(gamma)
    assert t == 1 or abs(t / 2**32 - gamma) <= 2.0**-33


@given(gamma=GAMMAS)
def test_r13_thresholds_are_powers_rounded_down(gamma: float) -> None:
    q = 2**32 - threshold_word(gamma)
    for j, threshold in enumerate(thresholds(2**32 - q, 32), start=1):
        # Each step rounds down by less than one and shrinks the error before it, so T_j is short by less than j - 1
        # (T_1 is exact); compared in integers, over the common denominator 2^(32 (j - 1)).
        short = q**j - (threshold << 32 * (j - 1))
        assert 0 <= short <= (j - 1) << 32 * (j - 1)


@given(gamma=GAMMAS)
def test_r13_every_anchor_is_a_seed_with_probability_gamma_to_2_to_the_minus_26(gamma: float) -> None:
    # The exact law of a segment, by renewal: P(seed at p) = sum over j of P(gap = j) P(seed at p - 1 - j), where
    # P(gap >= j) = T_j / 2^32. At age j (anchors since the last seed) the hazard is 1 - T_(j+1) / T_j, and rounding
    # down raises it above t / 2^32 by less than 1 / T_j. Age j has probability P(seed at p - 1 - j) T_j / 2^32, so
    # P(seed at p) exceeds t / 2^32 by less than (1 + p) 2^-32, hence by less than 2^-27 for p < 32. A float carries
    # these sums to 1e-14, far below.
    t = threshold_word(gamma)
    survival = [1.0, *(threshold / 2**32 for threshold in thresholds(t, 32))]
    at: list[float] = []
    for p in range(32):
        first = survival[p] - survival[p + 1]
        at.append(first + sum(at[p - 1 - j] * (survival[j] - survival[j + 1]) for j in range(p)))
        assert -1e-14 <= at[p] - t / 2**32 < (1 + p) * 2.0**-32 + 1e-14
        assert t == 1 or abs(at[p] - gamma) < 2.0**-26


@given(segments=geometries())
def test_r04_segments_hold_every_anchor_once(segments: Segments) -> None:
    assert 1 <= segments.length <= 32
    places = [
        segments.row_and_column(g, position) for g in range(segments.per_map) for position in range(segments.length)
    ]
    on_grid = Counter(place for place in places if place[0] < segments.rows and place[1] < segments.width)
    assert set(on_grid.values()) == {1}
    assert on_grid.total() == prod(segments.valid)


@given(segments=geometries())
def test_r13_rows_up_to_32_are_packed_whole_and_longer_ones_are_cut(segments: Segments) -> None:
    rows, width = prod(segments.valid[:-1]), segments.valid[-1]
    if width <= 32:
        assert segments.length == min(rows, 32 // width) * width
        assert segments.per_map == -(-rows // min(rows, 32 // width))
    else:
        assert segments.length == 32
        assert segments.per_map == rows * -(-width // 32)


@pytest.mark.parametrize(
    "change",
    [{"seed": 6}, {"seed": 5 + 2**32}, {"sample": 1}, {"stream": 1}],
    ids=["seed's low word", "seed's high word", "sample", "stream"],
)
def test_r13_each_word_of_key_and_counter_changes_the_seeds(change: dict[str, int]) -> None:
    arguments: dict[str, Any] = {"seed": 5, "sample": 0, "maps": 2, "segments": Segments.of((9, 9), (2, 2))}
    seeds = list(literal_seeds(**arguments, gamma=0.5))
    assert list(literal_seeds(**arguments, gamma=0.5)) == seeds
    assert list(literal_seeds(**arguments | change, gamma=0.5)) != seeds
