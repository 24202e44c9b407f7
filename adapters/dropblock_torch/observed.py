# SPDX-License-Identifier: Apache-2.0
"""What a layer's last call in training dropped: noted as it is drawn, without waiting, and read when somebody asks."""

from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor

from dropblock_core.call import Call
from dropblock_torch.engines.plan import Mask


class Observed:
    """A layer's calls in training. A copy of a layer, or one that is loaded, begins anew.

    `calls` counts those that no compiled program made, `feat_size` is the map of the last one.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.in_program = False
        self.feat_size: tuple[int, ...] | None = None
        self.schedulers: WeakSet[Any] = WeakSet()
        self._call: Call | None = None
        self._dropped: Tensor | int | None = None
        self._bits: Tensor | None = None  # of a mask that nobody counted

    def __reduce__(self) -> Any:
        return Observed, ()

    @property
    def was_called(self) -> bool:
        return self.in_program or self.calls > 0

    def note(self, call: Call, mask: Mask | None) -> None:
        """A call, and what it drew: None where nothing is dropped."""
        self.calls += 1
        self.feat_size, self._call = call.segments.feat, call
        self._dropped = 0 if mask is None else mask.dropped
        self._bits = None if mask is None or mask.dropped is not None else mask.state

    def note_unseen(self, feat_size: Sequence[int]) -> None:
        """A call in a compiled program, a mode or a transform, whose counts may not outlive it."""
        self.feat_size, self._call, self._dropped, self._bits = tuple(feat_size), None, None, None
        if torch.compiler.is_compiling():  # a number that changed would be compiled anew
            self.in_program = True
        else:
            self.calls += 1

    @property
    def dropped_fraction(self) -> Tensor | None:
        """The share of the units that the last call dropped, 0-d on its device."""
        if self._call is None:
            return None
        dropped = torch.as_tensor(self._dropped).sum() if self._bits is None else _ones(self._bits)
        return dropped / max(1, self._call.samples * self._call.maps * self._call.segments.units)

    @property
    def expected_dropped_fraction(self) -> float | None:
        """What the exact law expects of that call; None if its keep_prob is on a device."""
        if self._call is None or self._call.keep_prob is None:
            return None
        return self._call.expected_dropped


def _ones(state: Tensor) -> Tensor:
    """The bits set in `state`, which nobody counted."""
    v = state - ((state >> 1) & 0x55)
    v = (v & 0x33) + ((v >> 2) & 0x33)
    return ((v + (v >> 4)) & 0x0F).sum()
