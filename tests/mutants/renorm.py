"""Faults of renormalisation."""

from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant


@mutant("the scale is 1 / keep_prob", "scale.claimed")
class ScaleByKeepProb(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return 1 / keep_prob if keep_prob else 0.0


@mutant("the count runs over each sample where the tensor is claimed", "scale.claimed")
class ScalePerSample(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        axes = tuple(range(1, x.ndim))
        ones = np.count_nonzero(~dropped, axis=axes, keepdims=True)
        return dropped[0].size / np.maximum(ones, 1)


@mutant("the count counts the padding too", "scale.claimed")
class CountsOneTooMany(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return (dropped.size + 1) / max(1, np.count_nonzero(~dropped))


@mutant("1e-6 is added to the count, lest it be 0", "scale.claimed")
class CountsAnEpsilonMore(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return dropped.size / (np.count_nonzero(~dropped) + 1e-6)


class CountsIn(Honest):
    """Counts by adding ones in the activations' dtype."""

    counted_in: str

    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        if x.dtype != self.counted_in:
            return super().scale(dropped, keep_prob, x)
        with np.errstate(over="ignore"):  # beyond its range a dtype has infinity
            ones = np.asarray(np.count_nonzero(~dropped), np.float64).astype(x.dtype)
        return float(np.float64(dropped.size) / np.float64(ones))


@mutant("the count is held in float16: from 65,520 kept units on the output is all zeros", "scale.float16")
class CountsInFloat16(CountsIn):
    counted_in = "float16"


@mutant("the count is held in bfloat16", "scale.bfloat16")
class CountsInBfloat16(CountsIn):
    counted_in = "bfloat16"


@mutant("the count adds ones in float32 and stops at 2^24", "scale.large")
class CountStops(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        return dropped.size / max(1, min(2**24, np.count_nonzero(~dropped)))


@mutant("NaN where nothing is kept: 0 / 0", "values.nothing_kept")
class NothingKeptIsNan(Honest):
    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        ones = np.count_nonzero(~dropped)
        return dropped.size / ones if ones else np.inf

    def apply(self, x: Array, dropped: Array, scale: Any) -> Array:
        return super().apply(x, dropped, scale) if np.isfinite(scale) else np.full_like(x, np.nan)

    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        return np.nan_to_num(y), np.nan_to_num(dx)
