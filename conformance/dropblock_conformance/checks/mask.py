# SPDX-License-Identifier: Apache-2.0
"""The shape of what is dropped, exactly (rules R3, R4, R6 and R7)."""

from collections.abc import Callable, Sequence

import numpy as np

from dropblock_conformance.checks.mode import SEEDABLE, SHARE
from dropblock_conformance.judging.batches import in_batches
from dropblock_conformance.judging.check import Context, Finding, Violation, check, claim
from dropblock_conformance.judging.dtypes import limits
from dropblock_conformance.judging.exact import (
    Setting,
    VacuousError,
    both,
    for_all,
    require_some,
    share,
    valid_settings,
)
from dropblock_conformance.judging.statistical import Dropped, of_maps
from dropblock_conformance.level import Severity
from dropblock_conformance.subject import Array
from dropblock_core import block_mask


def opening(dropped: Dropped, block: Sequence[int]) -> Dropped:
    """The union of all whole blocks inside the dropped units: equal to them just when they are made of blocks."""
    feat = dropped.shape[2:]
    whole = np.ones((*dropped.shape[:2], *(f - b + 1 for f, b in zip(feat, block, strict=True))), bool)
    for offset in np.ndindex(*block):
        whole &= of_maps(dropped, *(slice(o, o + v) for o, v in zip(offset, whole.shape[2:], strict=True)))
    return ~block_mask(whole, tuple(block), feat)


def require_blocks(setting: Setting, dropped: Dropped) -> None:
    stray = dropped & ~opening(dropped, setting.block)
    if stray.any():
        raise Violation(
            f"{int(stray.sum())} of {int(dropped.sum())} dropped units belong to no whole "
            f"{'x'.join(map(str, setting.block))} block inside the map",
            float(stray.sum() / dropped.sum()),
        )


def made_of_blocks(context: Context) -> Callable[[Setting], None]:
    def holds(setting: Setting) -> None:
        dropped = context.call(setting.ones(), **setting.arguments) == 0
        require_blocks(setting, dropped)
        if not dropped.any():
            raise VacuousError

    return holds


STRAY = "share of the dropped units that belong to no whole block, in the simplest setting found"


@check(
    "mask.blocks",
    title="What is dropped is made of whole blocks",
    rule="R4 · Algorithm 1 line 6, Fig. 2",
    effect=STRAY,
)
def blocks(context: Context) -> Finding:
    """The dropped units are a union of whole blocks inside the map, equal to their own opening. Blocks that hang over
    the border, holes in a block and stray units show, whatever the law.
    """
    holds = made_of_blocks(context)
    return both(for_all(context, valid_settings(context), holds), in_batches(context, holds))


@check(
    "mask.clipped",
    title="A block larger than the map is clipped to it",
    rule="R3 · section 4.1.1, block sizes 'covering full feature map'",
    effect=STRAY,
    needs=claim(lambda s: s.claims.clips, "does not claim to clip blocks larger than the map"),
    severity=Severity.SERIOUS,
)
def clipped(context: Context) -> Finding:
    """Where block_size exceeds an axis the block covers that axis, and the rest stays as it is."""
    return for_all(context, valid_settings(context, beyond_map=True), made_of_blocks(context))


@check(
    "mask.shared",
    title="Channels, or samples, share a mask where that is claimed",
    rule="R6 · section 3, 'a shared DropBlock mask across different feature channels'",
    effect=SHARE,
    needs=claim(lambda s: not (s.claims.per_channel and s.claims.per_sample), "claims that no maps share a mask"),
)
def shared(context: Context) -> Finding:
    """With per_channel=False all channels of a sample lose the same units; with per_sample=False all samples of a
    batch.
    """
    claims = context.subject.claims

    def holds(setting: Setting) -> None:
        dropped = context.call(setting.ones(), **setting.arguments) == 0
        for claimed, axis, what in ((claims.per_sample, 0, "samples"), (claims.per_channel, 1, "channels")):
            if not claimed and (other := dropped != dropped.take([0], axis)).any():
                raise Violation(f"{what} differ where one shared mask is claimed", share(other))
        require_some(dropped)

    return both(for_all(context, valid_settings(context), holds), in_batches(context, holds))


@check(
    "mask.ignores_values",
    title="The mask does not depend on the activations",
    rule="R6, R13 · Algorithm 1 line 5",
    effect=SHARE,
    needs=SEEDABLE,
)
def ignores_values(context: Context) -> Finding:
    """One seed drops the same units of two different inputs."""

    def holds(setting: Setting) -> None:
        one = context.call(setting.ones(), **setting.arguments) == 0
        other = context.call(setting.values(), **setting.arguments) == 0
        if (wrong := one != other).any():
            raise Violation("the mask depends on the activations", share(wrong))
        require_some(one)

    return for_all(context, valid_settings(context), holds)


@check(
    "values.dropped_zero",
    title="A dropped unit is +0, whatever it held",
    rule="R7 · Algorithm 1 line 7",
    effect="share of the dropped units that are not +0, in the simplest setting found",
    needs=SEEDABLE,
)
def dropped_is_zero(context: Context) -> Finding:
    """NaN, infinity and negative numbers are dropped like any other; multiplying by a mask of zeros keeps NaN, and
    makes -0 of negative numbers.
    """

    def holds(setting: Setting) -> None:
        dropped = context.call(setting.ones(), **setting.arguments) == 0
        require_some(dropped)
        largest = limits(setting.dtype)[1]
        answers = []
        for numbers, severity in (
            ((-1.0, -0.0, 2.0), Severity.WRONG),
            ((np.nan, -np.nan), Severity.HYGIENE),
            ((np.inf, -np.inf), Severity.HYGIENE),
            ((largest, -largest), Severity.HYGIENE),
        ):
            x = setting.values()
            x[dropped] = held = np.resize(numbers, int(dropped.sum())).astype(x.dtype)
            y = context.call(x, **setting.arguments, nan_is_an_answer=True)[dropped]
            _require_dropped(held, y, y != 0, severity)
            answers.append((held, y))
        for held, y in answers:  # after what is graver
            _require_dropped(held, y, np.signbit(y), Severity.COSMETIC)

    return both(for_all(context, valid_settings(context), holds), in_batches(context, holds))


def _require_dropped(held: Array, y: Array, wrong: Dropped, severity: Severity) -> None:
    if wrong.any():
        was, became = held[wrong][0], y[wrong][0]
        raise Violation(f"a dropped unit that held {was} came out as {became}, not +0", share(wrong), severity)
