# SPDX-License-Identifier: Apache-2.0
"""A functional model as a graph of calls: its convolutions, norms, skip connections and cells."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras

from dropblock_core import validate

CONVOLUTIONS = tuple(
    getattr(keras.layers, name)
    for name in dir(keras.layers)
    if re.fullmatch(r"(Separable|Depthwise)?Conv[123]D(Transpose)?", name)
)
ACTIVATIONS = (
    keras.layers.Activation,
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
)
NORMS = (keras.layers.BatchNormalization, keras.layers.GroupNormalization, keras.layers.LayerNormalization)


class Chain(NamedTuple):
    """The calls that lead to a tensor, the last one first, from the next `root` above that other calls take too."""

    calls: list[Any]
    root: Any

    @property
    def convolutions(self) -> int:
        return sum(isinstance(call.operation, CONVOLUTIONS) for call in self.calls)


class Graph:
    """The calls of a functional model, in the order in which it runs them.

    A call is Keras's own node: `operation`, `input_tensors` and `outputs`. An operation that is shared has several.
    """

    def __init__(self, model: Any) -> None:
        by_depth = model._nodes_by_depth  # Keras has no public way to the calls
        self.calls = [call for depth in sorted(by_depth, reverse=True) for call in by_depth[depth]]
        self._producer = {id(tensor): call for call in self.calls for tensor in call.outputs}
        self._consumers: defaultdict[int, list[Any]] = defaultdict(list)
        self.number: dict[Any, int] = {}  # of the call, among those of its operation
        seen: Counter[str] = Counter()
        for call in self.calls:
            self.number[call] = seen[call.operation.name]
            seen[call.operation.name] += 1
            for tensor in call.input_tensors:
                self._consumers[id(tensor)].append(call)

    def consumers(self, call: Any) -> list[Any]:
        """The calls that take what `call` returns."""
        return [consumer for tensor in call.outputs for consumer in self._consumers[id(tensor)]]

    def follows_convolution(self, call: Any) -> bool:
        """Whether `call` takes what a convolution returns, or several that are concatenated.

        A norm that does not, behind a sum or a pooling, prepares the input of what comes next.
        """
        producers = [self._producer[id(tensor)] for tensor in call.input_tensors if id(tensor) in self._producer]
        return any(
            isinstance(producer.operation, CONVOLUTIONS)
            or (isinstance(producer.operation, keras.layers.Concatenate) and self.follows_convolution(producer))
            for producer in producers
        )

    def smooth_after(self, call: Any) -> Any:
        """The activation that alone takes what `call` returns, if DropBlock does not commute with it; else `call`."""
        consumers = self.consumers(call)
        is_one = len(consumers) == 1 and isinstance(consumers[0].operation, ACTIVATIONS)
        return consumers[0] if is_one and not _commutes(consumers[0].operation) else call

    def skips(self, call: Any) -> Iterator[tuple[int, Chain]]:
        """Which inputs of an Add are skip connections, and what is on them.

        A skip connection takes a tensor that other calls take too. It adds that tensor as it is; or it comes from the
        same tensor as another input of this Add, by way of fewer convolutions, as a projection does.
        """
        chains = [self._chain(tensor) for tensor in call.input_tensors]
        for number, (calls, root) in enumerate(chains):
            shared = len(self._consumers[id(root)]) > 1
            longer = (c for c in chains if c.root is root and c.convolutions > chains[number].convolutions)
            if shared and (not calls or any(longer)):
                yield number, chains[number]

    def _chain(self, tensor: Any) -> Chain:
        calls = []
        while len(self._consumers[id(tensor)]) == 1:
            call = self._producer.get(id(tensor))
            if call is None or len(call.input_tensors) != 1:
                break
            calls.append(call)
            [tensor] = call.input_tensors
        return Chain(calls, tensor)

    def cells(self, ends: list[Any]) -> dict[Any, int]:
        """The number of each call's cell: of the first of the `ends` that the call leads to. The head has none."""
        found = {call: number for number, call in enumerate(ends)}
        for call in reversed(self.calls):
            if call not in found and (after := [found[c] for c in self.consumers(call) if c in found]):
                found[call] = min(after)
        return found


def is_add(call: Any) -> bool:
    """Whether `call` adds two tensors or more: by the layer, or by ``x + y``, which is an operation of that name."""
    return type(call.operation).__name__ == "Add" and len(call.input_tensors) > 1


def _commutes(activation: Any) -> bool:
    """Whether f(s x) = s f(x) for s >= 0: DropBlock multiplies by 0 or by one positive scale."""
    if isinstance(activation, keras.layers.Activation):
        return activation.activation in (keras.activations.relu, keras.activations.leaky_relu, keras.activations.linear)
    if isinstance(activation, keras.layers.ReLU):
        return activation.max_value is None and activation.threshold == 0
    return not isinstance(activation, keras.layers.ELU)


def functional(model: Any) -> Any:
    """The model, if its calls are known and none is DropBlock's."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"{validate.shown('model', model)} is not a keras.Model: pass the model")
    if isinstance(model, keras.Sequential) and model.built:
        model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if not isinstance(model, keras.Function):
        rest = "put DropBlock2D layers into its call, or make it of keras.Model(inputs, outputs)"
        raise ValueError(
            f"model is a {type(model).__name__}, not a functional model, so what it calls is not known: "
            f"{'give it a keras.Input first' if isinstance(model, keras.Sequential) else rest}"
        )
    if found := [layer for layer in model._flatten_layers() if "dropblock" in type(layer).__name__.lower()]:
        raise ValueError(
            f"model has a {type(found[0]).__name__} already, {found[0].name!r}: pass the model without it, and ask for "
            "all parts in one call, as in where=(Where(...), Where(...))"
        )
    return model
