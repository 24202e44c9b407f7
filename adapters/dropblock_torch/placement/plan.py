# SPDX-License-Identifier: Apache-2.0
"""A plan: which layers go where, to be read first and applied then."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, count
from typing import Any

from torch import nn

from dropblock_core import validate
from dropblock_torch.modules import DropBlock2d, DropBlock3d, _DropBlock
from dropblock_torch.placement.sites import Site, sites
from dropblock_torch.placement.tracing import Traces
from dropblock_torch.placement.where import Region, Where, regions
from dropblock_torch.replacement import class_name, is_foreign


@dataclass(frozen=True)
class Place:
    """A row of a :class:`Plan`.

    Args:
        path: the dotted name of a module of the model: the one that the layer follows, the empty one that it fills, or
            the block whose sum it goes into.
        what: what is there, in words.
        layer: the layer.
        site: how it gets there.
    """

    path: str
    what: str
    layer: DropBlock2d | DropBlock3d
    site: Site


@dataclass(frozen=True, repr=False)
class Plan:
    """Where layers would go; as text it is a table. Nothing has changed until :meth:`apply` puts them there.

    Args:
        model: the model that it is a plan for.
        places: a row for each layer.

    Raises:
        RuntimeError: :meth:`apply` finds that the model has changed, as it has once the plan was applied.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    >>> plan = plan_dropblock(nn.Sequential(net), where="0", skip=False)
    >>> plan
    place  where              block  keep_prob  gamma_scale  stream
    0.1    after BatchNorm2d      7        0.9            1       0
    >>> plan.apply()
    [DropBlock2d(keep_prob=0.9, block_size=7)]
    """

    model: nn.Module
    places: tuple[Place, ...]
    modules: tuple[tuple[str, nn.Module], ...]

    def apply(self) -> list[DropBlock2d | DropBlock3d]:
        """Put the layers into the model, in place, and return them, in the order of the table.

        Raises:
            RuntimeError: the model is not the one that was planned for any more, for instance because the plan was
                applied before.
        """
        if tuple(self.model.named_modules()) != self.modules:
            raise RuntimeError("the model has changed since this plan was made: make another with plan_dropblock()")
        for place in self.places:
            place.layer.train(place.site.owner.training)
        for place in self.places:
            place.site.attach(place.layer)
        return [place.layer for place in self.places]

    def __str__(self) -> str:
        table = [("place", "where", "block", "keep_prob", "gamma_scale", "stream"), *map(_cells, self.places)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(
                [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
                + [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
            )
            for cells in table
        )

    __repr__ = __str__


def _cells(place: Place) -> tuple[str, ...]:
    layer = place.layer
    sides = layer.block_size
    return (
        place.path,
        place.what,
        str(sides) if isinstance(sides, int) else "x".join(map(str, sides)),
        f"{layer.keep_prob:.4g}",
        f"{layer.gamma_scale:.4g}",
        str(layer.stream),
    )


def plan_dropblock(
    model: nn.Module,
    groups: Iterable[int] = (3, 4),
    block_size: int | tuple[int, ...] = 7,
    keep_prob: float = 0.9,
    skip: bool = True,
    *,
    where: str | Where | Iterable[str | Where] | None = None,
    **options: Any,
) -> Plan:
    """What :func:`add_dropblock` would do with the same arguments, without doing it.

    Returns:
        A :class:`Plan`: print it, then ``apply()`` it.

    Raises:
        ValueError, TypeError: as :func:`add_dropblock`.

    >>> block = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
    >>> head = nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.SiLU())
    >>> model = nn.Sequential(block, head)
    >>> plan_dropblock(model, where=Where(("0", "1"), skip=False), block_size=5)
    place  where              block  keep_prob  gamma_scale  stream
    0.1    after BatchNorm2d      5        0.9            1       0
    1.2    after SiLU             5        0.9            1       1
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"{validate.shown('model', model)} is not a torch.nn.Module: pass the model")
    skip, inplace = validate.flag("skip", skip), validate.flag("inplace", options.pop("inplace", False))
    wanted = _of_groups(groups, skip, options.get("calibrated")) if where is None else _of_where(where, skip)
    found = _sites(model, wanted)
    scale = validate.gamma_scale(options.pop("gamma_scale", 1.0))
    placed = sum(isinstance(module, _DropBlock) for module in model.modules())
    streams = count(validate.counter_word("stream", options.pop("stream", 0)) + placed)
    places = []
    for region, site in found:
        kind = DropBlock3d if any(isinstance(module, nn.Conv3d) for module in region.module.modules()) else DropBlock2d
        layer = kind(
            keep_prob=keep_prob,
            block_size=block_size,
            gamma_scale=scale * region.share,
            stream=next(streams),
            inplace=inplace and site.overwrites,
            **options,
        )
        places.append(Place(site.path, site.what, layer, site))
    return Plan(model, tuple(places), tuple(model.named_modules()))


def _of_groups(groups: Any, skip: bool, calibrated: Any) -> list[Where]:
    """The paper's groups, in the network's order."""
    rule = "groups are the numbers of some of the groups 1 to 4 of residual blocks, each once, as in groups=(3, 4)"
    if isinstance(groups, str) or not isinstance(groups, Iterable):
        raise TypeError(f"groups={groups!r} is not a sequence of ints: {rule}")
    groups = list(groups)
    numbers = sorted({validate.integer("groups", group, rule) for group in groups})
    if not numbers or numbers[0] < 1 or numbers[-1] > 4 or len(numbers) < len(groups):
        raise ValueError(f"groups={tuple(groups)!r}: {rule}")
    if calibrated and numbers != [4]:
        raise ValueError(
            f"calibrated=True with groups={tuple(numbers)!r}: a group below 4 gets its share by gamma_scale, and a "
            "calibrated gamma leaves nothing to scale; pass groups=(4,), or calibrated=False"
        )
    return [Where(number, skip=skip) for number in numbers]


def _of_where(where: Any, skip: bool) -> list[Where]:
    rule = "where is a name such as 'cell_*', a Where, or a sequence of these"
    several = [where] if isinstance(where, (str, Where)) else where
    if not isinstance(several, Iterable):
        raise TypeError(f"{validate.shown('where', where)} is none: {rule}")
    wanted = [Where(one, skip=skip) if isinstance(one, str) else one for one in several]
    if not wanted or not all(isinstance(one, Where) for one in wanted):
        raise TypeError(f"{validate.shown('where', where)}: {rule}")
    return wanted


def _sites(model: nn.Module, wanted: list[Where]) -> list[tuple[Region, Site]]:
    found = [(where, region) for where in wanted for region in regions(model, where)]
    for (_, one), (_, other) in combinations(found, 2):
        if f"{one.path}.".startswith(f"{other.path}.") or f"{other.path}.".startswith(f"{one.path}."):
            raise ValueError(f"where means {one.path} and {other.path}: name parts that do not overlap")
    for _, region in found:
        _refuse_dropblock(region)
    traces, seen = Traces(), set[nn.Module]()
    return [(region, site) for where, region in found for site in sites(model, region, where, traces, seen)]


def _refuse_dropblock(region: Region) -> None:
    for name, module in region.module.named_modules(prefix=region.path):
        if isinstance(module, _DropBlock):
            raise ValueError(
                f"model has a {type(module).__name__} at {name}: call add_dropblock() once a group, before adding "
                "others"
            )
        if is_foreign(module):
            raise ValueError(
                f"model has a {class_name(type(module))} at {name}: create the model without it (timm's with "
                "drop_block_rate=0), or use replace_dropblock() instead, which leaves the layers where they are"
            )
