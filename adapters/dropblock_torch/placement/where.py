# SPDX-License-Identifier: Apache-2.0
"""Where DropBlock goes, as a user says it, and the parts of a model that are meant."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from dropblock_core import placement
from dropblock_torch.placement.norms import KINDS
from dropblock_torch.placement.recipes import trunks

ITSELF = "itself"


class Where(placement.Where):
    """One answer to "where?", for :func:`plan_dropblock` and :func:`add_dropblock`.

    Args:
        names: which parts of the model: dotted names of modules, where ``*``, ``?`` and ``[0-9]`` stand for part of a
            name between two dots, as in ``"cell_*"`` or ``"backbone.fpn.layer_blocks.*"``; or a number from 1 to 4, the
            paper's group of residual blocks. A tuple of these is their union.
        last: of the parts that match, in the model's order, only the last ones: a fraction, rounded up, or a number.
        after: what in these parts a layer follows: each ``"norm"``, each ``"conv"`` (before the norm, then), each
            ``"activation"``, or each part ``"itself"``.
        skip: whether the skip connections in these parts get a layer too. It is refused where there are none.
        share: factor on gamma, as `gamma_scale`. None is the authors' ``1 / 4^(4 - g)`` for group g, and else 1.

    Raises:
        ValueError, TypeError: an argument is none of these; the message names it.

    >>> Where("cell_*", last=0.5)
    Where(names=('cell_*',), last=0.5, after='norm', skip=True, share=None)
    """

    NAMED, EXAMPLE, PARTS, AFTER = "modules", "cell_*", "parts", (*KINDS, ITSELF)


@dataclass(frozen=True)
class Region:
    """A part of a model that a :class:`Where` means."""

    path: str
    module: nn.Module
    share: float


def regions(model: nn.Module, where: Where) -> list[Region]:
    """The parts that `where` means, in the model's order; a ValueError if a name means nothing."""
    shares: dict[str, float] = {}
    for name, share in where.shares():
        paths = [_group(model, name)] if isinstance(name, int) else _matches(model, name)
        shares |= dict.fromkeys(paths, share)
    found = [Region(path, module, shares[path]) for path, module in model.named_modules() if path in shares]
    return found[-where.count(len(found)) :]


def _group(model: nn.Module, number: int) -> str:
    """The path of one of the paper's groups."""
    known = list(trunks(model))
    if len(known) > 1:
        raise ValueError(
            f"model has groups of residual blocks in {' and in '.join(repr(path) for path, _ in known)}: pass the part "
            "that you mean, e.g. model.backbone, or name the modules by where="
        )
    path = known[0][1].get(number) if known else None
    if path is None or not any(True for _ in model.get_submodule(path).children()):
        raise ValueError(
            f"model is a {type(model).__name__} without blocks in a layer{number}: pass other groups, or name the "
            f"modules that DropBlock goes into by where=; it has {_offer(model, [])}"
        )
    return path


def _matches(model: nn.Module, pattern: str) -> list[str]:
    wanted = pattern.split(".")
    found = [path for path, _ in model.named_modules() if path and _fits(path.split("."), wanted)]
    if found:
        return found
    depth = len(wanted)
    while depth and not any(_fits(path.split("."), wanted[:depth]) for path, _ in model.named_modules() if path):
        depth -= 1
    raise ValueError(
        f"where names {pattern!r}, and model, a {type(model).__name__}, has no such module; it has "
        f"{_offer(model, wanted[:depth])}"
    )


def _offer(model: nn.Module, parents: list[str]) -> str:
    """The names of the modules right below those that match, for a message."""
    offered = [path for path, _ in model.named_modules() if path and _fits(path.split("."), [*parents, "*"])]
    return placement.some(offered)


def _fits(path: list[str], wanted: list[str]) -> bool:
    return len(path) == len(wanted) and all(map(fnmatchcase, path, wanted))
