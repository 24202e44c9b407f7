# SPDX-License-Identifier: Apache-2.0
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


def cover(c: Configuration, axis: int, index: int) -> int:
    """How many anchors of an axis cover a unit at `index`."""
    return min(index, c.feat[axis] - c.block[axis]) - max(0, index - c.block[axis] + 1) + 1


def spaced(c: Configuration, axis: int) -> list[int]:
    """Indices of an axis, each covered by anchors of its own, and all by as many; the middle one if none is inside."""
    side, block = c.feat[axis], c.block[axis]
    return list(range(block - 1, side - block + 1, block)) or [(side - 1) // 2]


def units_apart(c: Configuration, coarser: float = 1.0) -> Measure:
    """Units that no block holds two of: each is kept or not whatever the others are, so each is a trial."""
    return _grid(c, "a unit inside kept", [spaced(c, axis) for axis in range(len(c.feat))], coarser)


def border(c: Configuration, axis: int, coarser: float = 1.0) -> Measure:
    """The same along both ends of an axis."""
    ends = [0, c.feat[axis] - 1] if c.feat[axis] > c.block[axis] else [0]
    grid = [ends if other == axis else spaced(c, other) for other in range(len(c.feat))]
    return _grid(c, f"a unit at the ends of axis {axis} kept", grid, coarser)


def _grid(c: Configuration, name: str, grid: list[list[int]], coarser: float) -> Measure:
    anchors = prod(cover(c, axis, indices[0]) for axis, indices in enumerate(grid))
    event = seed_free(name, c.gamma, anchors)

    def count(dropped: Dropped) -> list[tuple[int, int]]:
        units = dropped
        for axis, indices in enumerate(grid):
            units = units.take(indices, axis - len(grid))
        return [(int(units.size - np.count_nonzero(units)), units.size)]

    return Measure((event,), count, float(prod(map(len, grid))), coarser)


def at_each_place(c: Configuration, axis: int, places: int, what: str, coarser: float) -> Measure:
    """The share of the maps with something dropped that lies at each sample, or each channel, of a batch in turn.

    Whatever gamma is, the shares are equal. They vary less than a binomial count does, so what is judged is on the safe
    side: an accusation is rarer than promised.
    """
    events = tuple(rate(f"{what} {place}, of the maps with a block", 1 / places) for place in range(places))

    def count(dropped: Dropped) -> list[tuple[int, int]]:
        at = np.moveaxis(touched(dropped), axis, 0).reshape(places, -1).sum(axis=1)
        return [(int(here), int(at.sum())) for here in at]

    return Measure(events, count, 0.98 * (1 - (1 - c.gamma) ** c.anchors), coarser)


def each_unit_kept(c: Configuration, coarser: float) -> Measure:
    """Every unit of the map, by itself."""
    covered = cover_counts(c.block, c.feat)
    events = tuple(seed_free(f"unit {unit} kept", c.gamma, int(covered[unit])) for unit in np.ndindex(*c.feat))

    def count(dropped: Dropped) -> list[tuple[int, int]]:
        maps = dropped.reshape(-1, *c.feat)
        return [(len(maps) - int(lost), len(maps)) for lost in maps.sum(axis=0).ravel()]

    return Measure(events, count, coarser=coarser)


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
