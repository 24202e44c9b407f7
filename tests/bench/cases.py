"""What is measured: shapes, contenders' names, and the targets of the design's section 6."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

OURS, FLOOR = "drop_block", "x * s (floor)"


class Case(NamedTuple):
    """Activations in NumPy's order, ``[samples, channels, *spatial]``, whatever order a framework keeps them in."""

    shape: tuple[int, ...]
    block: int
    keep_prob: float


CASES = [
    Case((32, 1024, 14, 14), 7, 0.9),
    Case((32, 2048, 7, 7), 7, 0.9),
    Case((8, 256, 56, 56), 7, 0.9),
    Case((16, 256, 80, 80), 5, 0.9),
    Case((4, 512, 64, 64), 16, 0.2),
]
# Of one unit, block 1 is dropout: the densest masks there are.
DENSE = [Case((32, 1024, 14, 14), 1, keep_prob) for keep_prob in (0.9, 0.5, 0.1)]

Contenders = dict[str, Callable[[], Any]]


class Target(NamedTuple):
    """`contender` takes at least (or ours at most) so many times as long."""

    contender: str
    at_least: float = 0.0
    at_most: float = float("inf")


@dataclass(frozen=True)
class Backend:
    """A framework run one way: `contenders` turns activations into calls that have finished when they return."""

    name: str
    contenders: Callable[[np.ndarray[Any, Any], Case], Contenders]
    targets: Mapping[Case, Sequence[Target]] = field(default_factory=dict)
    cases: Sequence[Case] = tuple(CASES)
