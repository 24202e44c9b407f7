# SPDX-License-Identifier: Apache-2.0
"""A plan: which layers go where, to be read first and applied then."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import keras

from dropblock_core import placement, validate
from dropblock_keras.layers import DropBlock, DropBlock1D, DropBlock2D, DropBlock3D
from dropblock_keras.placement.graph import Graph, functional
from dropblock_keras.placement.sites import Found, Site, sites
from dropblock_keras.placement.where import Where

_BY_RANK: dict[int, type[DropBlock]] = {1: DropBlock1D, 2: DropBlock2D, 3: DropBlock3D}


@dataclass(frozen=True)
class Place:
    """A row of a :class:`Plan`.

    Args:
        name: the name of a layer of the model: the one that DropBlock follows, or the ``Add`` that takes the skip
            connection.
        what: where DropBlock is there, in words.
        options: the arguments of the layer.
        site: the call and its tensor.
    """

    name: str
    what: str
    options: dict[str, Any]
    site: Site
    rank: int

    def layer(self, seed: int | None) -> DropBlock:
        """A new layer."""
        return _BY_RANK[self.rank](seed=seed, **self.options)


@dataclass(frozen=True, repr=False)
class Plan:
    """Where layers would go; as text it is a table. Nothing is made until :meth:`apply` does.

    Args:
        model: the model that it is a plan for.
        places: a row for each layer, in the order in which the model runs.
        seed: the first layer's, from which the others count up; None to draw each when it is made.
    """

    model: Any
    places: tuple[Place, ...]
    seed: int | None

    def apply(self) -> keras.Model:
        """A copy of the model with the layers in it, and the same weights; the model itself stays as it is.

        Raises:
            TypeError: Keras would make a model of another class in copying it.
        """
        seeds = [None if self.seed is None else self.seed + number for number in range(len(self.places))]
        layers = {place.site: place.layer(seed) for place, seed in zip(self.places, seeds, strict=True)}
        numbers: defaultdict[str, Iterator[int]] = defaultdict(count)

        def dropped(site: Site, x: Any) -> Any:
            return layers[site](x) if site in layers else x

        def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
            number, inputs = next(numbers[operation.name]), count()
            args, kwargs = keras.tree.map_structure(
                lambda x: (
                    dropped(Site(operation.name, number, next(inputs)), x) if isinstance(x, keras.KerasTensor) else x
                ),
                (args, kwargs),
            )
            return dropped(Site(operation.name, number), operation(*args, **kwargs))

        inputs = keras.tree.map_structure(_input, self.model.input)
        copy = keras.models.clone_model(self.model, inputs, call_function=call)
        if type(copy) is not type(self.model):
            raise TypeError(
                f"model is a {type(self.model).__name__}, and Keras copies it as a {type(copy).__name__}: have its "
                "class take (inputs, outputs, **kwargs), as keras.Model does, or put DropBlock2D where you build it"
            )
        for layer in self.model.layers:
            if layer.weights:
                copy.get_layer(layer.name).set_weights(layer.get_weights())
        return copy

    def __str__(self) -> str:
        return placement.table([placement.HEADINGS, *map(_cells, self.places)], words=2)

    __repr__ = __str__


def _input(x: Any) -> Any:
    """An input like `x`, of the same name: the copy would have others by itself."""
    return keras.Input(batch_shape=x.shape, dtype=x.dtype, sparse=x.sparse, name=x._keras_history.operation.name)


def _cells(place: Place) -> tuple[str, ...]:
    options = place.options
    return placement.cells(place.name, place.what, options["block_size"], options["keep_prob"], options["gamma_scale"])


def plan_dropblock(
    model: keras.Model,
    groups: Iterable[int] = (3, 4),
    block_size: int | tuple[int, ...] = 7,
    keep_prob: float = 0.9,
    *,
    skip: bool = True,
    where: str | Where | Iterable[str | Where] | None = None,
    **options: Any,
) -> Plan:
    """What :func:`add_dropblock` would do with the same arguments, without doing it.

    Returns:
        A :class:`Plan`: print it, then ``apply()`` it.

    Raises:
        ValueError, TypeError: as :func:`add_dropblock`.

    >>> import keras
    >>> x = keras.Input((14, 14, 8))
    >>> y = keras.layers.Conv2D(8, 3, padding="same")(x)
    >>> y = keras.layers.Add(name="a_sum")([x, keras.layers.BatchNormalization(name="a_norm")(y)])
    >>> print(plan_dropblock(keras.Model(x, y), where=Where("a_*", share=0.25)))
    place   where                     block  keep_prob  gamma_scale
    a_norm  after BatchNormalization      7        0.9         0.25
    a_sum   skip: the identity            7        0.9         0.25
    """
    model = functional(model)
    skip = validate.flag("skip", skip)
    wanted = Where.wanted(where, groups, skip, options.get("calibrated"))
    scale = validate.gamma_scale(options.pop("gamma_scale", 1.0))
    if (seed := options.pop("seed", None)) is not None:
        seed = validate.integer("seed", seed, "it is the first layer's, and the others count up from it")
    places = []
    names = Counter(layer.name for layer in model.layers)
    for found in _found(Graph(model), wanted):
        name = f"{found.site.operation}_dropblock"
        names[name] += 1
        own = {
            "keep_prob": keep_prob,
            "block_size": block_size,
            "gamma_scale": scale * found.share,
            "name": name if names[name] == 1 else f"{name}_{names[name] - 1}",
            "dtype": found.tensor.dtype,  # the model's there, whatever the global policy is now
        }
        places.append(
            Place(found.site.operation, found.what, {**own, **options}, found.site, len(found.tensor.shape) - 2)
        )
    # Wrong options raise here, by a layer that nobody gets: for it no seed is drawn.
    places[-1].layer(0 if seed is None else seed + len(places) - 1)
    return Plan(model, tuple(places), seed)


def _found(graph: Graph, wanted: list[Where]) -> list[Found]:
    """All sites, in the order in which the model runs."""
    found = [one for where in wanted for one in sites(graph, where) if len(one.tensor.shape) - 2 in _BY_RANK]
    if twice := [site for site, times in Counter(one.site for one in found).items() if times > 1]:
        raise ValueError(f"where means {twice[0].operation} twice: its parts must not overlap")
    order = {(call.operation.name, graph.number[call]): place for place, call in enumerate(graph.calls)}
    return sorted(found, key=lambda one: order[one.site[:2]])
