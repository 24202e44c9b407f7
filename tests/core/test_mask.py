"""The fast NumPy seeds and masks: equal to the literal loops bit for bit."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from dropblock_core import block_mask, gamma, mask, sample_seeds
from dropblock_core.stream import Batch, Segments, literal_seeds, threshold_word, thresholds
from tests.shared.strategies import GAMMAS, SEEDS, STREAMS, WORD, geometries, offsets


def seeds_by_loops(
    seed: int, samples: int, maps: int, segments: Segments, gamma: float, sample_offset: int, stream: int
) -> np.ndarray[Any, Any]:
    """What :func:`sample_seeds` must return, from the specification's one draw at a time."""
    seeds = np.zeros((samples, maps, segments.rows, segments.width), bool)
    for n in range(samples):
        for c, row, column in literal_seeds(seed, sample_offset + n, maps, segments, gamma, stream):
            seeds[n, c, row, column] = True
    return seeds.reshape(samples, maps, *segments.valid)


def test_r13_sample_seeds_are_the_golden_ones(golden_seeds: dict[str, Any]) -> None:
    case = golden_seeds
    feat, block = tuple(case["feat_size"]), tuple(case["block_size"])
    g = gamma(case["keep_prob"], block, feat, gamma_scale=case["gamma_scale"])
    assert g.hex() == case["gamma"]
    seeds = sample_seeds(
        int(case["seed"]),
        case["samples"],
        case["maps"],
        feat,
        block,
        g,
        sample_offset=case["sample_offset"],
        stream=case["stream"],
    )
    assert np.argwhere(seeds).tolist() == case["seeds"]


@settings(max_examples=60)
@given(data=st.data(), segments=geometries(), seed=SEEDS, gamma=GAMMAS, stream=STREAMS)
def test_r13_fast_seeds_are_the_literal_ones(
    data: st.DataObject, segments: Segments, seed: int, gamma: float, stream: int
) -> None:
    samples, maps = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 5))
    offset = data.draw(offsets(samples))
    fast = sample_seeds(seed, samples, maps, segments.feat, segments.block, gamma, sample_offset=offset, stream=stream)
    np.testing.assert_array_equal(fast, seeds_by_loops(seed, samples, maps, segments, gamma, offset, stream))


@given(gamma=GAMMAS.filter(bool), length=st.integers(1, 32), draws=st.lists(st.integers(0, WORD - 1), max_size=8))
def test_r13_gaps_looked_up_are_the_thresholds_above_a_draw(gamma: float, length: int, draws: list[int]) -> None:
    table = thresholds(threshold_word(gamma), length)
    near = [u for threshold in table for u in (threshold - 1, threshold, threshold + 1) if 0 <= u < 2**32]
    u = np.array([*draws, *near, 0, 2**32 - 1], np.uint64)
    expected = [sum(word < threshold for threshold in table) for word in u.tolist()]
    assert mask.Gaps(threshold_word(gamma), length)(u).tolist() == expected


@settings(max_examples=30)
@given(segments=geometries(), seed=SEEDS, gamma=GAMMAS, counters=st.integers(1, 8), size=st.integers(1, 200))
def test_chunks_change_nothing(segments: Segments, seed: int, gamma: float, counters: int, size: int) -> None:
    def dropped() -> np.ndarray[Any, Any]:
        return mask.dropped_units(Batch(seed, 5, 3, segments, gamma))

    whole = dropped()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask, "CHUNK_COUNTERS", counters)
        patch.setattr(mask, "CHUNK_BYTES", size)
        np.testing.assert_array_equal(dropped(), whole)


@given(data=st.data(), segments=geometries(), seed=SEEDS, gamma=GAMMAS, samples=st.integers(1, 6))
def test_r13_shards_of_a_batch_get_the_masks_of_the_whole(
    data: st.DataObject, segments: Segments, seed: int, gamma: float, samples: int
) -> None:
    first = data.draw(offsets(samples))
    cut = data.draw(st.integers(0, samples - 1))

    def seeds(start: int, stop: int) -> np.ndarray[Any, Any]:
        feat, block = segments.feat, segments.block
        return sample_seeds(seed, stop - start, 2, feat, block, gamma, sample_offset=first + start)

    np.testing.assert_array_equal(np.concatenate([seeds(0, cut), seeds(cut, samples)]), seeds(0, samples))


