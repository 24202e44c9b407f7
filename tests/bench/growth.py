"""How the cost grows, in PyTorch: with the activations, with keep_prob, with the block. A figure shows it.

Maps are of 16x16. Sizes for which the memory is not free are left out.
"""

from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import psutil
import torch
from matplotlib.figure import Figure

from dropblock_torch import drop_block
from tests.bench.cases import FLOOR, OURS, Case
from tests.bench.document import shown
from tests.bench.measure import taking_turns

FIGURE = Path(__file__).resolve().parents[2] / "docs" / "growth.svg"
POWERS = range(10, 32, 3)  # of 2: units
KEEP_PROBS = (0.999, 0.99, 0.95, 0.9, 0.75, 0.5, 0.25, 0.1, 0.01, 0.0)
BLOCKS = (1, 2, 3, 5, 7, 10, 14)
SIDE = 14


class Point(NamedTuple):
    case: Case
    ours: float  # milliseconds
    floor: float


def point(case: Case, rounds: int) -> Point:
    x = torch.ones(case.shape)
    contenders = {OURS: lambda: drop_block(x, keep_prob=case.keep_prob, block_size=case.block), FLOOR: lambda: x * 1.1}
    for run in contenders.values():
        run()
    repeats = max(1, 2**16 // x.numel())
    times = taking_turns(contenders, repeats, rounds)
    return Point(case, times[OURS], times[FLOOR])


def by_units() -> list[Point]:
    """From 2^10 units to 2^31, with blocks of 7 and keep_prob 0.9."""
    free = psutil.virtual_memory().available
    # Input, output, a bit a unit, and something for the machine.
    powers = [p for p in POWERS if 8.125 * 2**p < 0.9 * free]
    shapes = [(2 ** (p - 8 - min(10, p - 8)), 2 ** min(10, p - 8), 16, 16) for p in powers]
    return [point(Case(shape, 7, 0.9), rounds=21 if shape[0] < 2**8 else 5) for shape in shapes]


def by_law() -> list[Point]:
    """Every block and keep_prob on the same activations."""
    return [point(Case((32, 256, SIDE, SIDE), block, keep), rounds=9) for block in BLOCKS for keep in KEEP_PROBS]


def units(case: Case) -> int:
    samples, maps, *feat = case.shape
    return samples * maps * feat[0] * feat[1]


def draw(sizes: list[Point], laws: list[Point]) -> None:
    """Write the figure."""
    with mpl.rc_context(
        {"svg.hashsalt": "dropblock", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        across = [units(p.case) for p in sizes]
        left.loglog(across, [p.ours for p in sizes], "o-", label="drop_block, block 7, keep_prob 0.9")
        left.loglog(across, [p.floor for p in sizes], "s--", color="0.5", label="x * s")
        left.set(xlabel="units", ylabel="milliseconds", title="Time grows as the activations do")
        left.set_xscale("log", base=2)
        left.legend(frameon=False, loc="upper left")
        for number, block in enumerate(BLOCKS):
            of_block = [p for p in laws if p.case.block == block]
            colour = mpl.colormaps["viridis"](number / len(BLOCKS))
            places, floors = range(len(of_block)), [p.ours / p.floor for p in of_block]
            right.plot(places, floors, "o-", markersize=3, color=colour, label=f"{block}")
        right.set_xticks(range(len(KEEP_PROBS)), [f"{keep:g}" for keep in KEEP_PROBS])
        right.set(xlabel="keep_prob", ylabel="times x * s", title=f"Maps of {SIDE}x{SIDE}: dense seeds cost more")
        right.set_ylim(bottom=0)
        right.legend(title="block", frameon=False, ncols=2, loc="upper left")
        figure.savefig(FIGURE, metadata={"Date": None, "Creator": None})


def table(sizes: list[Point]) -> str:
    lines = ["| Units | drop_block | x * s | / floor | ns a unit |", "|---|---|---|---|---|"]
    for p in sizes:
        number = units(p.case)
        cells = [f"2^{number.bit_length() - 1}", shown(p.ours), shown(p.floor)]
        lines.append(f"| {' | '.join(cells)} | {p.ours / p.floor:.2f} | {1e6 * p.ours / number:.3f} |")
    return "\n".join(lines)
