"""The curves and intervals of the page, drawn from the results file alone. What was not run is left out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from docs.experiments.analysis import KEEP_PROBS as AT_INFERENCE
from docs.experiments.claims import ACCURACY, AP, BLOCK_1, DROPBLOCK, KEEP_PROBS, MIOU, NONE, of_panel, of_sweep, plain
from docs.experiments.configurations import RUNS
from docs.experiments.photographs import KEEP_PROBS as ON_PHOTOGRAPHS
from docs.experiments.published import TABLE_1, TABLE_2, TABLE_3, TABLE_4, Number
from docs.experiments.results import Results
from docs.experiments.statistics import ENOUGH, Row, Summary, Value, paired, summary, values

COLOURS = {"none": "#2e7d32", "1": "#1565c0", "7": "#c62828"}
OURS, GREY = COLOURS["7"], "#666666"
# Each table: what is measured, and the paper's column of it.
TABLES: list[tuple[str, Value, str, dict[str, dict[str, Number]], str]] = [
    ("Table 1", ACCURACY, "accuracy, points", TABLE_1, "top-1"),
    ("Table 2", ACCURACY, "accuracy, points", TABLE_2, "top-1"),
    ("Table 3", AP, "AP, points", TABLE_3, "AP"),
    ("Table 4", MIOU, "mIOU, points", TABLE_4, "mIOU"),
]


@contextmanager
def saved(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure that is written as a small SVG, the same each time, if anything was drawn."""
    style = {"svg.hashsalt": "dropblock", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False}
    with mpl.rc_context({**style, "axes.spines.right": False}):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        if any(ax.has_data() for ax in figure.axes):
            figure.savefig(path, metadata={"Date": None, "Creator": None})


def line(ax: Any, x: Sequence[float], summaries: list[Summary | None], label: str, **style: Any) -> None:
    """Means with their standard errors, where there are any."""
    points = [(a, s.mean, s.error) for a, s in zip(x, summaries, strict=True) if s]
    if points:
        ax.errorbar(*zip(*points, strict=True), marker="o", markersize=3, capsize=2, label=label, **style)


