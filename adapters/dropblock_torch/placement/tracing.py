# SPDX-License-Identifier: Apache-2.0
"""The dataflow of one module: its children as single operations, by ``torch.fx``."""

from typing import Any

from torch import fx, nn


class _Children(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def trace(module: nn.Module) -> fx.Graph:
    """The graph of a training call. Whatever the module's ``forward`` raises while it is traced comes out."""
    return _Children().trace(twin(module, training=True))


def twin(module: nn.Module, **attributes: Any) -> nn.Module:
    """A module that shares everything with another but `attributes`."""
    other = type(module).__new__(type(module))
    other.__dict__.update(module.__dict__, **attributes)
    return other


class Traces:
    """Each module's graph, traced once; or the error that says why there is none."""

    def __init__(self) -> None:
        self._known: dict[nn.Module, fx.Graph | Exception] = {}

    def __call__(self, module: nn.Module) -> fx.Graph | Exception:
        if module not in self._known:
            try:
                self._known[module] = trace(module)
            except Exception as error:  # anybody's code runs there
                self._known[module] = error
        return self._known[module]


def calls(graph: fx.Graph, target: str) -> list[fx.Node]:
    """The calls of one child."""
    return [node for node in graph.nodes if node.op == "call_module" and node.target == target]
