# SPDX-License-Identifier: Apache-2.0
"""Where DropBlock goes in a network: what a user may say, and the table that a plan is read as.

The adapters know their networks; this module knows the words, which are the same in each.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dropblock_core import validate


@dataclass(frozen=True)
class Where:
    """One answer to "where?". An adapter's subclass says what the names are names of."""

    names: str | int | tuple[str | int, ...]
    last: float = 1.0
    after: str = "norm"
    skip: bool = True
    share: float | None = None

    NAMED: ClassVar[str]  # what has these names, as in "modules"
    EXAMPLE: ClassVar[str]
    PARTS: ClassVar[str]  # what the last of are taken
    AFTER: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        names = self.names if isinstance(self.names, (tuple, list)) else (self.names,)
        rule = f"name {self.NAMED}, as in {self.EXAMPLE!r}, or number the paper's groups from 1 to 4"
        if not names or not all((isinstance(name, str) and name) or _is_group(name) for name in names):
            raise ValueError(f"{validate.shown('names', self.names)}: {rule}")
        rule = f"last is a fraction in (0, 1], a float, or how many of the {self.PARTS}, an int of at least 1"
        last = validate.real("last", self.last, rule)
        if not (last >= 1 and isinstance(self.last, int)) and not 0 < last <= 1:
            raise ValueError(f"{validate.shown('last', self.last)}: {rule}")
        if self.after not in self.AFTER:
            raise ValueError(f"{validate.shown('after', self.after)} is unknown: choose one of {', '.join(self.AFTER)}")
        object.__setattr__(self, "names", tuple(names))
        object.__setattr__(self, "skip", validate.flag("skip", self.skip))
        if self.share is not None:
            object.__setattr__(self, "share", validate.gamma_scale(self.share))

    @classmethod
    def wanted(cls, where: Any, groups: Any, skip: bool, calibrated: Any) -> list[Self]:
        """The answers that a user gave: `where`, or, where that is None, the paper's `groups`, in order."""
        if where is None:
            return [cls(number, skip=skip) for number in _group_numbers(groups, calibrated)]
        rule = f"where is a name such as {cls.EXAMPLE!r}, a Where, or a sequence of these"
        several = [where] if isinstance(where, (str, cls)) else where
        if not isinstance(several, Iterable):
            raise TypeError(f"{validate.shown('where', where)} is none: {rule}")
        answers = [cls(one, skip=skip) if isinstance(one, str) else one for one in several]
        if not answers or not all(isinstance(one, cls) for one in answers):
            raise TypeError(f"{validate.shown('where', where)}: {rule}")
        return answers

    def shares(self) -> list[tuple[str | int, float]]:
        """Each name, and the factor on gamma: ``1 / 4^(4 - g)`` for the paper's group g (section 4.1), else 1."""
        names = self.names if isinstance(self.names, tuple) else (self.names,)
        own = [4.0 ** (name - 4) if isinstance(name, int) else 1.0 for name in names]
        return list(zip(names, own if self.share is None else [self.share] * len(names), strict=True))

    def count(self, parts: int) -> int:
        """How many of so many parts are the last ones."""
        return self.last if isinstance(self.last, int) else math.ceil(round(self.last * parts, 9))


def _is_group(name: Any) -> bool:
    return isinstance(name, int) and not isinstance(name, bool) and 1 <= name <= 4


def _group_numbers(groups: Any, calibrated: Any) -> list[int]:
    """The paper's groups, in the network's order."""
    rule = "groups are the numbers of some of the groups 1 to 4 of residual blocks, each once, as in groups=(3, 4)"
    if isinstance(groups, str) or not isinstance(groups, Iterable):
        raise TypeError(f"{validate.shown('groups', groups)} is not a sequence of ints: {rule}")
    groups = list(groups)
    numbers = sorted({validate.integer("groups", group, rule) for group in groups})
    if not numbers or numbers[0] < 1 or numbers[-1] > 4 or len(numbers) < len(groups):
        raise ValueError(f"groups={tuple(groups)!r}: {rule}")
    if calibrated and numbers != [4]:
        raise ValueError(
            f"calibrated=True with groups={tuple(numbers)!r}: a group below 4 gets its share by gamma_scale, and a "
            "calibrated gamma leaves nothing to scale; pass groups=(4,), or calibrated=False"
        )
    return numbers


def some(names: Sequence[str]) -> str:
    """The first of the names that a model has, for a message."""
    return (", ".join(names[:12]) or "none") + ", ..." * (len(names) > 12)


HEADINGS = ("place", "where", "block", "keep_prob", "gamma_scale")


def cells(place: str, what: str, block_size: Any, keep_prob: float, gamma_scale: float) -> tuple[str, ...]:
    """A row of a plan's table, below :data:`HEADINGS`."""
    sides = str(block_size) if isinstance(block_size, int) else "x".join(map(str, block_size))
    return place, what, sides, f"{keep_prob:.4g}", f"{gamma_scale:.4g}"


def table(rows: Sequence[Sequence[str]], words: int) -> str:
    """Rows as text, the first `words` columns aligned at their beginning, the others at their end."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [str.ljust] * words + [str.rjust] * (len(widths) - words)
    return "\n".join(
        "  ".join(align(cell, width) for align, cell, width in zip(sides, row, widths, strict=True)) for row in rows
    )
