# SPDX-License-Identifier: Apache-2.0
"""What is certified, what it says of itself, and what its owner already knows to deviate."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from dropblock_core.validate import RENORMS

Array = npt.NDArray[Any]

DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Claims:
    """What an implementation says of itself. What is not claimed is not applicable, never a pass by silence.

    Args:
        per_channel: every channel has its own mask (the paper's Algorithm 1); False: a sample's channels share one.
        per_sample: every sample has its own; False: a batch shares one, and the law is judged by a sample a call.
        renorm: scope of line 8's count: ``"tensor"``, ``"sample"``, ``"map"``, ``"expected"`` or ``"none"``.
        spatial: spatial ranks it takes, out of 1, 2, 3.
        dtypes: dtypes it takes, out of float16, bfloat16, float32, float64.
        even_blocks: it takes an even block_size.
        clips: it takes a block larger than the map, and clips it.
        seedable: the same seed gives the same mask.
        non_square: it takes maps whose sides differ. Eq. (1) is for square ones.
        keep_prob_zero: it takes keep_prob 0.

    Raises:
        ValueError: a claim nobody can check; the message says what can be claimed.
    """

    per_channel: bool = True
    renorm: str = "tensor"
    spatial: tuple[int, ...] = (2,)
    dtypes: tuple[str, ...] = ("float32",)
    even_blocks: bool = True
    clips: bool = True
    seedable: bool = True
    per_sample: bool = True
    non_square: bool = True
    keep_prob_zero: bool = True

    def __post_init__(self) -> None:
        if self.renorm not in RENORMS:
            raise ValueError(f"renorm={self.renorm!r} is unknown: claim one of {', '.join(map(repr, RENORMS))}")
        for name, allowed in (("spatial", (1, 2, 3)), ("dtypes", DTYPES)):
            claimed = getattr(self, name)
            if not isinstance(claimed, (tuple, list)) or not claimed or not set(claimed) <= set(allowed):
                raise ValueError(f"{name}={claimed!r}: claim a non-empty tuple out of {allowed}")

    @property
    def law_dtype(self) -> str:
        """The dtype in which the law is tested where a check names none."""
        return "float32" if "float32" in self.dtypes else self.dtypes[0]

    @property
    def law_rank(self) -> int:
        """The spatial rank in which the law is tested where a check names none: the paper's, or the nearest to it."""
        return min(self.spatial, key=lambda rank: abs(rank - 2))

    @property
    def dtypes_and_ranks(self) -> list[tuple[str, int]]:
        """Each dtype and each spatial rank once, with the law's rank or dtype: not all pairs, as each may compile."""
        others = [(self.law_dtype, rank) for rank in self.spatial if rank != self.law_rank]
        return [(dtype, self.law_rank) for dtype in self.dtypes] + others


@dataclass(frozen=True)
class Subject:
    """A DropBlock to certify, behind functions of NumPy arrays.

    Args:
        name: what reports call it.
        call: ``call(x, *, keep_prob, block_size, training, seed)`` takes and returns a NumPy array
            ``[samples, channels, *spatial]``. `seed` is an int in [0, 2^31) to be turned into the subject's own
            seeding; `block_size` is an int.
        claims: what it says of itself.
        grad: ``grad(x, dy, *, keep_prob, block_size, seed)`` returns ``(y, dx)`` of one training call, where dx is the
            gradient of ``sum(y * dy)``; None: no gradient is claimed.
        schedule: ``schedule(keep_prob, steps)`` returns the values of keep_prob in use at steps 0 to `steps`. Return an
            iterator (a generator function does) and the suite will call the subject between two steps, in training and
            in evaluation, to see that neither moves the schedule; None: no schedule is claimed.
        compiles: each new shape, block_size or dtype costs a compilation; the exact checks of a run then share few.
    """

    name: str
    call: Callable[..., Array]
    claims: Claims = field(default_factory=Claims)
    grad: Callable[..., tuple[Array, Array]] | None = None
    schedule: Callable[[float, int], Iterable[float]] | None = None
    compiles: bool = False


@dataclass(frozen=True)
class Deviation:
    """A deviation its owner knows of: declared by check, with a reason, and bounded so that it hides nothing else.

    Args:
        check: exact id of the check that deviates.
        reason: why, for the report's reader.
        effect: (lowest, highest) effect this declaration covers; each check says in ``explain`` what its effect is.
        raises: instead of an effect, the type of the exception (or its name) the subject raises.
        reproduce: a command that shows it without this suite, for the report's reader.

    Raises:
        ValueError: not exactly one of `effect` and `raises`, one that covers anything, or an empty reason.
    """

    check: str
    reason: str
    effect: tuple[float, float] | None = None
    raises: type[BaseException] | str | None = None
    reproduce: str | None = None

    def __post_init__(self) -> None:
        bound = self.effect
        if (bound is None) == (self.raises is None):
            raise ValueError(f"Deviation({self.check!r}): give a bound on the effect or an exception type, one of them")
        if bound is not None and not (isinstance(bound, (tuple, list)) and bound[0] <= bound[1]):
            raise ValueError(f"Deviation({self.check!r}): effect={bound!r} is no (lowest, highest) effect")
        if bound is not None and not all(math.isfinite(end) for end in bound):
            raise ValueError(f"Deviation({self.check!r}): effect={bound!r} has no bound, so it would cover anything")
        if self.raises in (Exception, BaseException, "Exception", "BaseException"):
            raise ValueError(f"Deviation({self.check!r}): raises={self.raises!r} covers any failure: name its type")
        if not self.reason.strip():
            raise ValueError(f"Deviation({self.check!r}) has no reason: say why it deviates")

    def covers(self, effect: float) -> bool:
        return self.effect is not None and self.effect[0] <= effect <= self.effect[1]

    def covers_exception(self, error: BaseException) -> bool:
        names = {cls.__name__ for cls in type(error).__mro__}
        wanted = self.raises if isinstance(self.raises, str) or self.raises is None else self.raises.__name__
        return wanted in names


def from_json(data: dict[str, Any]) -> dict[str, Any]:
    """The fields of claims, or of a deviation, where JSON has lists for their tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
