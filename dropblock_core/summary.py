# SPDX-License-Identifier: Apache-2.0
"""Is it on? A table of a model's DropBlock layers: where they are, what they drop, and what looks wrong.

The adapters fill its rows; this module knows what to say of them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dropblock_core import validate
from dropblock_core.gamma import gamma
from dropblock_core.law import expected_keep

PATIENCE = 100  # calls, or steps of a schedule, after which a layer should have begun to drop


@dataclass(frozen=True)
class LayerSummary:
    """What is known of one layer. `feat_size` is None before its first call in training, and so is what needs it.

    `calls` counts those in training; None where a compiled program made them, which does not count. `dropped` is the
    share of the units that the last call dropped, None where nobody counted.
    """

    place: str
    keep_prob: float
    block_size: int | tuple[int, ...]
    feat_size: tuple[int, ...] | None
    calls: int | None
    dropped: float | None = None
    schedulers: int = 0
    gamma_scale: float = 1.0
    calibrated: bool = False
    is_training: bool = True

    @cached_property
    def gamma(self) -> float | None:
        """Eq. (1)'s gamma, or the calibrated one."""
        if self.feat_size is None:
            return None
        options: dict[str, Any] = {"gamma_scale": self.gamma_scale, "calibrated": self.calibrated}
        return gamma(self.keep_prob, self.block_size, self.feat_size, **options)

    @cached_property
    def expected(self) -> float | None:
        """The share that the exact law expects to be dropped."""
        if self.gamma is None or self.feat_size is None:
            return None
        return 1.0 - expected_keep(self.gamma, self.block_size, self.feat_size)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What looks wrong, a sentence each."""
        found = []
        if self.calls == 0:
            mode = "" if self.is_training else "; it is in evaluation now: call model.train()"
            found.append(f"never called in training, so it has dropped nothing{mode}")
        if self.keep_prob == 1.0 and (self.calls or 0) >= PATIENCE:
            found.append(
                f"keep_prob is 1 after {self.calls:,} calls, so it drops nothing: set keep_prob, or step its scheduler"
            )
        if self.schedulers > 1:
            found.append(f"{self.schedulers} schedulers set its keep_prob, and the last one wins: keep one")
        sides = validate.per_axis(self.block_size, len(self.feat_size or (0,)))
        if self.feat_size is not None and (block := validate.clipped(sides, self.feat_size)) != sides:
            whole = ": a seed drops the whole map" if block == self.feat_size else ""
            found.append(
                f"block_size={self.block_size} is clipped to {_product(block)} by a map of "
                f"{_product(self.feat_size)}{whole}"
            )
        if max(sides) == 1:
            found.append("block_size=1 is dropout, unit by unit")
        return tuple(found)


@dataclass(frozen=True)
class Summary:
    """The layers of a model, in its order; as text it is a table, and below it what looks wrong."""

    layers: tuple[LayerSummary, ...]

    def __str__(self) -> str:
        if not self.layers:
            return "There is no DropBlock layer, so nothing is dropped."
        table = [
            ("place", "map", "block", "keep_prob", "gamma", "expected", "dropped", "calls"),
            *map(_cells, self.layers),
        ]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))])
            for cells in table
        ]
        warnings = [f"{layer.place}: {warning}" for layer in self.layers for warning in layer.warnings]
        return "\n".join([*lines, *([""] if warnings else []), *warnings])

    __repr__ = __str__


def _cells(layer: LayerSummary) -> tuple[str, ...]:
    """A row of the table."""
    sides = layer.block_size
    return (
        layer.place,
        "?" if layer.feat_size is None else _product(layer.feat_size),
        str(sides) if isinstance(sides, int) else _product(sides),
        f"{layer.keep_prob:.4g}",
        "?" if layer.gamma is None else f"{layer.gamma:.3g}",
        "?" if layer.expected is None else f"{layer.expected:.1%}",
        "?" if layer.dropped is None else f"{layer.dropped:.1%}",
        "compiled" if layer.calls is None else f"{layer.calls:,}",
    )


def _product(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))
