# SPDX-License-Identifier: Apache-2.0
"""Pictures for the HTML report: sampled masks, the observed drop map beside the exact one, intervals and margins.

A unit is a pixel, which the browser enlarges; a report of twenty subjects stays below a few megabytes.
"""

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.image import imsave

Image = npt.NDArray[np.float64]

KEPT_AND_DROPPED = ListedColormap(["#23395d", "#e8edf4"])  # 0 = dropped, 1 = kept
SHARES = mpl.colormaps["viridis"]


def as_image(units: Any) -> Image:
    """A map of any spatial rank as a picture: a row as it is, a volume as its slices side by side."""
    array = np.asarray(units, np.float64)
    if array.ndim == 3:
        gap = np.full((array.shape[1], 1), np.nan)
        return np.hstack([part for layer in array for part in (layer, gap)][:-1])
    return np.atleast_2d(array)


def as_data_uri(image: Image, colours: Colormap, top: float) -> str:
    """A PNG with a pixel a unit, where 0 and `top` have the first and the last of the colours."""
    buffer = BytesIO()
    imsave(buffer, image, cmap=colours, vmin=0, vmax=top, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def drop_map(data: dict[str, Any]) -> dict[str, Any] | None:
    """Sampled masks, and how often each unit was dropped beside the exact probability; None without any."""
    if "drop_map" not in data:
        return None
    observed, exact = as_image(data["drop_map"]["observed"]), as_image(data["drop_map"]["exact"])
    top = max(float(np.nanmax(observed)), float(np.nanmax(exact)), 1e-9)
    return {
        "maps": data["drop_map"]["maps"],
        "masks": [as_data_uri(as_image(mask), KEPT_AND_DROPPED, 1.0) for mask in data["masks"]],
        "observed": as_data_uri(observed, SHARES, top),
        "exact": as_data_uri(exact, SHARES, top),
        "scale": as_data_uri(np.linspace(0, top, 64)[None], SHARES, top),
        "top": top,
        "shape": exact.shape,
    }


def intervals(tests: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """Of each test, where on a line from 0 to 100 its interval, its effect and the margin lie, on one scale for all."""
    ends = [abs(test[end]) for test in tests for end in ("low", "effect", "high") if test[end] is not None]
    reach = min(1.05 * max([*ends, *(1.5 * test["margin"] for test in tests)], default=1.0), 10.0)

    def place(effect: float | None, otherwise: float) -> float:
        return float(np.clip(50 + 50 * (otherwise if effect is None else effect) / reach, 0, 100))

    return [
        {
            "low": place(test["low"], -reach),
            "effect": place(test["effect"], reach),
            "high": place(test["high"], reach),
            "margin_low": place(-test["margin"], 0),
            "margin_high": place(test["margin"], 0),
        }
        for test in tests
    ]
