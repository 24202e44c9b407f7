"""The pictures that documents show wherever they are read. ``python docs/pictures.py`` writes them.

masks.svg: dropout, SpatialDropout and DropBlock at one rate. cost.svg: what a call costs, from performance.md's tables.
"""

import itertools
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from dropblock_core.plot import plot_mask

DOCS = Path(__file__).parent
SIDE, KEEP_PROB = 28, 0.75
# With a block of one unit DropBlock is dropout, and with one of the whole map it is SpatialDropout.
BLOCKS = {"dropout": 1, "SpatialDropout": SIDE, "DropBlock": 7}

# The first setting of each table. Panels: a title, the framework's table, and how its directions begin.
PANELS = [("NumPy", "numpy", ""), ("PyTorch", "torch", ""), ("JAX, under jit", "jax", "")]
PANELS += [("TensorFlow, under XLA", "tf", "XLA, "), ("TensorFlow, in a graph", "tf", "graph, ")]
MARKERS: dict[str, dict[str, Any]] = {
    "forward": {"marker": "o"},
    "forward + backward": {"marker": "s", "markerfacecolor": "white"},
}
OURS, OTHERS = "#0a4bff", "#5a5c63"


def masks() -> Figure:
    figure = Figure(figsize=(9, 4.1), layout="constrained")
    for ax, (name, block_size) in zip(figure.subplots(len(BLOCKS), 1), BLOCKS.items(), strict=True):
        plot_mask(keep_prob=KEEP_PROB, block_size=block_size, feat_size=SIDE, calibrated=True, seed=3, ax=ax)
        for mark in (*ax.lines, *ax.patches):
            mark.remove()
        ax.set_title(f"{name}: {ax.get_title()}", fontsize=10)
    return figure


def costs(framework: str, prefix: str) -> dict[str, dict[str, float]]:
    """For each layer and direction, how many times as long as ``x * s`` a call takes, at the table's first setting."""
    text = (DOCS / "performance.md").read_text()
    _, _, text = text.partition(f"<!-- begin: make bench {framework} -->")
    lines = itertools.takewhile(lambda line: line.startswith("|"), text[text.index("| Activations") :].splitlines())
    head, _, first, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    of_setting = [first, *itertools.takewhile(lambda row: not row[0], rows)]
    found: dict[str, dict[str, float]] = {}
    for _, direction, _, ours, *faster in of_setting:
        known = direction.removeprefix(prefix)
        if direction.startswith(prefix) and known in MARKERS:
            found.setdefault("drop_block", {})[known] = float(ours)
            for name, times in zip(head[4:], faster, strict=True):
                if times:
                    found.setdefault(name, {})[known] = float(ours) * float(times)
    return found


def cost() -> Figure:
    panels = [(title, costs(framework, prefix)) for title, framework, prefix in PANELS]
    figure = Figure(figsize=(8, 9), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, height_ratios=[len(layers) + 1 for _, layers in panels])
    for ax, (title, layers) in zip(axes, panels, strict=True):
        for place, (name, times) in enumerate(layers.items()):
            for direction, value in times.items():
                ax.plot(value, place, color=OURS if name == "drop_block" else OTHERS, **MARKERS[direction])
                where = (0, 5) if direction == "forward" else (0, -12)
                ax.annotate(f"{value:.3g}", (value, place), where, textcoords="offset points", ha="center", fontsize=7)
        ax.axvline(1, color="black", linewidth=0.8)
        ax.set(xscale="log", xlim=(0.8, 1000), ylim=(len(layers) - 0.2, -0.8))
        ax.set_yticks(range(len(layers)), list(layers))
        ax.set_title(title, loc="left", fontsize=10)
        ax.minorticks_off()
        ax.grid(axis="x", linewidth=0.4)
    for direction, marker in MARKERS.items():
        axes[0].plot([], [], linestyle="", color=OTHERS, label=direction, **marker)
    axes[0].legend(fontsize=8)
    axes[-1].set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    axes[-1].set_xlabel("times as long as x * s, on a logarithmic scale; the line at 1 is x * s itself")
    return figure


PICTURES = {"masks.svg": masks, "cost.svg": cost}


def main(folder: Path = DOCS) -> None:
    for name, draw in PICTURES.items():
        # The same names in a file each time, and letters as letters.
        with mpl.rc_context({"svg.hashsalt": "dropblock", "svg.fonttype": "none"}):
            draw().savefig(folder / name, metadata={"Date": None})


if __name__ == "__main__":
    main()
