# SPDX-License-Identifier: Apache-2.0
"""What a law is measured at: one setting of DropBlock on one size of map."""

from dataclasses import dataclass
from math import prod

from dropblock_core import gamma


@dataclass(frozen=True)
class Configuration:
    """One setting of DropBlock on one size of map."""

    feat: tuple[int, ...]
    block_size: int
    keep_prob: float

    @property
    def block(self) -> tuple[int, ...]:
        return tuple(min(self.block_size, f) for f in self.feat)

    @property
    def gamma(self) -> float:
        return gamma(self.keep_prob, self.block_size, self.feat)

    @property
    def anchors(self) -> int:
        """S, the number of anchors of a map."""
        return prod(f - b + 1 for f, b in zip(self.feat, self.block, strict=True))

    def __str__(self) -> str:
        return f"{'x'.join(map(str, self.feat))}, block {self.block_size}, keep_prob {self.keep_prob:g}"
