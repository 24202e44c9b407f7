# SPDX-License-Identifier: Apache-2.0
"""The options that a layer passes to drop_block: bad ones are refused when the layer is made."""

from collections.abc import Mapping
from typing import Any

from dropblock_core import validate

NAMES = ("per_channel", "renorm", "gamma_scale", "calibrated", "stream", "data_format", "axis_name")


def checked_options(options: Mapping[str, Any], *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """`options` as a dict; TypeError for one that drop_block does not have, or that is among `without`."""
    validate.no_foreign_keywords(
        {name: value for name, value in options.items() if name not in NAMES or name in without}, "DropBlock"
    )
    return dict(options)


def checked_keep_prob(keep_prob: Any) -> Any:
    """`keep_prob`; ValueError or TypeError for a number outside [0, 1]. An array is checked when it is used."""
    return validate.probability("keep_prob", keep_prob) if isinstance(keep_prob, (int, float, str)) else keep_prob
