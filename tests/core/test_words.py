"""The word algebra: written once, the same bits in every array library, equal to the fast NumPy form."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from dropblock_core import block_mask, sample_seeds, words
from dropblock_core.stream import MASK32, PHILOX_MULTIPLIERS, Batch, Segments, philox, wide_product
from dropblock_core.words import WordSpace
from tests.shared.strategies import GAMMAS, SEEDS, STREAMS, clipped, geometries, offsets

from .support import but_jax, golden_in_libraries
from .test_stream import KNOWN_ANSWERS

WORD_ARRAYS = npst.arrays(np.int64, st.integers(1, 8), elements=st.integers(0, MASK32))


@pytest.fixture(scope="session")
def space(library: ModuleType) -> WordSpace:
    return WordSpace.beside(library.asarray([0.0]))


def anchors_of(space: WordSpace, bits: Any, segments: Segments) -> np.ndarray[Any, Any]:
    """Seed words, laid out and unpacked: bool ``[samples, maps, *valid]``."""
    return np.asarray(words.unpack(space, words.anchor_words(space, bits, segments), segments.valid))


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS, ids=["zeros", "ones", "pi"])
def test_r13_philox_in_words_gives_its_published_answers(
    space: WordSpace, counter: tuple[int, ...], key: tuple[int, ...], answer: tuple[int, ...]
) -> None:
    words_of = [space.word([x]) for x in (*counter, *key)]
    drawn = philox(words_of[:4], words_of[4:], words.limb_product, space.word)
    assert tuple(int(x[0]) for x in drawn) == answer


@given(a=WORD_ARRAYS, m=st.sampled_from(PHILOX_MULTIPLIERS) | st.integers(0, MASK32))
def test_limb_product_is_the_wide_product(a: np.ndarray[Any, Any], m: int) -> None:
    limbs = words.limb_product(a.astype(np.uint32), np.uint32(m))
    for narrow, wide in zip(limbs, wide_product(a.astype(np.uint64), np.uint64(m)), strict=True):
        assert narrow.dtype == np.uint32  # it never left 32 bits
        np.testing.assert_array_equal(narrow, wide)


@golden_in_libraries
def test_r13_words_hold_the_golden_seeds(space: WordSpace, golden: dict[str, Any]) -> None:
    case, segments = golden, clipped(golden["feat_size"], golden["block_size"])
    batch = Batch(
        int(case["seed"]),
        case["samples"],
        case["maps"],
        segments,
        float.fromhex(case["gamma"]),
        case["sample_offset"],
        case["stream"],
    )
    assert np.argwhere(anchors_of(space, words.seed_words(space, batch), segments)).tolist() == case["seeds"]


any_seeds = given(segments=geometries(), seed=SEEDS, gamma=GAMMAS, stream=STREAMS, offset=offsets(2))


@but_jax
@settings(max_examples=6)
@any_seeds
def test_r13_words_hold_the_fast_seeds_and_masks(space: WordSpace, **batch: Any) -> None:
    assert_words_hold_the_fast_ones(space, **batch)


@settings(max_examples=2)  # JAX compiles each operation anew for each shape
@any_seeds
def test_r13_words_in_jax_hold_the_fast_seeds_and_masks(**batch: Any) -> None:
    assert_words_hold_the_fast_ones(WordSpace.beside(pytest.importorskip("jax.numpy").asarray([0.0])), **batch)


def assert_words_hold_the_fast_ones(
    space: WordSpace, segments: Segments, seed: int, gamma: float, stream: int, offset: int
) -> None:
    bits = words.seed_words(space, Batch(seed, 2, 3, segments, gamma, offset, stream))
    feat, block = segments.feat, segments.block
    seeds = sample_seeds(seed, 2, 3, feat, block, gamma, sample_offset=offset, stream=stream)
    np.testing.assert_array_equal(anchors_of(space, bits, segments), seeds)

    dropped = words.grow(space, words.anchor_words(space, bits, segments), segments)
    unpacked = np.asarray(words.unpack(space, dropped, feat))
    np.testing.assert_array_equal(~unpacked, block_mask(seeds, block, feat))

    for scope, axes in {"tensor": (0, 1), "sample": (1,), "map": ()}.items():
        high, low = (np.asarray(limb).astype(np.int64) for limb in words.count_bits(space, dropped, scope))
        expected = unpacked.sum(axis=(*axes, *range(2, unpacked.ndim)), keepdims=True)
        np.testing.assert_array_equal(2**16 * high + low, expected)


@settings(max_examples=100)
@given(segments=geometries(largest_row=200), seed=SEEDS, gamma=st.floats(0, 0.2))
def test_growth_by_words_is_growth_by_units(segments: Segments, seed: int, gamma: float) -> None:
    space = WordSpace.beside(np.zeros(1))
    bits = words.seed_words(space, Batch(seed, 1, 2, segments, gamma))
    dropped = words.grow(space, words.anchor_words(space, bits, segments), segments)
    seeds = sample_seeds(seed, 1, 2, segments.feat, segments.block, gamma)
    np.testing.assert_array_equal(
        ~words.unpack(space, dropped, segments.feat), block_mask(seeds, segments.block, segments.feat)
    )


@given(row=WORD_ARRAYS, data=st.data())
def test_shift_units_moves_a_row_across_its_words(row: np.ndarray[Any, Any], data: st.DataObject) -> None:
    by = data.draw(st.integers(0, 32 * row.size - 1))
    shifted = words.shift_units(WordSpace.beside(row), row.astype(np.uint32), by)
    # The row as one integer, whose bit i is unit i.
    number = sum(int(word) << 32 * i for i, word in enumerate(row))
    expected = number << by
    assert shifted.tolist() == [expected >> 32 * i & MASK32 for i in range(row.size)]


@settings(max_examples=20)
@given(row=npst.arrays(np.int64, 8, elements=st.integers(0, MASK32)))
def test_popcount_counts_the_bits_of_a_word(space: WordSpace, row: np.ndarray[Any, Any]) -> None:
    counts = words.popcount(space, space.word(row.tolist()))
    assert [int(count) for count in counts] == [int(word).bit_count() for word in row]


# The true maps would fill gigabytes, so here a word's "number of set bits" is the word itself.
@pytest.fixture
def words_count_as_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "popcount", lambda space, rows: rows)


@pytest.mark.usefixtures("words_count_as_themselves")
@pytest.mark.parametrize("scope", ["tensor", "sample", "map"])
def test_r09_counts_are_exact_beyond_32_bits(space: WordSpace, scope: str) -> None:
    per_word = np.random.default_rng(0).integers(0, 2**29, (3, 5, 2, 4))  # maps stay below 2^32
    per_word[0, :3] = [[[2**32 - 1, 0, 0, 0], [0] * 4], [[2**16 - 1] * 4] * 2, [[2**16, 0, 0, 0]] * 2]
    high, low = words.count_bits(space, space.word(per_word.tolist()), scope)
    axes = {"tensor": (0, 1, 2, 3), "sample": (1, 2, 3), "map": (2, 3)}[scope]
    expected = per_word.sum(axis=axes, keepdims=True)
    assert expected.max() > 2**32 or scope == "map"
    np.testing.assert_array_equal(np.asarray(high).astype(np.int64) * 2**16 + np.asarray(low), expected)
    assert int(np.asarray(low).max()) < 2**16


@pytest.mark.usefixtures("words_count_as_themselves")
@pytest.mark.parametrize("shape", [(1, 2**17 + 1, 1, 1), (2**17 + 1, 1, 1, 1)], ids=["channels", "samples"])
def test_r09_counts_are_exact_past_2_to_the_16_samples_or_channels(space: WordSpace, shape: tuple[int, ...]) -> None:
    full = space.xp.broadcast_to(space.word([[[[2**30 - 1]]]]), shape)
    high, low = (np.asarray(limb).item() for limb in words.count_bits(space, full, "tensor"))
    assert 2**16 * high + low == (2**17 + 1) * (2**30 - 1)
