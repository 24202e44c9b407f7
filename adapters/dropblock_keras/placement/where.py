# SPDX-License-Identifier: Apache-2.0
"""Where DropBlock goes, as a user says it, and the part of a model that is meant."""

import re
from fnmatch import fnmatchcase
from typing import Any

from dropblock_core import placement
from dropblock_keras.placement.graph import Graph, is_add

# What ends a cell of keras.applications' NASNets. In other networks an Add does: a residual block is a cell.
_NASNET_CELL = re.compile(r"(normal|reduction)_concat_")


class Where(placement.Where):
    """One answer to "where?", for :func:`plan_dropblock` and :func:`add_dropblock`.

    Args:
        names: which layers: names, where ``*``, ``?`` and ``[0-9]`` stand for part of a name, as in ``"block6*"``; or a
            number from 1 to 4, the paper's group of residual blocks in a ResNet of ``keras.applications``. A tuple of
            these is their union.
        last: only the last of the cells that end in such a layer: a fraction, rounded up, or a number. The NASNets of
            ``keras.applications`` have cells of their own; elsewhere an ``Add`` ends one.
        after: what in this part a layer follows. ``"norm"``: the norm of each convolution, and an activation behind it
            with which DropBlock does not commute; in a branch that ends without a norm, the convolution. ``"conv"``:
            each convolution, before its norm.
        skip: whether the skip connections in this part get a layer too. It is refused where there are none.
        share: factor on gamma, as `gamma_scale`. None is the authors' ``1 / 4^(4 - g)`` for group g, and else 1.

    Raises:
        ValueError, TypeError: an argument is none of these; the message names it.

    >>> Where("*", last=0.5)
    Where(names=('*',), last=0.5, after='norm', skip=True, share=None)
    """

    NAMED, EXAMPLE, PARTS, AFTER = "layers", "block6*", "cells", ("norm", "conv")


def shares(graph: Graph, where: Where) -> dict[Any, float]:
    """The calls that `where` means, with the factor on gamma; a ValueError if a name means none."""
    found: dict[Any, float] = {}
    for name, share in where.shares():
        # keras.applications calls the paper's group g "conv{g + 1}".
        pattern = f"conv{name + 1}_block*" if isinstance(name, int) else name
        matching = [call for call in graph.calls if fnmatchcase(call.operation.name, pattern)]
        if not matching:
            raise ValueError(_no_such(graph, name))
        found |= dict.fromkeys(matching, share)
    return found if where.last == 1.0 and isinstance(where.last, float) else _last(graph, found, where)


def _last(graph: Graph, found: dict[Any, float], where: Where) -> dict[Any, float]:
    """Those of the `found` that are in the last of their cells."""
    ends = [call for call in graph.calls if _NASNET_CELL.match(call.operation.name)]
    ends = ends or [call for call in graph.calls if is_add(call)]
    cells = [number for number, call in enumerate(ends) if call in found]
    if not cells:
        raise ValueError(
            f"last={where.last}, but none of these layers is an Add, which ends a cell: name more, or leave last out"
        )
    wanted = set(cells[-where.count(len(cells)) :])
    cell_of = graph.cells(ends)
    return {call: share for call, share in found.items() if cell_of.get(call) in wanted}


def _no_such(graph: Graph, name: str | int) -> str:
    names = [call.operation.name for call in graph.calls]
    if isinstance(name, int):
        return (
            f"model has no layers of a conv{name + 1}_block1, as the ResNets of keras.applications have: pass other "
            "groups, or name the layers that DropBlock goes to, as in where=Where('*', last=0.5); it has "
            f"{placement.some(names)}"
        )
    start = re.split(r"[*?[]", name)[0]
    while start and not any(other.startswith(start) for other in names):
        start = start[:-1]
    near = placement.some([other for other in names if other.startswith(start)])
    return f"where names {name!r}, and model has no such layer; it has {near}"
