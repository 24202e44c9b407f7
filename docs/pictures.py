"""The README's picture: dropout, SpatialDropout and DropBlock at one rate. ``python docs/pictures.py`` writes it."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from dropblock_core.plot import plot_mask

PICTURE = Path(__file__).with_name("masks.svg")
SIDE, KEEP_PROB = 28, 0.75
# With a block of one unit DropBlock is dropout, and with one of the whole map it is SpatialDropout.
BLOCKS = {"dropout": 1, "SpatialDropout": SIDE, "DropBlock": 7}


def main() -> None:
    mpl.rcParams["svg.hashsalt"] = "dropblock"  # the same names in the file each time
    figure = Figure(figsize=(9, 4.1), layout="constrained")
    for ax, (name, block_size) in zip(figure.subplots(len(BLOCKS), 1), BLOCKS.items(), strict=True):
        plot_mask(keep_prob=KEEP_PROB, block_size=block_size, feat_size=SIDE, calibrated=True, seed=3, ax=ax)
        for mark in (*ax.lines, *ax.patches):
            mark.remove()
        ax.set_title(f"{name}: {ax.get_title()}", fontsize=10)
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()
