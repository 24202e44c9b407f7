# SPDX-License-Identifier: Apache-2.0
"""A layer on one operand of a sum in a module's ``forward``, for skip connections that no module carries."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn

from dropblock_torch.placement.hooks import OWNED
from dropblock_torch.placement.tracing import trace

_ADDITIONS = {"add", "iadd", "add_"}


def sums(graph: fx.Graph) -> list[fx.Node]:
    """The additions of two values, in the order of the program."""
    return [
        node
        for node in graph.nodes
        if (getattr(node.target, "__name__", node.target) in _ADDITIONS and node.op in ("call_function", "call_method"))
        and len(node.args) == 2
        and all(isinstance(argument, fx.Node) for argument in node.args)
    ]


def operands(addition: fx.Node) -> tuple[fx.Node, fx.Node]:
    first, second = addition.all_input_nodes if len(addition.all_input_nodes) == 2 else addition.all_input_nodes * 2
    return first, second


@dataclass(frozen=True)
class Operand:
    """On operand `side`, 0 or 1, of a block's sum `number`: the block gets a ``forward`` with this one more call."""

    model: nn.Module
    path: str
    what: str
    number: int
    side: int
    overwrites: bool = False

    @property
    def owner(self) -> nn.Module:
        return self.model.get_submodule(self.path)

    def attach(self, layer: nn.Module) -> None:
        block: Any = self.owner
        placed: dict[str, tuple[int, int]] = block.__dict__.get("_drop_block_sums", {})
        name = f"{OWNED}skip{len(placed) + 1 if placed else ''}"
        block.add_module(name, layer)
        block._drop_block_sums = {**placed, name: (self.number, self.side)}
        _rewrite(block)


class _Rewritten(nn.Module):
    """A block whose ``forward`` calls a layer on operands of sums, in training; in evaluation it is as it was."""

    _drop_block_sums: dict[str, tuple[int, int]]
    _drop_block_base: type[nn.Module]

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        forward: Any = self._drop_block_forward if self.training else super().forward
        return forward(*args, **kwargs)

    def _drop_block_forward(self, *args: Any, **kwargs: Any) -> Tensor:
        raise NotImplementedError  # each class below has one

    def __reduce_ex__(self, protocol: Any) -> Any:
        # Python cannot find a class made at run time by its name, so a copy rewrites the block again.
        return _blank, (self._drop_block_base,), self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        _rewrite(self)


def _blank(base: type[nn.Module]) -> nn.Module:
    """An instance without a state, which ``__setstate__`` completes."""
    kind = _class(base, "", {})
    return kind.__new__(kind)


def _rewrite(block: nn.Module) -> None:
    """Give a block the class whose ``forward`` has its layers in the sums of ``block._drop_block_sums``."""
    base: type[nn.Module] = getattr(block, "_drop_block_base", type(block))
    block.__class__ = base
    graph = trace(block)
    found = sums(graph)
    placed: dict[str, tuple[int, int]] = block.__dict__["_drop_block_sums"]
    for name, (number, side) in placed.items():
        addition = found[number]
        with graph.inserting_before(addition):
            dropped = graph.call_module(name, (addition.args[side],))
        addition.update_arg(side, dropped)
    code = graph.python_code("self")
    block.__class__ = _class(base, code.src, code.globals)


_CLASSES: dict[tuple[type[nn.Module], str], type[nn.Module]] = {}


def _class(base: type[nn.Module], source: str, names: dict[str, Any]) -> type[nn.Module]:
    """The class of all blocks of one form: a compiler then knows them by it."""
    if (base, source) not in _CLASSES:
        space = dict(names)
        exec(compile(source, f"<{base.__name__} with DropBlock>", "exec"), space)
        members = {"__module__": base.__module__, "__doc__": base.__doc__, "_drop_block_base": base}
        if "forward" in space:
            members["_drop_block_forward"] = space["forward"]
        _CLASSES[base, source] = type(base.__name__, (_Rewritten, base), members)
    return _CLASSES[base, source]
