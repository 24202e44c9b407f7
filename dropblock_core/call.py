"""What a call of drop_block means, once its arguments are checked: the front door that every backend shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from dropblock_core import validate
from dropblock_core.gamma import gamma
from dropblock_core.renorm import expected_factor, is_counted, scope_units
from dropblock_core.stream import Segments


@dataclass(frozen=True)
class Call:
    """The checked arguments of one call, for activations ``[samples, channels, *spatial]``."""

    keep_prob: float
    samples: int
    maps: int
    segments: Segments
    gamma: float
    gamma_scale: float
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
        per_channel: bool,
        renorm: str,
        gamma_scale: Any,
        calibrated: bool,
        seed: Any,
        sample_offset: Any,
        stream: Any,
        foreign: Mapping[str, Any],
    ) -> Self:
        """Check the arguments in the order they are written; ValueError or TypeError as rule R14 says."""
        validate.no_foreign_keywords(foreign)
        samples, channels, *feat = validate.activations(shape, dtype)
        keep_prob = validate.probability("keep_prob", keep_prob)
        block = validate.block_sides(block_size, feat)
        renorm = validate.renorm(renorm)
        gamma_scale = validate.gamma_scale(gamma_scale, calibrated=calibrated)
        return cls(
            keep_prob=keep_prob,
            samples=samples,
            maps=channels if per_channel else min(1, channels),
            segments=Segments.of(feat, block),
            gamma=gamma(keep_prob, block, tuple(feat), gamma_scale=gamma_scale, calibrated=calibrated),
            gamma_scale=gamma_scale,
            renorm=renorm,
            seed=None if seed is None else validate.seed_word(seed),
            sample_offset=validate.counter_word("sample_offset", sample_offset, span=samples),
            stream=validate.counter_word("stream", stream),
            is_empty=samples * channels == 0,
        )

    @property
    def drops_nothing(self) -> bool:
        """Whether the input itself is the answer, without drawing anything (rule R1)."""
        return self.keep_prob == 1.0 or self.is_empty

    @property
    def fixed_scale(self) -> float | None:
        """Line 8's factor where rule R8 takes it from no count: ``renorm="expected"`` and ``"none"``."""
        if is_counted(self.renorm):
            return None
        if self.renorm == "none":
            return 1.0
        return expected_factor(self.gamma, self.segments.block, self.segments.feat)

    @property
    def count(self) -> int:
        """count(M) of line 8 over the scope of `renorm`."""
        return int(scope_units(self.renorm, (self.samples, self.maps, *self.segments.feat)))
