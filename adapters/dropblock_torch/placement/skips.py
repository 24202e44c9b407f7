# SPDX-License-Identifier: Apache-2.0
"""The skip connections of a block, found in its dataflow."""

from dataclasses import dataclass

from torch import fx, nn

from dropblock_torch.placement.hooks import After
from dropblock_torch.placement.norms import is_convolution, is_norm
from dropblock_torch.placement.sums import Operand, operands, sums
from dropblock_torch.placement.tracing import Traces, calls, trace, twin


@dataclass(frozen=True)
class Seat:
    """In a block that asks ``if self.downsample is not None``: the layer becomes its `downsample`."""

    model: nn.Module
    path: str
    what: str = "skip: the identity"
    overwrites: bool = False

    @property
    def owner(self) -> nn.Module:
        return self.model.get_submodule(self.path.rpartition(".")[0])

    def attach(self, layer: nn.Module) -> None:
        setattr(self.owner, self.path.rpartition(".")[2], layer)


@dataclass(frozen=True)
class _Branch:
    """What leads to one operand of a sum, back to where it parts from the rest."""

    steps: int
    convolutions: int


def skips(model: nn.Module, path: str, block: nn.Module, traces: Traces) -> list[After | Operand | Seat]:
    """Where a layer goes to be on the skip connections of a block; an empty list if it has none or is not traced.

    A skip connection is the shorter way to a sum: a value that goes elsewhere as well, the identity, or the output of
    the module with fewer convolutions, a projection. A block has one, at its last sum; a cell, which has two inputs,
    has one at each sum of which that is true.
    """
    graph = traces(block)
    if isinstance(graph, Exception):
        return []
    additions = sums(graph)
    is_cell = sum(node.op == "placeholder" for node in graph.nodes) > 1
    found = []
    for number, addition in enumerate(additions):
        if not is_cell and addition is not additions[-1]:
            continue
        side = _side(block, addition, is_cell)
        if side is not None:
            found.append(_place(model, path, block, graph, number, side))
    return found


def _side(block: nn.Module, addition: fx.Node, is_cell: bool) -> int | None:
    """Which operand of a sum is the skip connection; None if neither, or if it cannot be told."""
    branches = [_branch(block, operand) for operand in operands(addition)]
    first, second = branches
    if (first.steps == 0) != (second.steps == 0):
        return int(second.steps == 0)
    if first.steps == 0 or first.convolutions == second.convolutions:
        return None
    side = int(second.convolutions < first.convolutions)
    # In a cell a pooling beside a convolution is an operation like any other.
    is_operation = is_cell and not branches[side].convolutions and not _is_identity(block, operands(addition)[side])
    return None if is_operation else side


def _branch(block: nn.Module, node: fx.Node) -> _Branch:
    steps = convolutions = 0
    while len(node.users) == 1 and node.all_input_nodes:
        steps += 1
        if node.op == "call_module":
            convolutions += sum(map(is_convolution, block.get_submodule(str(node.target)).modules()))
        node = node.all_input_nodes[0]
    return _Branch(steps, convolutions)


def _is_identity(block: nn.Module, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(block.get_submodule(str(node.target)), nn.Identity)


def _place(
    model: nn.Module, path: str, block: nn.Module, graph: fx.Graph, number: int, side: int
) -> After | Operand | Seat:
    both = operands(sums(graph)[number])
    operand, other = both[side], both[1 - side]
    prefix = f"{path}." if path else ""
    if operand.op == "call_module" and len(operand.users) == 1 and len(calls(graph, str(operand.target))) == 1:
        module = block.get_submodule(str(operand.target))
        what = "skip: the identity" if isinstance(module, nn.Identity) else "skip: the projection"
        last = list(module.modules())[-1]
        return After(model, f"{prefix}{operand.target}", what, overwrites=is_norm(last) or is_convolution(last))
    for name in _empty(block):
        if _seats(block, name, operand, number):
            return Seat(model, f"{prefix}{name}")
    return Operand(model, path, f"skip: the identity, beside {other.name}", number, side)


def _empty(block: nn.Module) -> list[str]:
    """The attributes that are None: where there could be a module, and is none."""
    return [name for name, value in {**block.__dict__, **block._modules}.items() if value is None and name[0] != "_"]


def _seats(block: nn.Module, name: str, operand: fx.Node, number: int) -> bool:
    """Whether a module called `name` would take the skip connection's value, and give it to the same sum."""
    seated = twin(block, _modules={**block._modules, name: nn.Identity()})
    seated.__dict__.pop(name, None)
    try:
        graph = trace(seated)
    except Exception:  # anybody's code runs there
        return False
    found = calls(graph, name)
    return (
        len(found) == 1
        and [argument.name for argument in found[0].all_input_nodes] == [operand.name]
        and list(found[0].users) == sums(graph)[number : number + 1]
    )
