# SPDX-License-Identifier: Apache-2.0
"""The paper's placement in the ResNets of ``keras.applications``, by cloning (section 4.1)."""

import re
from typing import Any

import keras

from dropblock_core import validate
from dropblock_keras.layers import DropBlock2D

# keras.applications calls the paper's group g "conv{g + 1}". What ends a convolution with its norm and activation is
# "_1_relu" and "_2_relu", then "_3_bn", or, in the second version of the architecture, "_3_conv" without a norm.
LAYER = re.compile(r"conv(?P<conv>[2-5])_block\d+_(?P<part>1_relu|2_relu|3_bn|3_conv|add|out)$")


def add_dropblock(
    model: keras.Model,
    groups: tuple[int, ...] = (3, 4),
    block_size: int | tuple[int, int] = 7,
    keep_prob: float = 0.9,
    *,
    skip: bool = True,
    **options: Any,
) -> keras.Model:
    """A copy of a ResNet with DropBlock after every convolution of `groups` and on their skip connections.

    Gamma is scaled by ``1 / 4^(4 - group)``, the authors' rule, which is the paper's 1/4 in group 3.

    Args:
        model: a ResNet of ``keras.applications``, of either version.
        groups: of 1 to 4, the ones that get it; the paper's best are 3 and 4.
        block_size, keep_prob, options: as in :class:`DropBlock2D`.
        skip: whether the skip connections get it too, as in the paper.

    Returns:
        A new model with the same weights; its DropBlock layers are those of class :class:`DropBlock2D`.

    Raises:
        ValueError, TypeError: no layer of these groups was found, or an argument breaks rule R14; the message names it.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"{validate.shown('model', model)} is not a keras.Model: pass a ResNet of keras.applications")
    rule = "a ResNet has groups 1 to 4; the paper's are (3, 4)"
    if not isinstance(groups, (tuple, list, set, frozenset, range)):
        raise TypeError(f"{validate.shown('groups', groups)} is not a tuple of ints: {rule}")
    if not groups or not {validate.integer("groups", group, rule) for group in groups} <= {1, 2, 3, 4}:
        raise ValueError(f"{validate.shown('groups', groups)}: {rule}")
    skip = validate.flag("skip", skip)
    keep_prob = validate.probability("keep_prob", keep_prob)
    has_norm_after_3 = any(layer.name.endswith("_3_bn") for layer in model.layers)
    placed: list[DropBlock2D] = []

    def dropped(x: Any, group: int, name: str) -> Any:
        scale = 1 / 4 ** (4 - group)
        placed.append(DropBlock2D(keep_prob, block_size, gamma_scale=scale, name=f"{name}_dropblock", **options))
        return placed[-1](x)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        found = LAYER.match(layer.name)
        group = int(found["conv"]) - 1 if found else 0
        if not found or group not in groups:
            return layer(*args, **kwargs)
        if isinstance(layer, keras.layers.Add):
            if not skip:
                return layer(*args, **kwargs)
            (shortcut, residual), *others = args
            return layer([dropped(shortcut, group, layer.name), residual], *others, **kwargs)
        y = layer(*args, **kwargs)
        ends = found["part"] in ("1_relu", "2_relu", "3_bn" if has_norm_after_3 else "3_conv")
        return dropped(y, group, layer.name) if ends else y

    copy = keras.models.clone_model(model, call_function=call)
    if not placed:
        raise ValueError(
            f"model {model.name!r} has no layer named like conv4_block1_1_relu in groups {groups}: add_dropblock knows "
            "the ResNets of keras.applications; in another model put DropBlock2D layers where you build it"
        )
    for layer in model.layers:
        if layer.weights:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy
