"""The pictures show what the functions of the core say."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from dropblock_core import LinearSchedule, block_mask, gamma, keep_map, sample_seeds

plot = pytest.importorskip("dropblock_core.plot", exc_type=ImportError)
plt, plot_law, plot_mask, plot_schedule = plot.plt, plot.plot_law, plot.plot_mask, plot.plot_schedule


@pytest.fixture(autouse=True)
def _figures_closed() -> Iterator[None]:
    plt.switch_backend("agg")
    yield
    plt.close("all")


def pixels(ax: Any) -> np.ndarray[Any, Any]:
    return np.asarray(ax.images[0].get_array())


def test_plot_mask_shows_the_masks_the_seeds_and_the_valid_region() -> None:
    ax = plot_mask(0.8, 3, (9, 8), channels=2, seed=5)
    seeds = sample_seeds(5, 1, 2, (9, 8), 3, gamma(0.8, 3, (9, 8)))
    mask = block_mask(seeds, 3, (9, 8))[0]
    strip = pixels(ax)
    for c, first in enumerate((0, 9)):
        is_dark = strip[:, first : first + 8].mean(axis=-1) < 0.5
        np.testing.assert_array_equal(is_dark, ~mask[c])
        drawn = {(int(y), int(x - first)) for x, y in zip(*ax.lines[c].get_data(), strict=True)}
        assert drawn == {tuple(at) for at in np.argwhere(seeds[0, c]).tolist()}
    assert [(patch.get_width(), patch.get_height()) for patch in ax.patches] == [(6, 7)] * 2
    assert f"{1 - mask.mean():.1%} dropped" in ax.get_title()


def test_channels_that_share_a_mask_look_alike_and_a_sequence_is_a_row() -> None:
    strip = pixels(plot_mask(0.5, 3, 8, channels=2, per_channel=False))
    np.testing.assert_array_equal(strip[:, :8], strip[:, 9:17])
    plt.figure()
    assert pixels(plot_mask(0.5, 3, (20,), channels=1)).shape == (1, 20, 3)


@pytest.mark.parametrize("options", [{}, {"gamma_scale": 0.25}, {"calibrated": True}])
def test_plot_law_shows_the_exact_law(options: dict[str, Any]) -> None:
    ax = plot_law(0.7, 3, (6, 5), **options)
    kept = keep_map(gamma(0.7, 3, (6, 5), **options), 3, (6, 5))
    np.testing.assert_array_equal(pixels(ax), kept)
    assert f"keeps {kept.mean():.2%}" in ax.get_title()


@pytest.mark.parametrize("steps", [None, 7])
def test_plot_schedule_shows_the_schedule(steps: int | None) -> None:
    schedule = LinearSchedule(0.9, 10)
    at, values = plot_schedule(schedule, steps).lines[0].get_data()
    assert at.max() == (12 if steps is None else steps)
    assert list(values) == [schedule(int(step)) for step in at]


def test_they_draw_where_they_are_told() -> None:
    figure, axes = plt.subplots(1, 3)
    drawn = [plot_mask(ax=axes[0]), plot_law(ax=axes[1]), plot_schedule(LinearSchedule(0.9, 5), ax=axes[2])]
    assert [ax in axes for ax in drawn] == [True] * 3
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: plot_mask(1.5), "keep_prob=1.5 is outside"),
        (lambda: plot_mask(channels=0), "channels=0: there is no map"),
        (lambda: plot_mask(per_channel="no"), "per_channel='no' is not a bool"),
        (lambda: plot_law(feat_size=(4, 4, 4)), r"feat_size=\(4, 4, 4\) has three axes"),
        (lambda: plot_schedule(0.9), "schedule=0.9 is no function"),
        (lambda: plot_schedule(lambda step: 0.9), "steps=0 leaves nothing to draw"),
        (lambda: plot_schedule(lambda step: 0.9, -1), "steps=-1 is negative"),
    ],
)
def test_r14_bad_arguments_are_refused(call: Callable[[], Any], says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        call()


def test_without_matplotlib_the_remedy_is_said() -> None:
    code = "import sys; sys.modules['matplotlib'] = None; import dropblock_core.plot"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'dropblock-core[plot]'" in done.stderr
