# SPDX-License-Identifier: Apache-2.0
"""What a layer's last call in training dropped: drawn again when somebody asks.

A mask is a function of its seed, and the layer's ``SeedGenerator`` counts the calls, in compiled programs too. So
nothing has to be noted in training but the map, which is known when a program is traced.
"""

from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import numpy as np

from dropblock_core.call import Call
from dropblock_core.mask import dropped_units


class Observed:
    """What the last trace of a layer in training saw. A copy of the layer begins anew.

    `shape` is ``[samples, channels, *spatial]``, with None for what was not known.
    """

    def __init__(self) -> None:
        self.shape: tuple[int | None, ...] | None = None
        self.schedulers: WeakSet[Any] = WeakSet()

    def __reduce__(self) -> Any:
        return Observed, ()

    def note(self, shape: Sequence[int | None], data_format: str) -> None:
        """A call with inputs of `shape`, in the order of `data_format`."""
        samples, *sizes = shape
        self.shape = (samples, *sizes) if data_format == "channels_first" else (samples, sizes[-1], *sizes[:-1])

    @property
    def feat_size(self) -> tuple[int, ...] | None:
        """The map, if all its sizes were known."""
        feat = () if self.shape is None else self.shape[2:]
        return tuple(f for f in feat if f is not None) if feat and None not in feat else None

    def call(self, keep_prob: float, options: dict[str, Any]) -> Call | None:
        """That call, at this keep_prob; of its first sample, if the batch was not known."""
        if self.shape is None or self.feat_size is None or self.shape[1] is None:
            return None
        samples = 1 if self.shape[0] is None else self.shape[0]
        shape = samples, self.shape[1], *self.feat_size
        return Call.checked(shape, np.dtype(np.float32), keep_prob, **options, sample_offset=0, stream=0)


def dropped_fraction(call: Call, words: Sequence[int]) -> float:
    """The share of the units that the mask of the seed `words` drops."""
    return 0.0 if call.drops_nothing else float(dropped_units(call.batch(words[0] | words[1] << 32)).mean())
