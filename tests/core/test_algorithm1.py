"""Algorithm 1 in literal loops: small cases worked by hand, and its text beside the paper's."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from dropblock_core import algorithm1, expected_keep, sample_seeds
from dropblock_core import gamma as eq1

# Algorithm 1 as the paper prints it, M_{i,j} and the Greek letter written in plain text.
PAPER = [
    "Input: output activations of a layer (A), block_size, gamma, mode",
    "if mode == Inference then",
    "return A",
    "end if",
    "Randomly sample mask M: M_ij ~ Bernoulli(gamma)",
    "For each zero position M_ij, create a spatial square mask with the center being M_ij, the width, height being "
    "block_size and set all the values of M in the square to be zero (see Figure 2).",
    "Apply the mask: A = A x M",
    "Normalize the features: A = A x count(M) / count_ones(M)",
]


def seeds_at(shape: tuple[int, ...], *anchors: tuple[int, ...]) -> np.ndarray:
    seeds = np.zeros((1, 1, *shape), bool)
    for anchor in anchors:
        seeds[(0, 0, *anchor)] = True
    return seeds


def test_each_line_of_the_paper_is_a_comment_in_its_order() -> None:
    source = Path(inspect.getfile(algorithm1)).read_text()
    comments = re.findall(r"^ *# (\d): (.*(?:\n *#    .*)*)", source, re.MULTILINE)
    assert [int(number) for number, _ in comments] == [1, 2, 3, 4, 5, 6, 7, 8]
    for (number, comment), line in zip(comments, PAPER, strict=True):
        assert re.sub(r"\s*\n *#\s*", " ", comment).startswith(line), f"line {number}"


@pytest.mark.parametrize(
    ("block", "picture"),
    [
        (1, ["1111", "1101", "1111", "1111"]),
        (2, ["1111", "1100", "1100", "1111"]),
        ((3, 1), ["1111", "1101", "1101", "1101"]),
    ],
    ids=["dropout", "even", "oblong"],
)
def test_r04_a_seed_is_the_first_unit_of_its_block(block: int | tuple[int, int], picture: list[str]) -> None:
    high, wide = (block, block) if isinstance(block, int) else block
    seeds = seeds_at((5 - high, 5 - wide), (1, 2) if wide < 3 else (1, 0))
    y = algorithm1(np.ones((1, 1, 4, 4)), block, 0.1, "training", seeds)
    assert ["".join(str(int(unit > 0)) for unit in row) for row in y[0, 0]] == picture


def test_r04_overlapping_blocks_drop_their_union() -> None:
    y = algorithm1(np.ones((1, 1, 6)), 3, 0.1, "training", seeds_at((4,), (0,), (2,)))
    assert y[0, 0].tolist() == [0, 0, 0, 0, 0, 6.0]


def test_r03_a_block_larger_than_the_map_is_the_map() -> None:
    a = np.ones((1, 2, 2, 3))
    seeds = np.array([True, False]).reshape(1, 2, 1, 1)
    y = algorithm1(a, 7, 0.1, "training", seeds)
    np.testing.assert_array_equal(y, a * 2 * [[[[0]], [[1]]]])


def test_r05_a_seed_zeroes_with_probability_gamma() -> None:
    a = np.ones((1, 1, 30, 30))
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(algorithm1(a, 3, 0.0, "training", rng), a)
    assert not algorithm1(a, 3, 1.0, "training", rng).any()


def test_r05_a_generator_samples_line_5_anchor_by_anchor() -> None:
    a = np.ones((2, 3, 4, 5))
    seeds = np.random.default_rng(7).random((2, 3, 3, 3)) < 0.2
    np.testing.assert_array_equal(
        algorithm1(a, (2, 3), 0.2, "training", np.random.default_rng(7)),
        algorithm1(a, (2, 3), 0.2, "training", seeds),
    )


def test_r11_keeps_the_exact_law_not_keep_prob() -> None:
    # 2,000 maps: the mean kept fraction of a map has a deviation of at most 1/2, so that of the mean is at most
    # 0.5 / sqrt(2000) = 0.0112, and 5 of these are 0.056. Seeds of another density or direction miss by more:
    # M ~ Bernoulli(gamma) read literally would keep 0.2 here at most. The sample is fixed by its seed.
    g = eq1(0.6, 2, 4)
    y = algorithm1(np.ones((1, 2000, 4, 4)), 2, g, "training", sample_seeds(0, 1, 2000, 4, 2, g))
    assert np.mean(y > 0) == pytest.approx(expected_keep(g, 2, 4), abs=0.056)


@pytest.mark.parametrize("mode", ["inference", "Inference", "INFERENCE"])
def test_r01_inference_returns_a_itself_and_samples_nothing(mode: str) -> None:
    a, rng = np.ones((1, 1, 4, 4)), np.random.default_rng(0)
    before = rng.bit_generator.state
    assert algorithm1(a, 2, 0.5, mode, rng) is a
    assert rng.bit_generator.state == before


def test_r07_a_dropped_unit_is_plus_zero_whatever_it_held() -> None:
    a = np.array([[[np.nan, np.inf, -np.inf, -1.0, -0.0, 2.0]]])
    y = algorithm1(a, 5, 0.1, "training", seeds_at((2,), (0,)))
    assert y[0, 0].tolist() == [0, 0, 0, 0, 0, 12.0]
    assert not np.signbit(y).any()


def test_r08_scales_by_count_over_count_ones_of_the_whole_tensor() -> None:
    seeds = np.concatenate([seeds_at((3,), (0,)), seeds_at((3,))])
    y = algorithm1(np.ones((2, 1, 4), np.float32), 2, 0.1, "training", seeds)
    assert y.tolist() == [[[0, 0, np.float32(8 / 6), np.float32(8 / 6)]], [[np.float32(8 / 6)] * 4]]


def test_r09_scales_in_float32_and_rounds_once_to_half_precision() -> None:
    a = np.full((1, 1, 10), 7.0, np.float16)
    y = algorithm1(a, 1, 0.1, "training", seeds_at((10,), (0,)))
    assert y.dtype == np.float16
    # 70 / 9 = 7.7778 lies nearest to float16's 7.77734375; with 10 / 9 rounded to float16 first it would be 7.78125.
    assert y[0, 0].tolist() == [0, *[7.77734375] * 9]


def test_r10_nothing_kept_gives_zeros() -> None:
    y = algorithm1(np.full((1, 1, 3, 3), np.nan), 3, 1.0, "training", np.ones((1, 1, 1, 1), bool))
    assert not y.any()


def test_a_is_left_alone_and_the_result_is_new() -> None:
    a = np.arange(16.0).reshape(1, 1, 4, 4)
    a.flags.writeable = False
    y = algorithm1(a, 2, 0.0, "training", np.zeros((1, 1, 3, 3), bool))
    assert not np.shares_memory(a, y)
    np.testing.assert_array_equal(y, a)