def test_r13_the_last_sample_number_is_2_to_the_32_minus_1() -> None:
    last = sample_seeds(3, 1, 4, 9, 2, 0.3, sample_offset=WORD - 1)
    np.testing.assert_array_equal(last, seeds_by_loops(3, 1, 4, Segments.of((9, 9), (2, 2)), 0.3, WORD - 1, 0))


@given(segments=geometries(), seed=SEEDS)
def test_r05_a_seed_has_probability_gamma_so_0_gives_none_and_1_all(segments: Segments, seed: int) -> None:
    assert not sample_seeds(seed, 2, 2, segments.feat, segments.block, 0.0).any()
    assert sample_seeds(seed, 2, 2, segments.feat, segments.block, 1.0).all()


@given(segments=geometries(), more=st.integers(1, 50), seed=SEEDS)
def test_r03_a_block_larger_than_the_map_is_clipped(segments: Segments, more: int, seed: int) -> None:
    feat = segments.feat
    larger = tuple(b + more if b == f else b for b, f in zip(segments.block, feat, strict=True))
    seeds = sample_seeds(seed, 1, 2, feat, segments.block, 0.3)
    np.testing.assert_array_equal(sample_seeds(seed, 1, 2, feat, larger, 0.3), seeds)
    np.testing.assert_array_equal(block_mask(seeds, larger, feat), block_mask(seeds, segments.block, feat))


@given(segments=geometries())
def test_r04_seeds_exist_only_where_the_whole_block_lies_in_the_map(segments: Segments) -> None:
    seeds = sample_seeds(0, 1, 1, segments.feat, segments.block, 1.0)
    assert seeds.shape[2:] == tuple(f - b + 1 for f, b in zip(segments.feat, segments.block, strict=True))


@settings(max_examples=60)
@given(data=st.data(), segments=geometries(largest_row=40), density=st.floats(0, 0.3))
def test_r04_each_seed_drops_the_block_that_starts_at_it(
    data: st.DataObject, segments: Segments, density: float
) -> None:
    shape = (2, 2, *segments.valid)
    seeds = data.draw(npst.arrays(float, shape, elements=st.floats(0, 1), fill=st.just(1.0))) < density
    kept = np.ones((2, 2, *segments.feat), bool)
    for n, c, *anchor in np.argwhere(seeds):
        for unit in product(*(range(i, i + b) for i, b in zip(anchor, segments.block, strict=True))):
            kept[(n, c, *unit)] = False
    np.testing.assert_array_equal(block_mask(seeds, segments.block, segments.feat), kept)


@given(segments=geometries(), seed=SEEDS, gamma=GAMMAS)
def test_seeds_and_mask_at_once_are_seeds_then_mask(segments: Segments, seed: int, gamma: float) -> None:
    seeds = sample_seeds(seed, 2, 3, segments.feat, segments.block, gamma, sample_offset=9, stream=8)
    dropped = mask.dropped_units(Batch(seed, 2, 3, segments, gamma, 9, 8))
    np.testing.assert_array_equal(~dropped, block_mask(seeds, segments.block, segments.feat))


@pytest.mark.parametrize(("samples", "maps"), [(0, 3), (2, 0), (0, 0)])
def test_r14_no_samples_or_no_maps_pass_through(samples: int, maps: int) -> None:
    seeds = sample_seeds(0, samples, maps, (5, 6), 3, 0.5)
    assert seeds.shape == (samples, maps, 3, 4)
    assert block_mask(seeds, 3, (5, 6)).shape == (samples, maps, 5, 6)


def test_block_mask_leaves_its_seeds_alone() -> None:
    seeds = sample_seeds(0, 2, 2, 9, 3, 0.2)
    before = seeds.copy()
    seeds.flags.writeable = False
    block_mask(seeds, 3, 9)
    np.testing.assert_array_equal(seeds, before)
