# SPDX-License-Identifier: Apache-2.0
"""The sites of layers in one part of a model: behind what it asks for, and on the skip connections."""

from collections.abc import Iterator

from torch import nn

from dropblock_torch.placement.hooks import After
from dropblock_torch.placement.norms import KINDS, is_convolution, is_norm, smooth_after
from dropblock_torch.placement.recipes import is_left_out
from dropblock_torch.placement.skips import Seat, skips
from dropblock_torch.placement.sums import Operand
from dropblock_torch.placement.tracing import Traces
from dropblock_torch.placement.where import ITSELF, Region, Where

Site = After | Operand | Seat


def sites(model: nn.Module, region: Region, where: Where, traces: Traces, seen: set[nn.Module]) -> list[Site]:
    """All sites of a region, in the order of its modules; in a block those on its skip connections are the last.

    A module that the model holds in several places is passed over once it is in `seen`: its layer runs in all of them.

    Raises:
        ValueError: there are none, or a skip connection is asked for and cannot be found.
    """
    walk = _Walk(model, where, traces, seen)
    found = list(walk.sites(region.path, region.module))
    kind = type(region.module).__name__
    if len(found) == walk.skips:
        has = [name for name, is_kind in KINDS.items() if any(map(is_kind, region.module.modules()))]
        raise ValueError(
            f"model has at {region.path} a {kind} without a {where.after} for DropBlock to follow: name other parts, "
            f"or pass a Where with after={(has or [ITSELF])[0]!r}"
        )
    if where.skip and not walk.skips:
        raise ValueError(f"skip=True, but model has at {region.path} a {kind} without a skip connection: {_REMEDY}")
    return found


_REMEDY = "pass skip=False, or write DropBlock2d into its forward instead"


class _Walk:
    """One pass over a region, which counts the skip connections."""

    def __init__(self, model: nn.Module, where: Where, traces: Traces, seen: set[nn.Module]) -> None:
        self.model, self.where, self.traces, self.seen = model, where, traces, seen
        self.skips = 0

    def sites(self, path: str, module: nn.Module, is_part: bool = True, is_in_block: bool = False) -> Iterator[Site]:
        if module in self.seen:
            return
        self.seen.add(module)
        if is_part if self.where.after == ITSELF else KINDS[self.where.after](module):
            yield _behind(self.model, path, module, self.traces)
        if is_norm(module) or not any(True for _ in module.children()):  # a norm of timm has its activation inside
            return
        on_skips, before = skips(self.model, path, module, self.traces), self.skips
        for name, child in module.named_children():
            inner = f"{path}.{name}"
            # A projection's norm is where the skip connection's layer goes.
            if not any(site.path == inner for site in on_skips) and not is_left_out(module, name):
                yield from self.sites(inner, child, False, is_in_block or bool(on_skips))
        if self.where.skip:
            self.skips += len(on_skips)
            yield from on_skips
            if self.skips == before and not is_in_block:
                self._refuse_untraced(path, module)

    def _refuse_untraced(self, path: str, module: nn.Module) -> None:
        """Raise if a module has norms, no skip connection was found in it, and it could not be looked at."""
        error = self.traces(module)
        is_list = isinstance(module, (nn.ModuleList, nn.ModuleDict))
        if isinstance(error, Exception) and not is_list and any(map(is_norm, module.modules())):
            raise ValueError(
                f"skip=True, but model has at {path} a {type(module).__name__} whose skip connection cannot be found, "
                f"since torch.fx cannot trace its forward ({type(error).__name__}: {error}): {_REMEDY}"
            ) from error


def _behind(model: nn.Module, path: str, module: nn.Module, traces: Traces) -> After:
    """Behind a module, and behind the activation that follows it where DropBlock does not commute with that one."""
    what = f"after {type(module).__name__}"
    own = getattr(module, "act", None)  # a norm of timm with its activation
    if isinstance(own, nn.Module) and not isinstance(own, nn.Identity):
        return After(model, path, what, overwrites=False)
    if is_norm(module) or is_convolution(module):
        activation, name = smooth_after(model, path, traces)
        if activation is not None:
            return After(model, activation, f"after {name}", overwrites=False)
        return After(model, path, f"{what}, before {name}" if name else what, overwrites=True)
    return After(model, path, what, overwrites=False)
