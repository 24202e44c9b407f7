# SPDX-License-Identifier: Apache-2.0
"""The arguments that a layer keeps for drop_block: bad ones are refused when the layer is made."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from dropblock_core import arrays, validate
from dropblock_jax.threshold import Threshold

DEFAULTS: dict[str, Any] = {
    "per_channel": True,
    "renorm": "tensor",
    "gamma_scale": 1.0,
    "calibrated": False,
    "stream": 0,
    "data_format": "channels_last",
    "axis_name": None,
}


def checked_options(
    block_size: Any, options: Mapping[str, Any], *, without: tuple[str, ...] = ()
) -> tuple[Any, dict[str, Any]]:
    """`block_size` and `options` in plain Python: a layer keeps them as parts of the program, which hold no array.

    ValueError or TypeError for a bad one, and for an option of no meaning: which drop_block does not have, or that is
    among `without`. How many spatial axes there are shows at the call, and so does the value of what is traced.
    """
    validate.no_foreign_keywords(
        {name: value for name, value in options.items() if name not in DEFAULTS or name in without}, "DropBlock"
    )
    given = DEFAULTS | dict(options)
    for name in ("per_channel", "calibrated"):
        given[name] = validate.flag(name, given[name])
    rank = min(max(len(validate.per_axis(block_size, 1)), 1), 3)
    _, given["renorm"], given["gamma_scale"] = validate.options(
        block_size, rank, given["renorm"], given["gamma_scale"], calibrated=given["calibrated"]
    )
    given["data_format"] = validate.data_format(given["data_format"], "JAX")
    if not arrays.is_traced(given["stream"]):
        given["stream"] = validate.counter_word("stream", given["stream"])
    return validate.block_size(block_size, rank), {name: given[name] for name in options}


def checked_array(x: Any) -> Any:
    """`x`; TypeError unless it is an array."""
    if not isinstance(x, (jax.Array, np.ndarray)):
        raise TypeError(f"x is a {type(x).__name__}: pass an array, e.g. jnp.asarray(x)")
    return validate.unmasked(x)


def checked_keep_prob(keep_prob: Any) -> Any:
    """`keep_prob`; ValueError or TypeError unless it is a number in [0, 1]. An array is checked when it is used."""
    if isinstance(keep_prob, (Threshold, jax.Array, np.ndarray)):
        return keep_prob
    return validate.probability("keep_prob", keep_prob)
