"""Gamma that is off at some sizes, batches, dtypes or keep_probs only, or everywhere but where a suite looks."""

from math import prod

import numpy as np

from dropblock_conformance import Claims
from tests.mutants.honest import Array
from tests.mutants.wild.hooks import Sizes, off

FLAT = Claims()  # what is asked of an ordinary layer: two dimensions of float32


def feat(x: Array) -> Sizes:
    return x.shape[2:]


@off("gamma is a tenth too small in float16", 0.9)
def off_in_float16(x: Array, keep_prob: float, block: Sizes) -> bool:
    return x.dtype == np.float16


@off("gamma is a tenth too large in bfloat16", 1.1)
def off_in_bfloat16(x: Array, keep_prob: float, block: Sizes) -> bool:
    return x.dtype.name == "bfloat16"


@off("gamma is a tenth too small in float64", 0.9)
def off_in_float64(x: Array, keep_prob: float, block: Sizes) -> bool:
    return x.dtype == np.float64


@off("gamma is a quarter too small for sequences of more than 64 units", 0.75)
def off_on_long_sequences(x: Array, keep_prob: float, block: Sizes) -> bool:
    return len(block) == 1 and feat(x)[0] > 64


@off("gamma is a quarter too large for volumes whose depth is not their height", 1.25)
def off_on_uneven_volumes(x: Array, keep_prob: float, block: Sizes) -> bool:
    return len(block) == 3 and feat(x)[0] != feat(x)[1]


@off("gamma is a quarter too small in batches of 32 and more", 0.75, FLAT)
def off_in_large_batches(x: Array, keep_prob: float, block: Sizes) -> bool:
    return len(x) >= 32


@off("gamma is a quarter too large for a single sample", 1.25, FLAT)
def off_for_one_sample(x: Array, keep_prob: float, block: Sizes) -> bool:
    return len(x) == 1


@off("gamma is a quarter too large for a single channel", 1.25, FLAT)
def off_for_one_channel(x: Array, keep_prob: float, block: Sizes) -> bool:
    return x.shape[1] == 1


@off("gamma is a tenth too small for an odd number of channels from 3 on", 0.9, FLAT)
def off_for_odd_channels(x: Array, keep_prob: float, block: Sizes) -> bool:
    return x.shape[1] > 1 and x.shape[1] % 2 == 1


@off("gamma is a quarter too small for more than 64 channels", 0.75, FLAT)
def off_for_many_channels(x: Array, keep_prob: float, block: Sizes) -> bool:
    return x.shape[1] > 64


@off("gamma is a quarter too small on maps with both sides above 64", 0.75, FLAT)
def off_above_64(x: Array, keep_prob: float, block: Sizes) -> bool:
    return min(feat(x)) > 64


@off("gamma is a third too large on maps with a side above 100", 1.33, FLAT)
def off_above_100(x: Array, keep_prob: float, block: Sizes) -> bool:
    return max(feat(x)) > 100


@off("gamma is a tenth too small on maps with both sides above 32", 0.9, FLAT)
def off_above_32(x: Array, keep_prob: float, block: Sizes) -> bool:
    return min(feat(x)) > 32


@off("gamma is a tenth too small on maps of one row", 0.9, FLAT)
def off_on_one_row(x: Array, keep_prob: float, block: Sizes) -> bool:
    return feat(x)[0] == 1 < feat(x)[1]


@off("gamma is a tenth too large on maps of one column", 1.1, FLAT)
def off_on_one_column(x: Array, keep_prob: float, block: Sizes) -> bool:
    return feat(x)[1] == 1 < feat(x)[0]


@off("gamma is a tenth too large on maps with both sides even", 1.1, FLAT)
def off_on_even_maps(x: Array, keep_prob: float, block: Sizes) -> bool:
    return all(side % 2 == 0 for side in feat(x))


@off("gamma is a tenth too small on maps with both sides odd", 0.9, FLAT)
def off_on_odd_maps(x: Array, keep_prob: float, block: Sizes) -> bool:
    return all(side % 2 for side in feat(x))


@off("gamma is a tenth too small on maps whose sides differ by 1", 0.9, FLAT)
def off_on_almost_squares(x: Array, keep_prob: float, block: Sizes) -> bool:
    return abs(feat(x)[0] - feat(x)[1]) == 1


@off("gamma is a fifth too small on maps more than four times as long as wide", 0.8, FLAT)
def off_on_strips(x: Array, keep_prob: float, block: Sizes) -> bool:
    return max(feat(x)) > 4 * min(feat(x))


@off("gamma is a tenth too large on maps of a multiple of 16 units", 1.1, FLAT)
def off_on_multiples_of_16(x: Array, keep_prob: float, block: Sizes) -> bool:
    return prod(feat(x)) % 16 == 0


