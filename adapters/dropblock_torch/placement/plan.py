# SPDX-License-Identifier: Apache-2.0
"""A plan: which layers go where, to be read first and applied then."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations, count
from typing import Any

from torch import nn

from dropblock_core import placement, validate
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
        headings = (*placement.HEADINGS, "stream")
        return placement.table([headings, *map(_cells, self.places)], words=2)

    __repr__ = __str__


def _cells(place: Place) -> tuple[str, ...]:
    layer = place.layer
    cells = placement.cells(place.path, place.what, layer.block_size, layer.keep_prob, layer.gamma_scale)
    return *cells, str(layer.stream)


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
    wanted = Where.wanted(where, groups, skip, options.get("calibrated"))
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
