"""Scales that are wrong: of what is counted, and over what, for every scope that can be claimed."""

from math import prod
from typing import Any

import numpy as np

from dropblock_conformance import Claims
from dropblock_conformance.subject import DTYPES
from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild
from tests.mutants.wild.hooks import Seeing, scaled

SAMPLE = Claims(renorm="sample", dtypes=DTYPES)
MAP = Claims(renorm="map", dtypes=DTYPES)
EXPECTED = Claims(renorm="expected", dtypes=DTYPES)
NONE = Claims(renorm="none", dtypes=DTYPES)


def over(dropped: Array, first: int) -> Array:
    """Count over ones, of each index of the axes before `first`."""
    axes = tuple(range(first, dropped.ndim))
    ones = np.count_nonzero(~dropped, axis=axes, keepdims=True)
    return np.where(ones, prod(dropped.shape[first:]) / np.maximum(ones, 1), 0.0)


class BySample(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return over(dropped, 1)


class ByMap(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return over(dropped, 2)


class Expected(Seeing):
    def share(self, keep_prob: float, x: Array) -> Array:
        """The probability that a unit is kept, for each."""
        feat, gamma = x.shape[2:], self.gamma(keep_prob, self.size, x.shape[2:])
        anchors = np.ones(())
        for f, b in zip(feat, self.size, strict=True):
            unit = np.arange(f)
            anchors = np.multiply.outer(anchors, np.minimum(unit, f - b) - np.maximum(unit - b + 1, 0) + 1)
        return np.asarray((1 - gamma) ** anchors)

    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        share = self.share(keep_prob, x).mean()
        return 1 / share if share else 0.0


class Unscaled(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return 1.0


@scaled("of 32 samples and more, only the first half is counted")
def counts_half_the_batch(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return Honest().scale(dropped[: len(dropped) // 2], keep_prob, x) if len(dropped) >= 32 else right


@scaled("of 16 samples and more, each half is scaled by its own count, as on two devices")
def two_devices(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    half = len(dropped) // 2
    if half < 8:
        return right
    scale = np.ones((len(dropped), *(1,) * (dropped.ndim - 1)))
    for part in (slice(None, half), slice(half, None)):
        scale[part] = Honest().scale(dropped[part], keep_prob, x)
    return scale


@scaled("only the first 64 channels are counted")
def counts_64_channels(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return Honest().scale(dropped[:, :64], keep_prob, x) if dropped.shape[1] > 64 else right


@scaled("the number of kept units is held in 16 bits")
def counts_in_16_bits(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    ones = np.count_nonzero(~dropped) % 2**16
    return dropped.size / ones if ones else 0.0


@scaled("more than 2^18 kept units are counted as 2^18")
def counts_to_2_to_18(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    ones = np.count_nonzero(~dropped)
    return dropped.size / min(ones, 2**18) if ones else 0.0


@scaled("the scale has three decimals")
def three_decimals(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return round(float(right), 3)


@scaled("the scale is never more than 4")
def scale_up_to_four(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return min(right, 4.0)


@scaled("the last row of a map is not counted")
def last_row_uncounted(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return Honest().scale(dropped[:, :, :-1], keep_prob, x) if dropped.shape[2] > 1 else right


@scaled("maps of which nothing is kept are not counted")
def dropped_maps_uncounted(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    counted = dropped[~dropped.all(axis=tuple(range(2, dropped.ndim)))]
    return Honest().scale(counted, keep_prob, x) if counted.size else right


@scaled("a single sample is scaled map by map")
def one_sample_by_map(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return over(dropped, 2) if len(dropped) == 1 else right


@scaled("a single channel is scaled sample by sample")
def one_channel_by_sample(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return over(dropped, 1) if dropped.shape[1] == 1 else right


@scaled("the scale of float16 tensors is never more than 2")
def half_scaled_up_to_two(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return min(right, 2.0) if x.dtype == np.float16 else right


@scaled("the scale of float64 tensors is rounded to float32")
def float64_scaled_by_float32(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return np.float32(right) if x.dtype == np.float64 else right


@scaled("the scale is the inverse of keep_prob where more than half is kept")
def by_keep_prob_above_half(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return 1 / keep_prob if keep_prob > 0.5 and np.count_nonzero(dropped) else right


@scaled("channels that hold nothing but 0 are not counted")
def empty_channels_uncounted(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    with_something = (x != 0).any(axis=tuple(range(2, x.ndim)))
    return Honest().scale(dropped[with_something], keep_prob, x) if with_something.any() else right


@scaled("samples that hold nothing but 0, as padding does, are not counted")
def padding_uncounted(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    with_something = (x != 0).any(axis=tuple(range(1, x.ndim)))
    return Honest().scale(dropped[with_something], keep_prob, x) if with_something.any() else right


@scaled("units that hold NaN are not counted")
def nan_uncounted(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    counted = dropped[~np.isnan(x)]
    return Honest().scale(counted, keep_prob, x) if counted.size else right


@scaled("the scale keeps the sum of the activations, not their number")
def keeps_the_sum(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    size = np.abs(x.astype(np.float64))
    total, rest = size.sum(), size[~dropped].sum()
    return total / rest if rest and np.isfinite(total) else right


# The scopes that are seldom claimed.


@scaled("samples from 16 on have the scale of the one 16 before", SAMPLE, BySample)
def scales_of_16_samples(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return right[np.arange(len(right)) % 16]


@scaled("the last sample has the scale of the tensor where the sample's is claimed", SAMPLE, BySample)
def last_sample_by_tensor(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    if len(right) > 1:
        right[-1] = over(dropped, 0).item()
    return right


@scaled("more than 8 channels are scaled by the tensor where the sample is claimed", SAMPLE, BySample)
def wide_samples_by_tensor(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return over(dropped, 0) if dropped.shape[1] > 8 else right


@scaled("samples of which less than a tenth is kept are not scaled", SAMPLE, BySample)
def sparse_samples(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return np.where(right > 10, 1.0, right)


@scaled("channels from 32 on have the scale of the one 32 before", MAP, ByMap)
def scales_of_32_channels(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return right[:, np.arange(right.shape[1]) % 32]


@scaled("the scale of a map is never more than 3", MAP, ByMap)
def map_scale_up_to_three(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return np.minimum(right, 3.0)


@scaled("from 32 samples on, all maps of a sample have its scale where the map's is claimed", MAP, ByMap)
def large_maps_by_sample(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return over(dropped, 1) if len(dropped) >= 32 else right


@wild("the expected share is that of a unit in the middle", "values")
class ExpectedInTheMiddle(Expected):
    claims = EXPECTED

    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        share = self.share(keep_prob, x).min()
        return 1 / share if share else 0.0


@scaled("the expected share is taken for keep_prob", EXPECTED, Expected)
def expected_is_keep_prob(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return 1 / keep_prob if keep_prob else right


@scaled("from 16 samples on the counted scale is used where the expected one is claimed", EXPECTED, Expected)
def large_batches_counted(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return over(dropped, 0) if len(dropped) >= 16 else right


@scaled("from 32 samples on there is a scale where none is claimed", NONE, Unscaled)
def large_batches_scaled(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return over(dropped, 0) if len(dropped) >= 32 else right


@scaled("float16 is scaled where no scale is claimed", NONE, Unscaled)
def half_scaled(dropped: Array, keep_prob: float, x: Array, right: Any) -> Any:
    return over(dropped, 0) if x.dtype == np.float16 else right