def legend(figure: Figure, ax: Any, columns: int) -> None:
    """Below, from what one of the axes shows."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)


def of_row(results: Results, row: Row, value: Value = ACCURACY) -> Summary | None:
    return summary(list(values(results, row, value).values()))


def band_of_none(ax: Any, results: Results) -> None:
    """Beside what is drawn: what no regularisation reaches, its mean and a standard error to each side."""
    none = of_row(results, NONE)
    if none and ax.has_data():
        low, high = none.mean - none.error, none.mean + none.error
        ax.axhspan(low, high, color=COLOURS["none"], alpha=0.25, linewidth=0, label="none")


def rows_of(experiment: str) -> list[str]:
    return list(dict.fromkeys(run.row for run in RUNS if run.experiment == experiment and run.row != "none"))


def gains(results: Results, path: Path) -> None:
    """Tables 1 to 4: what each row gains over `none`, with its 95% interval, beside what the paper reports."""
    heights = [len(rows_of(experiment)) + 1.5 for experiment, *_ in TABLES]
    with saved(path, 7, 0.24 * sum(heights) + 0.8) as figure:
        axes = figure.subplots(len(TABLES), 1, height_ratios=heights)
        for ax, (experiment, value, quantity, table, column) in zip(axes, TABLES, strict=True):
            rows = rows_of(experiment)
            for y, row in enumerate(rows):
                ours = summary(list(paired(results, (experiment, row), (experiment, "none"), value).values()))
                if ours and ours.number >= ENOUGH:
                    ax.errorbar(
                        ours.mean, y, xerr=ours.half_width, fmt="o", color=COLOURS["7"], capsize=3, markersize=4
                    )
                theirs = row.removeprefix("head, keep_prob 0.2, ")
                if theirs in table:
                    gain = plain(table[theirs][column]) - plain(table["none"][column])
                    ax.plot(gain, y, "D", color=GREY, markerfacecolor="none", markersize=5)
            ax.axvline(0, color=GREY, linewidth=0.8)
            ax.set_yticks(range(len(rows)), rows)
            ax.set_ylim(len(rows) - 0.5, -0.5)
            ax.set_title(f"{experiment}: {quantity}", fontsize=9, loc="left")
        figure.supxlabel("gain over none: here, with its 95% interval (dot), and in the paper (diamond)", fontsize=9)


def figure_3(results: Results, path: Path) -> None:
    """Accuracy over keep_prob, and over the share that was really dropped in group 4."""
    methods = {
        ("DropBlock", "scheduled"): {"color": COLOURS["7"]},
        ("DropBlock", "fixed"): {"color": COLOURS["7"], "linestyle": "--", "alpha": 0.6},
        ("dropout", "scheduled"): {"color": COLOURS["1"]},
        ("SpatialDropout", "scheduled"): {"color": "#ef6c00"},
    }
    with saved(path, 7, 3.2) as figure:
        by_name, by_share = figure.subplots(1, 2, sharey=True)
        for (method, how), style in methods.items():
            rows = [of_sweep(method, how, keep_prob) for keep_prob in KEEP_PROBS]
            accuracies = [of_row(results, row) for row in rows]
            line(by_name, KEEP_PROBS, accuracies, f"{method}, {how}", **style)
            shares = [values(results, row, lambda metrics: 100 * metrics["dropped"]["group 4"]) for row in rows]
            means = [float(np.mean(list(share.values()))) if share else 0.0 for share in shares]
            line(by_share, means, accuracies, "", **style)
        for ax in (by_name, by_share):
            band_of_none(ax, results)
        by_name.set_xlabel("keep_prob")
        by_name.set_ylabel("test accuracy, %")
        by_share.set_xlabel("really dropped in group 4, last epoch, %")
        legend(figure, by_name, 3)


def figure_4(results: Results, path: Path) -> None:
    """Accuracy over block_size, by where and how DropBlock is applied."""
    panels = {"branch": "branch, fixed", "skip": "branch and skip, fixed", "scheduled": "branch and skip, scheduled"}
    blocks = (1, 3, 5, 7)
    with saved(path, 7, 2.9) as figure:
        axes = figure.subplots(1, 3, sharey=True)
        for ax, (how, title) in zip(axes, panels.items(), strict=True):
            for groups, colour in (("group 4", COLOURS["1"]), ("groups 3 and 4", COLOURS["7"])):
                line(ax, blocks, [of_row(results, of_panel(groups, how, b)) for b in blocks], groups, color=colour)
            band_of_none(ax, results)
            ax.set_xticks(blocks)
            ax.set_xlabel("block_size")
            ax.set_title(title, fontsize=9)
        axes[0].set_ylabel("test accuracy, %")
        legend(figure, axes[-1], 3)


def figure_5(results: Results, path: Path) -> None:
    """Accuracy with DropBlock at inference, of networks trained without it, with block 1 and with block 7."""
    trained = {
        "none": (NONE, "trained without DropBlock"),
        "1": (BLOCK_1, "trained with block 1"),
        "7": (DROPBLOCK, "trained with block 7"),
    }
    with saved(path, 7, 3.2) as figure:
        axes = figure.subplots(1, 2, sharey=True)
        for ax, block_size, letter in zip(axes, ("1", "7"), "ab", strict=True):
            for name, (row, label) in trained.items():
                found = values(results, row, lambda metrics, b=block_size: metrics["inference"][b])
                curves = [summary([100 * curve[i] for curve in found.values()]) for i in range(len(AT_INFERENCE))]
                line(ax, AT_INFERENCE, curves, label, color=COLOURS[name])
            ax.set_xlabel("keep_prob at inference")
            ax.set_title(f"({letter}) block {block_size} at inference", fontsize=9)
        axes[0].set_ylabel("test accuracy, %")
        legend(figure, axes[0], 3)


def figure_5_photographs(results: Results, path: Path) -> None:
    """The same of the network with ImageNet's weights, on photographs: means and standard errors over them."""
    found = results.get(("photographs", "EfficientNet-lite0", 0))
    if not found:
        return
    with saved(path, 7, 2.9) as figure:
        axes = figure.subplots(1, 2, sharey=True)
        for ax, (name, title) in zip(
            axes,
            {"kept": "first class stays, %", "probability": "probability of the first class, %"}.items(),
            strict=True,
        ):
            for block_size in ("1", "7"):
                by_photograph = 100 * np.array(found["metrics"]["inference"][block_size][name])
                curve = [summary(list(column)) for column in by_photograph.T]
                line(ax, ON_PHOTOGRAPHS, curve, f"block {block_size}", color=COLOURS[block_size])
            ax.set_xlabel("keep_prob at inference")
            ax.set_title(title, fontsize=9)
        legend(figure, axes[0], 2)


FIGURES = {
    "gains": gains,
    "fig_3": figure_3,
    "fig_4": figure_4,
    "fig_5": figure_5,
    "fig_5_photographs": figure_5_photographs,
}