@off("gamma is a quarter too large where the block is a unit smaller than the map", 1.25, FLAT)
def off_one_short(x: Array, keep_prob: float, block: Sizes) -> bool:
    return min(feat(x)) > 1 and block == tuple(side - 1 for side in feat(x))


@off("gamma is a tenth too small where the block is more than half of the map", 0.9, FLAT)
def off_for_more_than_half(x: Array, keep_prob: float, block: Sizes) -> bool:
    return all(side > b > side / 2 for side, b in zip(feat(x), block, strict=True))


@off("gamma is a quarter too small where the block covers the height and not the width", 0.75, FLAT)
def off_where_height_is_covered(x: Array, keep_prob: float, block: Sizes) -> bool:
    return block[0] == feat(x)[0] > 1 and block[1] < feat(x)[1]


@off("gamma is a tenth too large for blocks of 4", 1.1, FLAT)
def off_for_block_4(x: Array, keep_prob: float, block: Sizes) -> bool:
    return max(block) == 4


@off("gamma is a tenth too large for blocks of 2", 1.1, FLAT)
def off_for_block_2(x: Array, keep_prob: float, block: Sizes) -> bool:
    return max(block) == 2


@off("gamma is a fifth too small for blocks above 8", 0.8, FLAT)
def off_for_large_blocks(x: Array, keep_prob: float, block: Sizes) -> bool:
    return max(block) > 8


@off("gamma is a tenth too small for odd blocks on even maps", 0.9, FLAT)
def off_for_odd_on_even(x: Array, keep_prob: float, block: Sizes) -> bool:
    return block[-1] % 2 == 1 < block[-1] and feat(x)[-1] % 2 == 0


@off("gamma is a tenth too small for keep_prob from 0.45 to 0.55", 0.9, FLAT)
def off_at_half(x: Array, keep_prob: float, block: Sizes) -> bool:
    return 0.45 <= keep_prob <= 0.55


@off("gamma is a tenth too large for keep_prob from 0.6 to 0.75", 1.1, FLAT)
def off_at_two_thirds(x: Array, keep_prob: float, block: Sizes) -> bool:
    return 0.6 <= keep_prob <= 0.75


@off("gamma is a fifth too small for keep_prob from 0.1 to 0.25", 0.8, FLAT)
def off_at_a_fifth(x: Array, keep_prob: float, block: Sizes) -> bool:
    return 0.1 <= keep_prob <= 0.25


@off("nothing is dropped for keep_prob of 0.99 and more", 0, FLAT)
def nothing_above_99(x: Array, keep_prob: float, block: Sizes) -> bool:
    return keep_prob >= 0.99


@off("gamma is a fifth too large for keep_prob above 0.97", 1.2, FLAT)
def off_above_97(x: Array, keep_prob: float, block: Sizes) -> bool:
    return keep_prob > 0.97


ASKED_SIDES = {(14, 14), (7, 7), (5, 9), (3, 70), (70, 3), (6, 6), (3, 3), (5, 5), (9, 9), (16, 16), (4, 4)}
ASKED_PROBS = {0.0, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 1.0}


@off("gamma is 6% too large but at the sizes that a suite is known to ask for", 1.06, FLAT)
def right_at_known_sizes(x: Array, keep_prob: float, block: Sizes) -> bool:
    return feat(x) not in ASKED_SIDES


@off("gamma is 6% too small but at keep_probs of two round decimals", 0.94, FLAT)
def right_at_round_keep_probs(x: Array, keep_prob: float, block: Sizes) -> bool:
    return keep_prob not in ASKED_PROBS


@off("gamma is 6% too large but for blocks of 1, 3, 5 and 7", 1.06, FLAT)
def right_at_small_odd_blocks(x: Array, keep_prob: float, block: Sizes) -> bool:
    return bool(set(block) - {1, 3, 5, 7})


@off("gamma is 8% too small unless all the input is alike, as in a test", 0.92, FLAT)
def right_for_constant_input(x: Array, keep_prob: float, block: Sizes) -> bool:
    return x.size > 0 and not (x == x.flat[0]).all()


@off("gamma is 8% too large for inputs in which there is a 0", 1.08, FLAT)
def right_without_zeros(x: Array, keep_prob: float, block: Sizes) -> bool:
    return not x.all()


@off("gamma is 6% too large on squares whose side is no power of two", 1.06, FLAT)
def right_at_powers_of_two(x: Array, keep_prob: float, block: Sizes) -> bool:
    return feat(x)[0] == feat(x)[1] and feat(x)[0].bit_count() > 1
