# SPDX-License-Identifier: Apache-2.0
"""Other packages' DropBlock layers swapped for ours, with equal settings and a list of what is different."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from dropblock_core import validate
from dropblock_torch.modules import DropBlock2d, DropBlock3d

# Our layer's arguments, and what changes.
_Translation = tuple[dict[str, Any], tuple[str, ...]]


@dataclass(frozen=True)
class Replacement:
    """One layer that :func:`replace_dropblock` swapped.

    Args:
        name: its dotted name in the model.
        before: the class it had, and its settings.
        after: the layer that is now there.
        changes: what is different from now on, a sentence each.
    """

    name: str
    before: str
    after: nn.Module
    changes: tuple[str, ...]


def replace_dropblock(model: nn.Module) -> list[Replacement]:
    """Swap torchvision's, timm's and the `dropblock` package's layers in a model for ours, in place.

    The settings are kept: keep_prob is 1 minus the probability of dropping; block size, gamma_scale, what a mask is
    shared among, the scale, `inplace` and the training mode are as they were. What deviates from the paper is not kept:
    ours follow Eq. (1). Each entry of the result says what changes.

    Layers are recognised by their class, without importing any of these packages. Calls of their functions inside a
    ``forward`` cannot be seen, and hooks on a layer go with it.

    Args:
        model: any module. A layer that it holds in several places is one layer afterwards, too.

    Returns:
        What was swapped, in the order of ``model.named_modules()``, one entry a place.

    Raises:
        ValueError, TypeError: a layer has a setting that ours cannot have, follows a schedule of its package, is of a
            class derived from theirs, or is `model` itself. The message names the layer and the remedy, and the model
            is as it was.

    >>> from dropblock import DropBlock2D
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), DropBlock2D(drop_prob=0.1, block_size=7))
    >>> [replacement] = replace_dropblock(model)
    >>> replacement.name, replacement.before
    ('1', 'dropblock.dropblock.DropBlock2D(drop_prob=0.1, block_size=7)')
    >>> model[1]
    DropBlock2d(keep_prob=0.9, block_size=7, per_channel=False)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"{validate.shown('model', model)} is not a torch.nn.Module: pass the model")
    found = [(name, m) for name, m in model.named_modules(remove_duplicate=False) if is_foreign(m)]
    ours: dict[nn.Module, tuple[nn.Module, tuple[str, ...]]] = {}
    for name, theirs in found:
        if not name:
            raise ValueError(f"model is itself a {class_name(type(theirs))}: pass the module that holds it")
        try:
            ours[theirs] = _translated(theirs)
        except (TypeError, ValueError) as error:
            raise type(error)(f"model has at {name} a {class_name(type(theirs))}: {error}") from error
    replacements = [Replacement(name, _described(theirs), *ours[theirs]) for name, theirs in found]
    for replacement in replacements:
        model.set_submodule(replacement.name, replacement.after)
    return replacements


def is_foreign(module: nn.Module) -> bool:
    """Whether `module` is another package's DropBlock, or of a class derived from one."""
    return any(class_name(kind) in _TRANSLATIONS for kind in type(module).__mro__)


def class_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _described(theirs: nn.Module) -> str:
    # Their reprs leave most settings out, if not all.
    settings = [f"{name}={value!r}" for name, value in vars(theirs).items() if name[0] != "_" and name != "training"]
    return f"{class_name(type(theirs))}({', '.join(settings)})"


def _translated(theirs: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Our layer with the settings of `theirs`, and what changes."""
    translate = _TRANSLATIONS.get(class_name(type(theirs)))
    if translate is None:
        raise ValueError("what a derived class does differently cannot be known here; replace this one by hand, first")
    settings, changes = translate(theirs)
    layer = DropBlock3d if "3" in type(theirs).__name__ else DropBlock2d
    return layer(**settings).train(theirs.training), (*changes, *_ALWAYS)


_ALWAYS = (
    "a dropped unit is 0 whatever it held: theirs multiplies, and NaN and infinity become NaN",
    "other random numbers are drawn: a seed set before gives other masks than it did",
)
_SEEDS_EVERYWHERE = "theirs seeds the whole map, ours where the block fits, as Eq. (1) presumes"


def _from_torchvision(theirs: Any) -> _Translation:
    settings = {"keep_prob": 1 - theirs.p, "block_size": theirs.block_size, "inplace": theirs.inplace}
    return settings, (
        f"the scale is line 8's ratio: theirs adds eps={theirs.eps!r} to the count",
        "in half precision the count is exact: theirs is rounded, from 65,520 kept units on in float16 to infinity, "
        "and the output is zeros",
        "a block is clipped to the map per axis, and even sides are allowed: theirs clips to the shorter axis and "
        "raises where the side is then even",
    )


def _from_timm(theirs: Any) -> _Translation:
    for option in ("with_noise", "batchwise"):  # timm had the latter until 1.0.22
        if getattr(theirs, option, False):
            raise ValueError(f"ours has no {option}=True, as the paper has not; set this layer's {option} to False")
    settings = {
        "keep_prob": 1 - theirs.drop_prob,
        "block_size": theirs.block_size,
        "gamma_scale": theirs.gamma_scale,
        # Until 1.0.22 timm drew a mask per channel, always scaled, and had a slower variant that seeded as the paper.
        "per_channel": not getattr(theirs, "couple_channels", False),
        "renorm": "tensor" if getattr(theirs, "scale_by_keep", True) else "none",
        "inplace": theirs.inplace,
    }
    return settings, (f"fewer units are dropped: {_SEEDS_EVERYWHERE}",) * getattr(theirs, "fast", True)


def _from_dropblock(theirs: Any) -> _Translation:
    settings = {"keep_prob": 1 - theirs.drop_prob, "block_size": theirs.block_size, "per_channel": False}
    return settings, (
        f"another fraction is dropped: gamma is Eq. (1)'s, not drop_prob / block_size^rank, and {_SEEDS_EVERYWHERE}",
        "where nothing is kept the output is zeros, not NaN",
        "the output has the input's dtype: theirs turns half precision into float32",
    )


def _from_scheduler(theirs: Any) -> _Translation:
    values = [float(1 - value) for value in theirs.drop_values] or [1.0]
    raise ValueError(
        "it sets drop_prob, which ours does not have; put the layer it holds (its attribute dropblock) in its place, "
        "and after replace_dropblock() schedule the model by "
        f"KeepProbScheduler(model, LinearSchedule({values[-1]:.12g}, steps={len(values) - 1}, start={values[0]:.12g}))"
    )


_TRANSLATIONS: dict[str, Callable[[Any], _Translation]] = {
    "torchvision.ops.drop_block.DropBlock2d": _from_torchvision,
    "torchvision.ops.drop_block.DropBlock3d": _from_torchvision,
    "timm.layers.drop.DropBlock2d": _from_timm,
    "timm.models.layers.drop.DropBlock2d": _from_timm,  # up to timm 0.6
    "dropblock.dropblock.DropBlock2D": _from_dropblock,
    "dropblock.dropblock.DropBlock3D": _from_dropblock,
    "dropblock.scheduler.LinearScheduler": _from_scheduler,
}
