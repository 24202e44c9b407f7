# SPDX-License-Identifier: Apache-2.0
"""The arguments that a layer keeps for drop_block: bad ones are refused when the layer is made."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from dropblock_core import validate
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


def checked_options(block_size: Any, options: Mapping[str, Any], *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """`options` as a dict. ValueError or TypeError for a bad one, for a bad `block_size`, and for one of no meaning.

    That is one which drop_block does not have, or that is among `without`. How many spatial axes there are shows at the
    call, and so does the value of what is traced.
    """
    validate.no_foreign_keywords(
        {name: value for name, value in options.items() if name not in DEFAULTS or name in without}, "DropBlock"
    )
    given = DEFAULTS | dict(options)
    sides = validate.per_axis(block_size, 1)
    calibrated = validate.flag("calibrated", given["calibrated"])
    rank = min(max(len(sides), 1), 3)
    validate.options(block_size, rank, given["renorm"], given["gamma_scale"], calibrated=calibrated)
    validate.flag("per_channel", given["per_channel"])
    validate.data_format(given["data_format"], "JAX")
    return dict(options)


def checked_keep_prob(keep_prob: Any) -> Any:
    """`keep_prob`; ValueError or TypeError unless it is a number in [0, 1]. An array is checked when it is used."""
    if isinstance(keep_prob, (Threshold, jax.Array, np.ndarray)):
        return keep_prob
    return validate.probability("keep_prob", keep_prob)
