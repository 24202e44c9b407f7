# SPDX-License-Identifier: Apache-2.0
"""Pictures of what a setting does, for a notebook or a paper: ``pip install 'dropblock-core[plot]'``.

Each function draws into a Matplotlib ``Axes``, the current one by default, and returns it.

>>> from dropblock_core.plot import plot_mask
>>> ax = plot_mask(keep_prob=0.9, block_size=7, feat_size=28, channels=4)
>>> ax.get_title()
'keep_prob 0.9, block_size 7: 11.2% dropped, 9.4% expected'
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from dropblock_core import law, validate
from dropblock_core.gamma import gamma as eq1
from dropblock_core.mask import block_mask, sample_seeds

try:
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle
except ImportError as error:
    raise ImportError(
        "dropblock_core.plot draws with Matplotlib, which is not installed: pip install 'dropblock-core[plot]'"
    ) from error

DROPPED, KEPT, SEED, VALID = "#33415c", "#f2f4f8", "#e07a1f", "#2a9d5c"


def plot_mask(
    keep_prob: float = 0.9,
    block_size: int | tuple[int, ...] = 7,
    feat_size: int | tuple[int, ...] = 14,
    *,
    channels: int = 8,
    per_channel: bool = True,
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    seed: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """One sample's masks, side by side: what is dropped, each block's seed, and the valid region of Fig. 2(a).

    Args:
        keep_prob, block_size, per_channel, gamma_scale, calibrated, seed: as in :func:`dropblock_core.drop_block`.
        feat_size: side of a square map, or the sizes of one or two spatial axes.
        channels: how many maps, at least 1.
        ax: where to draw.

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it.
    """
    feat, block, gamma = _geometry(keep_prob, block_size, feat_size, gamma_scale, calibrated)
    if validate.size("channels", channels) == 0:
        raise ValueError("channels=0: there is no map to draw; pass at least 1")
    maps = channels if validate.flag("per_channel", per_channel) else 1
    seeds = sample_seeds(seed, 1, maps, feat, block, gamma)
    dropped = ~block_mask(seeds, block, feat)
    shown = _as_image(np.broadcast_to(dropped[0], (channels, *feat)))
    starts = _as_image(np.broadcast_to(seeds[0], (channels, *seeds.shape[2:])))
    height, width = shown.shape[1:]
    pitch = width + max(1, width // 8)
    strip = np.full((height, channels * pitch - (pitch - width), 3), 1.0)
    colours = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in (KEPT, DROPPED)])
    ax = plt.gca() if ax is None else ax
    for c in range(channels):
        strip[:, c * pitch : c * pitch + width] = colours[shown[c].astype(int)]
        rows, columns = np.nonzero(starts[c])
        ax.plot(columns + c * pitch, rows, "s", color=SEED, markersize=3)
        valid = starts.shape[2], starts.shape[1]
        ax.add_patch(Rectangle((c * pitch - 0.5, -0.5), *valid, fill=False, edgecolor=VALID, linewidth=1))
    ax.imshow(strip, interpolation="nearest")
    expected = 1 - law.expected_keep(gamma, block, feat)
    ax.set_title(_setting(keep_prob, block_size) + f": {dropped.mean():.1%} dropped, {expected:.1%} expected")
    ax.set_axis_off()
    return ax


def plot_law(
    keep_prob: float = 0.9,
    block_size: int | tuple[int, ...] = 7,
    feat_size: int | tuple[int, ...] = 14,
    *,
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """The exact probability that each unit is kept (rule R11). Units in the middle lie in more blocks than others.

    The arguments are those of :func:`plot_mask`.
    """
    feat, block, gamma = _geometry(keep_prob, block_size, feat_size, gamma_scale, calibrated)
    ax = plt.gca() if ax is None else ax
    kept = law.keep_map(gamma, block, feat)
    image = ax.imshow(_as_image(kept[None])[0], interpolation="nearest", cmap="viridis")
    ax.figure.colorbar(image, ax=ax, label="probability of being kept")
    ax.set_title(_setting(keep_prob, block_size) + f": keeps {kept.mean():.2%}")
    return ax


def plot_schedule(schedule: Callable[[int], float], steps: int | None = None, *, ax: Axes | None = None) -> Axes:
    """keep_prob over the training steps.

    Args:
        schedule: a function of the step, such as :class:`dropblock_core.LinearSchedule`.
        steps: how many to draw; by default a fifth more than the schedule has, if it has `steps`.
        ax: where to draw.

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it.
    """
    if not callable(schedule):
        raise TypeError(f"{validate.shown('schedule', schedule)} is no function of the step: pass a LinearSchedule")
    if steps is None:
        steps = int(getattr(schedule, "steps", 0) * 1.2)
    if validate.steps(steps) == 0:
        raise ValueError("steps=0 leaves nothing to draw: pass the number of training steps")
    ax = plt.gca() if ax is None else ax
    at = np.unique(np.linspace(0, steps, 512).astype(int))
    ax.plot(at, [float(schedule(int(step))) for step in at], color=DROPPED)
    ax.set_xlabel("training step")
    ax.set_ylabel("keep_prob")
    return ax


def _geometry(
    keep_prob: Any, block_size: Any, feat_size: Any, gamma_scale: Any, calibrated: Any
) -> tuple[tuple[int, ...], tuple[int, ...], float]:
    """The map, the block clipped to it, and gamma."""
    feat = validate.feat_sizes(feat_size)
    if len(feat) > 2:
        raise ValueError(f"{validate.shown('feat_size', feat_size)} has three axes: a picture has one or two")
    gamma = eq1(keep_prob, block_size, feat, gamma_scale=gamma_scale, calibrated=calibrated)
    return feat, validate.block_sides(block_size, feat), gamma


def _as_image(maps: Any) -> Any:
    """Maps with two axes each: one of one axis is a row."""
    return maps if maps.ndim == 3 else maps[:, None]


def _setting(keep_prob: float, block_size: Any) -> str:
    return f"keep_prob {float(keep_prob):g}, block_size {block_size}"
