# SPDX-License-Identifier: Apache-2.0
"""What in a part of a model DropBlock goes to: behind what is asked for, and on the skip connections."""

from typing import Any, NamedTuple

import keras

from dropblock_keras.placement.graph import CONVOLUTIONS, NORMS, Graph, is_add
from dropblock_keras.placement.where import Where, shares


class Site(NamedTuple):
    """What a call of one of the model's operations returns; or its input of this number, a skip connection."""

    operation: str
    call: int
    input: int | None = None


class Found(NamedTuple):
    """A site, what it is in words, the tensor that DropBlock takes, and the factor on gamma."""

    site: Site
    what: str
    tensor: Any
    share: float


def sites(graph: Graph, where: Where) -> list[Found]:
    """What `where` means, in the order in which the model runs.

    Raises:
        ValueError: there is nothing, or no skip connection where they are asked for, or a part cannot be looked into.
    """
    share_of = shares(graph, where)
    nested = [call.operation for call in share_of if _has_convolutions_inside(call.operation)]
    if nested:
        raise ValueError(
            f"model has in this part the model {nested[0].name!r}, whose layers are not its own: call add_dropblock() "
            "on that one, and build the model around the copy"
        )
    skips = {call: list(graph.skips(call)) for call in graph.calls if is_add(call)}
    on_skips = {call for chains in skips.values() for _, chain in chains for call in chain.calls}
    found, has_skips = [], False
    for call, share in ((call, share_of[call]) for call in graph.calls if call in share_of):
        for number, chain in skips.get(call, ()) if where.skip else ():
            has_skips = True
            # A projection has its layer behind its own norm.
            if not any(_is_host(graph, on_skip, where.after) for on_skip in chain.calls):
                what = f"skip: {_kind(chain.calls[0])}" if chain.calls else "skip: the identity"
                found.append(Found(_site(graph, call, number), what, call.input_tensors[number], share))
        if _is_host(graph, call, where.after) and (where.skip or call not in on_skips):
            host = graph.smooth_after(call) if where.after == "norm" else call
            what = "skip: the projection" if call in on_skips else f"after {_kind(host)}"
            found.append(Found(_site(graph, host), what, host.outputs[0], share))
    if all(one.site.input is not None for one in found):
        raise ValueError(
            f"model has in {_names(where)} nothing for DropBlock to follow: no {where.after}; name other layers, or "
            f"pass Where(..., after={'conv' if where.after == 'norm' else 'norm'!r})"
        )
    if where.skip and not has_skips:
        raise ValueError(
            f"skip=True, but model has in {_names(where)} no skip connection that an Add takes: pass skip=False"
        )
    return found


def _site(graph: Graph, call: Any, number: int | None = None) -> Site:
    return Site(call.operation.name, graph.number[call], number)


def _is_host(graph: Graph, call: Any, after: str) -> bool:
    """Whether DropBlock follows here: a convolution; or its norm, or the convolution where an Add takes that."""
    is_convolution = isinstance(call.operation, CONVOLUTIONS)
    if after == "conv":
        return is_convolution
    if isinstance(call.operation, NORMS):
        return graph.follows_convolution(call)
    return is_convolution and any(map(is_add, graph.consumers(call)))


def _has_convolutions_inside(operation: Any) -> bool:
    return isinstance(operation, keras.Model) and any(
        isinstance(layer, CONVOLUTIONS + NORMS) for layer in operation._flatten_layers()
    )


def _kind(call: Any) -> str:
    activation = getattr(call.operation, "activation", None)
    is_named = isinstance(call.operation, keras.layers.Activation)
    return str(activation.__name__) if is_named and activation else type(call.operation).__name__


def _names(where: Where) -> str:
    names = where.names if isinstance(where.names, tuple) else (where.names,)
    return ", ".join(f"group {name}" if isinstance(name, int) else repr(name) for name in names)
