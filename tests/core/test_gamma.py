"""Eq. (1) (rules R2, R3) and the calibrated gamma (rule R11)."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from dropblock_core import expected_keep, gamma
from dropblock_core.law import cover_counts
from dropblock_core.stream import Segments
from tests.shared.strategies import geometries

PROBABILITIES = st.floats(0, 1)


def test_r02_gammas_are_the_golden_ones(golden_seeds: dict[str, Any]) -> None:
    case = golden_seeds
    g = gamma(case["keep_prob"], tuple(case["block_size"]), tuple(case["feat_size"]), gamma_scale=case["gamma_scale"])
    assert g.hex() == case["gamma"]


@given(segments=geometries(), keep_prob=PROBABILITIES, scale=st.floats(0, 1e6))
def test_r02_is_eq_1_in_the_stated_order(segments: Segments, keep_prob: float, scale: float) -> None:
    feat, block, valid = segments.feat, segments.block, segments.valid
    ratio = float(Fraction(math.prod(feat), math.prod(block) * math.prod(valid)))
    assert gamma(keep_prob, block, feat, gamma_scale=scale) == min(1.0, (scale * (1.0 - keep_prob)) * ratio)


def test_r02_another_order_of_evaluation_gives_other_bits() -> None:
    ratio = 10**2 / (3**2 * 8**2)
    ours = gamma(0.9, 3, 10, gamma_scale=0.3)
    assert ours == (0.3 * (1 - 0.9)) * ratio
    assert ours != 0.3 * ((1 - 0.9) * ratio)  # so the order is worth fixing


def test_r02_products_are_exact_however_large_the_map() -> None:
    feat, block = (3254257, 2058756, 5279348), (494588, 1039004, 3770606)
    exact = Fraction(math.prod(feat), math.prod(b * (f - b + 1) for b, f in zip(block, feat, strict=True)))
    in_floats = math.prod(map(float, feat)) / math.prod(
        float(b) * (f - b + 1) for b, f in zip(block, feat, strict=True)
    )
    assert gamma(0.0, block, feat) == float(exact) != in_floats


def test_r02_the_papers_form_for_a_square_map() -> None:
    # Eq. (1) as printed: (1 - keep_prob) / block_size^2 * feat_size^2 / (feat_size - block_size + 1)^2.
    assert gamma(0.9, 7, 14) == pytest.approx(0.1 / 7**2 * 14**2 / (14 - 7 + 1) ** 2, rel=1e-15)
    assert gamma(0.9, 7, 14) == gamma(0.9, (7, 7), (14, 14)) == gamma(0.9, [7, 7], np.array([14, 14]))
    assert gamma(0.75, 1, 14) == 0.25  # block 1 is dropout
    assert gamma(0.75, 14, 14) == 0.25  # one anchor


def test_r02_holds_for_rank_1_and_3() -> None:
    assert gamma(0.5, 2, (3,)) == 0.5 * (3 / (2 * 2))
    assert gamma(0.5, 2, (3, 3, 3)) == 0.5 * (27 / (8 * 8))


def test_r02_is_capped_at_1() -> None:
    assert gamma(0.0, 2, (2,), gamma_scale=3.0) == 1.0
    assert gamma(0.0, 2, (3,), gamma_scale=1e308) == 1.0


@given(segments=geometries())
def test_r02_keep_prob_1_gives_0(segments: Segments) -> None:
    for calibrated in (False, True):
        assert gamma(1.0, segments.block, segments.feat, calibrated=calibrated) == 0.0


@given(segments=geometries(), keep_prob=PROBABILITIES, calibrated=st.booleans(), more=st.integers(1, 1000))
def test_r03_clips_the_block_to_the_map(segments: Segments, keep_prob: float, calibrated: bool, more: int) -> None:
    feat = segments.feat
    larger = tuple(b + more if b == f else b for b, f in zip(segments.block, feat, strict=True))
    assert gamma(keep_prob, larger, feat, calibrated=calibrated) == gamma(
        keep_prob, segments.block, feat, calibrated=calibrated
    )


@given(segments=geometries(), keep_prob=PROBABILITIES)
@example(segments=Segments.of((64, 64), (16, 16)), keep_prob=0.2)
@example(segments=Segments.of((14, 14), (7, 7)), keep_prob=0.9)
@example(segments=Segments.of((4, 9), (4, 1)), keep_prob=1 - 2.0**-53)
@example(segments=Segments.of((9,), (5,)), keep_prob=5e-324)
def test_r11_calibrated_keeps_exactly_keep_prob(segments: Segments, keep_prob: float) -> None:
    g = gamma(keep_prob, segments.block, segments.feat, calibrated=True)
    assert expected_keep(g, segments.block, segments.feat) == pytest.approx(keep_prob, rel=0, abs=1e-12)


@given(segments=geometries())
def test_r11_calibrated_is_exact_at_the_ends(segments: Segments) -> None:
    assert gamma(1.0, segments.block, segments.feat, calibrated=True) == 0.0
    assert gamma(0.0, segments.block, segments.feat, calibrated=True) == 1.0


@given(segments=geometries(), keep_probs=st.tuples(PROBABILITIES, PROBABILITIES).map(sorted))
def test_r11_calibrated_is_monotone(segments: Segments, keep_probs: list[float]) -> None:
    less, more = (gamma(k, segments.block, segments.feat, calibrated=True) for k in keep_probs)
    assert less >= more


def exact_drop(g: float, segments: Segments) -> Fraction:
    """The expected drop fraction in exact arithmetic."""
    n, units = np.unique(cover_counts(segments.block, segments.feat), return_counts=True)
    kept = sum(int(u) * (1 - Fraction(g)) ** int(k) for k, u in zip(n, units, strict=True))
    return 1 - kept / math.prod(segments.feat)


@given(segments=geometries(largest_row=20), keep_prob=PROBABILITIES)
@example(segments=Segments.of((14, 14), (7, 7)), keep_prob=0.9)
def test_r11_calibrated_is_the_smallest_double_that_reaches_the_target(segments: Segments, keep_prob: float) -> None:
    drop = Fraction(1.0 - keep_prob)
    assume(0 < drop < 1)
    g = gamma(keep_prob, segments.block, segments.feat, calibrated=True)
    # What the solver evaluates is exact to a relative error: each bit of the largest cover n costs a doubling and an
    # increment, at most 2.5 roundings and no amplification, and the mean and the target cost one more.
    bits = int(cover_counts(segments.block, segments.feat).max()).bit_length()
    slack = Fraction(2.5 * bits + 1) * Fraction(2) ** -53
    assert exact_drop(g, segments) >= drop * (1 - slack)
    assert exact_drop(math.nextafter(g, 0.0), segments) < drop * (1 + slack)


@pytest.mark.parametrize(
    ("keep_prob", "block", "feat", "bits"),
    [
        (0.9, 7, (14, 14), "0x1.bb4f04bf19a38p-8"),
        (0.2, 16, (64, 64), "0x1.1fff0e17250c1p-6"),
        (0.5, 3, (33,), "0x1.c3ee2366262ecp-3"),
        (1e-9, 2, (5, 6, 7), "0x1.ffffff1e83a56p-1"),
    ],
)
def test_r11_calibrated_has_the_same_bits_everywhere(
    keep_prob: float, block: int, feat: tuple[int, ...], bits: str
) -> None:
    assert gamma(keep_prob, block, feat, calibrated=True).hex() == bits


def test_r11_calibrated_and_gamma_scale_together_are_refused() -> None:
    with pytest.raises(ValueError, match=r"gamma_scale=0\.25 with calibrated=True.*pass one or the other"):
        gamma(0.9, 7, 14, gamma_scale=0.25, calibrated=True)
    assert gamma(0.9, 7, 14, gamma_scale=1.0, calibrated=True) == gamma(0.9, 7, 14, calibrated=True)
