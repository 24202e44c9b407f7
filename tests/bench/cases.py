"""What is measured: shapes, contenders' names, and the targets of the design's section 6."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

OURS, FLOOR = "drop_block", "x * s (floor)"


class Case(NamedTuple):
    """Activations in NumPy's order, ``[samples, channels, *spatial]``, whatever order a framework keeps them in."""

    shape: tuple[int, ...]
    block: int
    keep_prob: float
    dtype: str = "float32"

    def __str__(self) -> str:
        dtype = "" if self.dtype == "float32" else f", {self.dtype}"
        return f"{list(self.shape)}, block {self.block}, keep_prob {self.keep_prob}{dtype}"


CASES = [
    Case((32, 1024, 14, 14), 7, 0.9),
    Case((32, 2048, 7, 7), 7, 0.9),
    Case((8, 256, 56, 56), 7, 0.9),
    Case((16, 256, 80, 80), 5, 0.9),
    Case((4, 512, 64, 64), 16, 0.2),
]
# Of one unit, block 1 is dropout: the densest masks there are.
DENSE = [Case((32, 1024, 14, 14), 1, keep_prob) for keep_prob in (0.9, 0.5, 0.1)]
OTHER_DTYPES = [CASES[0]._replace(dtype=dtype) for dtype in ("float64", "bfloat16", "float16")]
TINY = Case((2, 4, 8, 8), 3, 0.9)

Contenders = dict[str, Callable[[], Any]]


class Target(NamedTuple):
    """`contender` takes at least so many times as long, or ours at most so many times, or so much longer."""

    contender: str
    at_least: float = 0.0
    at_most: float = float("inf")
    or_more_by: float = 0.0  # milliseconds

    def met(self, ours: float, contender: float) -> bool:
        if self.at_least:
            return contender >= self.at_least * ours
        return ours <= max(self.at_most * contender, contender + self.or_more_by)

    def said(self, ours: float, contender: float) -> str:
        if self.at_least:
            return f"{contender / ours:.1f} times as fast as {self.contender}, target {self.at_least:g}"
        or_more_by = f", or {self.or_more_by:g} ms more" if self.or_more_by else ""
        return f"{ours / contender:.2f} times the {self.contender}, target {self.at_most:g}{or_more_by}"


@dataclass(frozen=True)
class Backend:
    """A framework run one way: `contenders` turns activations into calls that have finished when they return.

    A measurement is the mean of `repeats` calls, made `within` a context.
    """

    name: str
    contenders: Callable[[np.ndarray[Any, Any], Case], Contenders]
    targets: Mapping[Case, Sequence[Target]] = field(default_factory=dict)
    cases: Sequence[Case] = tuple(CASES)
    repeats: int = 1
    within: Callable[[], AbstractContextManager[Any]] = nullcontext
