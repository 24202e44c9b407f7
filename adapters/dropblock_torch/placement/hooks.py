# SPDX-License-Identifier: Apache-2.0
"""A layer behind a module, by a forward hook that survives copies and is missed when it is lost."""

import inspect
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

# A layer's name in the module that owns it, for the host `bn1`: drop_block_bn1.
OWNED = "drop_block_"
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_WALKS = {"children", "named_children", "modules", "named_modules", "_modules"}


@dataclass(frozen=True)
class After:
    """Behind a module, the host."""

    model: nn.Module
    path: str
    what: str
    overwrites: bool  # whether `inplace` may overwrite the host's output

    def __post_init__(self) -> None:
        _owner(self.model, self.path)  # refuses what nothing can hold

    @property
    def owner(self) -> nn.Module:
        return self.model.get_submodule(_owner(self.model, self.path))

    def attach(self, layer: nn.Module) -> None:
        """Have `layer` run behind the host.

        The owner holds the layer and the host only refers to it, so the layer still drops if only a norm is in eval().
        """
        host = self.model.get_submodule(self.path)
        path = _owner(self.model, self.path)
        owner: Any = self.model.get_submodule(path)
        relative = self.path.removeprefix(path and f"{path}.")
        if owner is host:  # nothing above it can hold a layer
            host.add_module(OWNED.rstrip("_"), layer)
        else:
            name = OWNED + relative.replace(".", "_")
            owner.add_module(name, layer)
            owner._drop_block_hosts = {**getattr(owner, "_drop_block_hosts", {}), name: relative}
            if _require_hosts not in owner._forward_pre_hooks.values():
                owner.register_forward_pre_hook(_require_hosts)
        object.__setattr__(host, "_drop_block", layer)
        host.register_forward_hook(_drop)


def _owner(model: nn.Module, path: str) -> str:
    """The path of the nearest module around `path` that a further child does not change, or else `path` itself."""
    around = path
    while around:
        around = around.rpartition(".")[0]
        if not _walks_children(model.get_submodule(around)):
            return around
    if _walks_children(model.get_submodule(path)):
        raise ValueError(
            f"model has at {path} a {type(model.get_submodule(path)).__name__}, and around it only lists of modules: "
            "none can hold a layer, so name what is in it, or put the model into a module with a forward of its own"
        )
    return path


def _walks_children(module: nn.Module) -> bool:
    """Whether ``forward`` calls whatever children there are, so that one more would run, and be in the way."""
    code = getattr(inspect.unwrap(type(module).forward), "__code__", None)
    return isinstance(module, _CONTAINERS) or code is None or bool(_WALKS & set(code.co_names))


# The hooks are functions of a module, not closures, so that a copied or unpickled model uses layers of its own.


def _drop(module: Any, inputs: Any, output: Tensor) -> Tensor:
    """Forward hook of a host."""
    dropped: Tensor = module._drop_block(output)
    return dropped


def _require_hosts(owner: Any, inputs: Any) -> None:
    """Forward pre-hook of an owner: raise where a host has lost its hook, as it does when a norm is rebuilt."""
    hosts: dict[str, str] = owner._drop_block_hosts if owner.training else {}
    for host in hosts.values():
        if _drop not in owner.get_submodule(host)._forward_hooks.values():
            raise RuntimeError(
                f"{host} of a {type(owner).__name__} was replaced, or its hooks were cleared, after add_dropblock(): "
                "its DropBlock2d would not run; convert norms (to SyncBatchNorm, say) first, then call add_dropblock()"
            )
