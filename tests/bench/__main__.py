"""Measure drop_block: time as ratios within one run, memory, and how cost grows. `make bench` writes the document.

Nothing here is asserted: speed depends on the machine and on who else uses it. ``python -m tests.bench jax`` measures
one framework, and ``--print`` leaves the document as it is.
"""

import argparse
import importlib
import json
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from tests.bench import document, growth
from tests.bench.cases import CASES, DENSE, OURS
from tests.bench.measure import ROUNDS, Row, measure, torch_peak

OUTPUT = Path(__file__).resolve().parents[2] / "build" / "bench.json"
PACKAGES = {"numpy": "numpy", "torch": "torch", "jax": "jax", "tf": "tensorflow"}


def remarks(name: str, rows: list[Row], *, keep: bool) -> list[str]:
    """What is measured beside the time."""
    if name == "numpy":
        peak = max(row.peak for row in rows if row.name == OURS and row.peak is not None)
        return [f"Memory at its highest is {peak:.2f} times input plus output, or less (target 1.6)."]
    if name != "torch":
        return []
    module = importlib.import_module("tests.bench.torch_rows")
    bits = [module.saved_bits_a_unit(case) for case in [*CASES, DENSE[0]]]
    sizes, laws = growth.by_units(), growth.by_law()
    if not keep:
        growth.draw(sizes, laws)
    return [
        # Of the largest: a small mask finds memory that the process had already.
        f"Memory at its highest is {torch_peak(CASES[3]):.3f} times input plus output at {CASES[3]}: with a "
        "mask of a bit a unit it is 1.016. "
        f"A call keeps {max(bits):.2f} bits a unit for the backward pass, or less.",
        growth.table(sizes),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frameworks", nargs="*", help=f"some of {', '.join(PACKAGES)}; all where none is named")
    parser.add_argument("--print", action="store_true", dest="keep", help="leave docs/performance.md as it is")
    arguments = parser.parse_args()
    if unknown := set(arguments.frameworks) - PACKAGES.keys():
        parser.error(f"{', '.join(sorted(unknown))}: choose out of {', '.join(PACKAGES)}")
    report = {}
    for name in arguments.frameworks or PACKAGES:
        backends = importlib.import_module(f"tests.bench.{name}_rows").BACKENDS
        rows = [row for backend in backends for case in backend.cases for row in measure(backend, case)]
        framework = importlib.import_module(PACKAGES[name])
        text = document.section(framework, rows, backends, remarks(name, rows, keep=arguments.keep))
        Console().print(Markdown(text))
        if not arguments.keep:
            document.write(name, text)
        report[name] = {
            "conditions": document.conditions(framework),
            "rows": [row._asdict() | {"case": row.case._asdict()} for row in rows],
        }
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps({"rounds": ROUNDS, **report}, indent=2) + "\n")


if __name__ == "__main__":
    main()
