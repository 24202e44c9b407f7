"""Events of a map whose probability is known exactly (rule R11), and how to count them in a batch of masks."""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from dropblock_conformance.judging.configuration import Configuration
from dropblock_conformance.judging.inference import Event, one_seed, rate, seed_free
from dropblock_conformance.judging.statistical import Dropped, Measure, of_maps
from dropblock_core.law import cover_counts, joint_keep

UNTOUCHED = "a map left untouched"
ONE_BLOCK = "exactly one block dropped"


def per_map(event: Event, condition: Callable[[Dropped], Dropped]) -> Measure:
    """An event that every map has or has not."""

    def count(dropped: Dropped) -> list[tuple[int, int]]:
        holds = condition(dropped)
        return [(int(np.count_nonzero(holds)), holds.size)]

    return Measure((event,), count)


def touched(dropped: Dropped) -> Dropped:
    """Whether anything was dropped of each map, ``[calls, samples, channels]``."""
    flat = dropped.reshape(*dropped.shape[:3], -1)
    return np.asarray(flat.any(axis=-1))


def untouched_map(c: Configuration) -> Measure:
    event = seed_free(UNTOUCHED, c.gamma, c.anchors)
    return per_map(event, lambda dropped: ~touched(dropped))


def unit_kept(c: Configuration, unit: tuple[int, ...]) -> Measure:
    anchors = int(cover_counts(c.block, c.feat)[unit])
    event = seed_free(f"unit {unit} kept", c.gamma, anchors)
    return per_map(event, lambda dropped: ~of_maps(dropped, *unit))


def units_kept(c: Configuration, name: str, units: Sequence[tuple[int, ...]]) -> Measure:
    # joint_keep at gamma 1/2 is 2^-|union of the anchors|, exactly.
    anchors = round(-np.log2(joint_keep(0.5, c.block_size, c.feat, units)))

    def all_kept(dropped: Dropped) -> Dropped:
        return np.asarray(np.all([~of_maps(dropped, *unit) for unit in units], axis=0))

    return per_map(seed_free(f"{name} all kept", c.gamma, anchors), all_kept)


def only_block(c: Configuration, dropped: Dropped) -> Dropped:
    """Maps whose dropped units are one whole block, by its anchor: ``[maps, anchors]``, at most one True a map.

    The dropped set is one block if and only if there was one seed, for clipped and overlapping blocks alike.
    """
    maps = dropped.reshape(-1, *c.feat)
    units = maps.reshape(len(maps), -1).sum(axis=-1, dtype=np.int32)
    maps = maps[units == prod(c.block)]
    whole = [
        of_maps(maps, *(slice(a, a + b) for a, b in zip(anchor, c.block, strict=True))).all(
            axis=tuple(range(1, maps.ndim))
        )
        for anchor in np.ndindex(*(f - b + 1 for f, b in zip(c.feat, c.block, strict=True)))
    ]
    return np.stack(whole, axis=-1)


def exactly_one_block(c: Configuration) -> Measure:
    event = one_seed(ONE_BLOCK, c.gamma, c.anchors)
    return Measure((event,), lambda dropped: [(int(only_block(c, dropped).sum()), prod(dropped.shape[:3]))])


def anchor_of_one_block(c: Configuration) -> Measure:
    anchors = np.ndindex(*(f - b + 1 for f, b in zip(c.feat, c.block, strict=True)))
    events = tuple(rate(f"the block at {anchor}, of the maps with one block", 1 / c.anchors) for anchor in anchors)

    def count(dropped: Dropped) -> list[tuple[int, int]]:
        at = only_block(c, dropped).sum(axis=0)
        return [(int(here), int(at.sum())) for here in at]

    single = c.anchors * c.gamma * (1 - c.gamma) ** (c.anchors - 1)
    return Measure(events, count, trials_per_map=0.98 * single)  # the number of trials is itself left to chance
