"""Means, errors and paired differences over seeds, and the rule by which a claim is decided.

The rule was written before the first result. A claim says that a difference is above 0. The difference is taken within
each seed, so that what a seed does to both sides cancels. Then Student's t gives a 95% interval of its mean:

- the claim holds if the interval lies above 0,
- it does not hold if the interval lies below 0,
- it cannot be told if the interval contains 0,
- there are too few runs if there are fewer than `ENOUGH` pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from docs.experiments.results import Results

ENOUGH = 3
Value = Callable[[dict[str, Any]], float]  # of a result's metrics
Row = tuple[str, str]  # an experiment and a row of it


@dataclass(frozen=True)
class Summary:
    """Of some values: their mean, its standard error, and the half width of its 95% interval."""

    number: int
    mean: float
    error: float
    half_width: float


def summary(values: Sequence[float]) -> Summary | None:
    """None of fewer than two, which have no spread."""
    number = len(values)
    if number < 2:
        return None
    error = float(np.std(values, ddof=1) / number**0.5)
    return Summary(number, float(np.mean(values)), error, float(stdtrit(number - 1, 0.975)) * error)


def verdict(differences: Sequence[float]) -> str:
    summed = summary(differences) if len(differences) >= ENOUGH else None
    if summed is None:
        return "too few runs"
    if summed.mean > summed.half_width:
        return "holds"
    return "does not hold" if summed.mean < -summed.half_width else "cannot be told"


def values(results: Results, row: Row, value: Value) -> dict[int, float]:
    """A row's values by seed."""
    return {seed: value(result["metrics"]) for (*key, seed), result in results.items() if tuple(key) == row}


def paired(
    results: Results, row: Row, other: Row, value: Value, value_of_other: Value | None = None
) -> dict[int, float]:
    """`row` less `other`, for each seed that both have."""
    ours, theirs = values(results, row, value), values(results, other, value_of_other or value)
    return {seed: ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())}
