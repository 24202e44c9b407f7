# SPDX-License-Identifier: Apache-2.0
"""The checked arguments of a call of drop_block, and what follows from them: every backend starts here."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from dropblock_core import validate
from dropblock_core.gamma import gamma as eq1
from dropblock_core.law import expected_keep
from dropblock_core.remembered import remembered, unflat
from dropblock_core.renorm import expected_factor, is_counted, scope_units
from dropblock_core.stream import Batch, Segments


@dataclass(frozen=True)
class Call:
    """The checked arguments of one call, for activations ``[samples, channels, *spatial]``.

    `keep_prob` is None where the host does not know its value. It cannot compute gamma then.
    """

    keep_prob: float | None
    samples: int
    maps: int
    segments: Segments
    gamma_scale: float
    calibrated: bool
    renorm: str
    seed: int | None
    sample_offset: int
    stream: int
    is_empty: bool

    @classmethod
    def checked(
        cls,
        shape: Sequence[int],
        dtype: Any,
        keep_prob: Any,
        block_size: Any,
        *,
        has_value: bool = True,
        per_channel: bool,
        renorm: str,
        gamma_scale: Any,
        calibrated: bool,
        seed: Any = None,
        sample_offset: Any,
        stream: Any,
    ) -> Self:
        """Check the arguments in the order they are written; ValueError or TypeError as rule R14 says.

        `has_value` is False for a keep_prob whose value the host does not know: that one is not looked at.
        """
        samples, channels, *feat = validate.activations(shape, dtype)
        keep_prob = validate.probability("keep_prob", keep_prob) if has_value else None
        block, renorm, gamma_scale = validate.options(block_size, len(feat), renorm, gamma_scale, calibrated=calibrated)
        per_channel, calibrated = validate.flag("per_channel", per_channel), validate.flag("calibrated", calibrated)
        return cls(
            keep_prob=keep_prob,
            samples=samples,
            maps=channels if per_channel else 1,
            segments=Segments.of(feat, validate.clipped(block, feat)),
            gamma_scale=gamma_scale,
            calibrated=calibrated,
            renorm=renorm,
            seed=None if seed is None else validate.seed_word(seed),
            sample_offset=validate.counter_word("sample_offset", sample_offset, span=samples),
            stream=validate.counter_word("stream", stream),
            is_empty=samples * channels == 0,
        )

    @cached_property
    def gamma(self) -> float:
        """Eq. (1)'s gamma, or the calibrated one. ValueError where keep_prob has no value."""
        if self.keep_prob is None:
            raise ValueError("keep_prob has no value on the host, so gamma cannot be computed there")
        block, feat = self.segments.block, self.segments.feat
        return eq1(self.keep_prob, block, feat, gamma_scale=self.gamma_scale, calibrated=self.calibrated)

    def batch(self, seed: int) -> Batch:
        """What the mask of this call depends on, drawn from `seed`."""
        return Batch(seed, self.samples, self.maps, self.segments, self.gamma, self.sample_offset, self.stream)

    @property
    def drops_nothing(self) -> bool:
        """Whether the input itself is the answer, without drawing anything (rule R1), as far as the host knows."""
        return self.keep_prob == 1.0 or self.is_empty

    @cached_property
    def fixed_scale(self) -> float | None:
        """Line 8's factor where it needs no count (``renorm="expected"`` and ``"none"``), else None."""
        if is_counted(self.renorm):
            return None
        if self.renorm == "none":
            return 1.0
        return expected_factor(self.gamma, self.segments.block, self.segments.feat)

    @property
    def expected_dropped(self) -> float:
        """The share of the units that the exact law expects to be dropped (rule R11)."""
        return 1.0 - expected_keep(self.gamma, self.segments.block, self.segments.feat)

    @cached_property
    def count(self) -> int:
        """count(M) of line 8 over the scope of `renorm`."""
        return int(scope_units(self.renorm, (self.samples, self.maps, *self.segments.feat)))


NO_VALUE = object()  # in place of a keep_prob whose value the host does not know


@remembered(trusted=2)  # shape and dtype are an array's own
def remembered_call(
    shape: Sequence[int],
    dtype: Any,
    keep_prob: Any,
    per_channel: bool,
    renorm: str,
    gamma_scale: Any,
    calibrated: bool,
    sample_offset: Any,
    stream: Any,
    *block_size: Any,
) -> Call:
    """:meth:`Call.checked`, once for the same arguments. `block_size` comes from :func:`remembered.flat`."""
    return Call.checked(
        shape,
        dtype,
        None if keep_prob is NO_VALUE else keep_prob,
        unflat(*block_size),
        has_value=keep_prob is not NO_VALUE,
        per_channel=per_channel,
        renorm=renorm,
        gamma_scale=gamma_scale,
        calibrated=calibrated,
        sample_offset=sample_offset,
        stream=stream,
    )
