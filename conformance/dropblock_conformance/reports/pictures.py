"""Pictures for the HTML report: sampled masks, the observed drop map beside the exact one, intervals and margins."""

import base64
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

Image = npt.NDArray[np.float64]

KEPT_AND_DROPPED = ListedColormap(["#23395d", "#e8edf4"])  # 0 = dropped, 1 = kept


def as_image(units: Any) -> Image:
    """A map of any spatial rank as a picture: a row as it is, a volume as its slices side by side."""
    array = np.asarray(units, np.float64)
    if array.ndim == 3:
        gap = np.full((array.shape[1], 1), np.nan)
        return np.hstack([part for layer in array for part in (layer, gap)][:-1])
    return np.atleast_2d(array)


def as_data_uri(figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def drop_map(data: dict[str, Any]) -> str | None:
    """Sampled masks, and how often each unit was dropped beside the exact probability; None without any."""
    if "drop_map" not in data:
        return None
    masks = [as_image(mask) for mask in data["masks"]]
    observed, exact = as_image(data["drop_map"]["observed"]), as_image(data["drop_map"]["exact"])
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    left, right = np.ravel(np.asarray(figure.subfigures(1, 2, width_ratios=(1, 1.35)), dtype=object))
    left.suptitle("sampled masks (dark: dropped)", fontsize=9)
    for axes, mask in zip(np.ravel(left.subplots(2, 3)), [*masks, *[None] * 6], strict=False):
        axes.set_axis_off()
        if mask is not None:
            axes.imshow(mask, cmap=KEPT_AND_DROPPED, vmin=0, vmax=1)
    top = max(float(np.nanmax(observed)), float(np.nanmax(exact)), 1e-9)
    right.suptitle(f"share of {data['drop_map']['maps']:,} maps that dropped each unit", fontsize=9)
    panels = right.subplots(1, 2)
    for axes, image, title in zip(panels, (observed, exact), ("observed", "exact law"), strict=True):
        shown = axes.imshow(image, cmap="viridis", vmin=0, vmax=top)
        axes.set_title(title, fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
    right.colorbar(shown, ax=panels, shrink=0.8).ax.tick_params(labelsize=7)
    return as_data_uri(figure)


def intervals(tests: Sequence[dict[str, Any]]) -> str | None:
    """Each test's interval on the effect beside the margin, within which it has to lie; None without any."""
    if not tests:
        return None
    figure = Figure(figsize=(9, 0.75 + 0.27 * len(tests)), layout="constrained")
    axes = figure.subplots()
    margin = tests[0]["margin"]
    axes.axvspan(-margin, margin, color="#2e7d32", alpha=0.15, label="margin")
    axes.axvline(0, color="#888888", linewidth=0.8)
    colours = {"conforms": "#2e7d32", "deviates": "#c62828", "inconclusive": "#8e24aa"}
    for row, test in enumerate(reversed(tests)):
        colour = colours[test["verdict"]]
        low, high = (-9.0 if test["low"] is None else test["low"]), (9.0 if test["high"] is None else test["high"])
        axes.plot([low, high], [row, row], color=colour, linewidth=2.2)
        axes.plot([test["effect"]], [row], "o", color=colour, markersize=4)
    axes.set_yticks(range(len(tests)), [test["event"] for test in reversed(tests)], fontsize=7)
    axes.set_ylim(-0.6, len(tests) - 0.4)
    axes.tick_params(axis="x", labelsize=7)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.1%}")
    axes.set_xlabel("effect (green band: the margin)", fontsize=8)
    return as_data_uri(figure)
