"""The exact law (rule R11), against every pattern of seeds that a small map can have."""

from collections.abc import Iterator
from itertools import combinations, product
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropblock_core import expected_keep, gamma, joint_keep, keep_map
from dropblock_core.law import cover_counts
from dropblock_core.stream import Segments
from tests.shared.strategies import geometries

SMALL = [
    ((5,), (2,)),
    ((6,), (6,)),
    ((7,), (1,)),
    ((8,), (5,)),
    ((4, 4), (2, 2)),
    ((3, 4), (3, 2)),
    ((4, 5), (3, 2)),
    ((4, 4), (2, 9)),
    ((2, 2, 3), (2, 1, 2)),
]
EACH_SMALL = pytest.mark.parametrize(("feat", "block"), SMALL, ids=str)


def every_mask(g: float, block: tuple[int, ...], feat: tuple[int, ...]) -> Iterator[tuple[float, np.ndarray]]:
    """Each pattern of seeds, as its probability and the mask it gives, block by block."""
    sides = [min(b, f) for b, f in zip(block, feat, strict=True)]
    anchors = list(product(*(range(f - b + 1) for f, b in zip(feat, sides, strict=True))))
    for pattern in product([False, True], repeat=len(anchors)):
        mask = np.ones(feat, bool)
        for anchor, is_seed in zip(anchors, pattern, strict=True):
            if is_seed:
                mask[tuple(slice(i, i + b) for i, b in zip(anchor, sides, strict=True))] = False
        yield g ** sum(pattern) * (1 - g) ** (len(anchors) - sum(pattern)), mask


@EACH_SMALL
@pytest.mark.parametrize("g", [0.1, 0.7])
def test_r11_is_the_law_of_all_seed_patterns(g: float, block: tuple[int, ...], feat: tuple[int, ...]) -> None:
    units = list(np.ndindex(*feat))
    marginals, fraction = np.zeros(feat), 0.0
    pairs = dict.fromkeys(combinations(units, 2), 0.0)
    for probability, mask in every_mask(g, block, feat):
        marginals += probability * mask
        fraction += probability * mask.mean()
        for a, b in pairs:
            pairs[a, b] += probability * float(mask[a] and mask[b])
    # At most 2^12 patterns: sums of as many products, each to a few roundings, hold 1e-12 easily.
    np.testing.assert_allclose(keep_map(g, block, feat), marginals, rtol=0, atol=1e-12)
    assert expected_keep(g, block, feat) == pytest.approx(fraction, rel=0, abs=1e-12)
    for (a, b), expected in pairs.items():
        assert joint_keep(g, block, feat, [a, b]) == pytest.approx(expected, rel=0, abs=1e-12)


@EACH_SMALL
def test_r11_any_set_of_units_is_kept_if_no_anchor_of_the_union_is_a_seed(
    feat: tuple[int, ...], block: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        chosen = rng.random(feat) < 0.4
        expected = sum(p for p, mask in every_mask(0.2, block, feat) if mask[chosen].all())
        units = [tuple(int(i) for i in unit) for unit in np.argwhere(chosen)]
        assert joint_keep(0.2, block, feat, units) == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize(
    ("keep_prob", "block", "feat", "kept"), [(0.9, 7, 14, 0.9071), (0.2, 16, 64, 0.5023)], ids=["ResNet", "DeepLab"]
)
def test_r11_eq_1_keeps_more_than_keep_prob(keep_prob: float, block: int, feat: int, kept: float) -> None:
    assert round(expected_keep(gamma(keep_prob, block, feat), block, feat), 4) == kept


@given(segments=geometries(), g=st.floats(0, 1))
def test_r11_keep_map_is_the_chance_of_no_seed_among_the_covering_anchors(segments: Segments, g: float) -> None:
    feat, block = segments.feat, segments.block
    kept = keep_map(g, block, feat)
    assert kept.shape == feat
    assert kept.dtype == np.float64
    np.testing.assert_array_equal(kept, (1 - g) ** cover_counts(block, feat))
    assert expected_keep(g, block, feat) == pytest.approx(kept.mean(), rel=1e-15)
    # Every anchor covers its block, so the covers add up.
    assert cover_counts(block, feat).sum() == prod(block) * prod(segments.valid)


@given(segments=geometries(), g=st.floats(0, 1), data=st.data())
def test_r11_one_unit_alone_is_kept_as_keep_map_says(segments: Segments, g: float, data: st.DataObject) -> None:
    unit = tuple(data.draw(st.integers(0, f - 1)) for f in segments.feat)
    alone = joint_keep(g, segments.block, segments.feat, [unit])
    assert alone == pytest.approx(keep_map(g, segments.block, segments.feat)[unit], rel=1e-14, abs=1e-300)


@given(segments=geometries(largest_row=12), g=st.floats(0, 1))
def test_r11_all_units_are_kept_if_no_anchor_at_all_is_a_seed(segments: Segments, g: float) -> None:
    units = list(np.ndindex(*segments.feat))
    untouched = (1 - g) ** prod(segments.valid)
    assert joint_keep(g, segments.block, segments.feat, units) == pytest.approx(untouched, rel=1e-14, abs=1e-300)
    assert joint_keep(g, segments.block, segments.feat, []) == 1.0


@given(segments=geometries())
def test_r11_ends_are_exact(segments: Segments) -> None:
    assert expected_keep(0.0, segments.block, segments.feat) == 1.0
    assert expected_keep(1.0, segments.block, segments.feat) == 0.0


@pytest.mark.parametrize("unit", [(4, 0), (0, 5), (-1, 0), (0,), (0, 0, 0)])
def test_r14_joint_keep_refuses_a_unit_outside_the_map(unit: tuple[int, ...]) -> None:
    with pytest.raises(IndexError, match=r"units holds \(.*which is not a unit of a map of \(4, 5\)"):
        joint_keep(0.1, 2, (4, 5), [(0, 0), unit])
