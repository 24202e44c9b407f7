"""What was measured, as the tables and figures of docs/performance.md."""

import datetime
import itertools
import os
import platform
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from tests.bench.cases import FLOOR, OURS, Backend
from tests.bench.measure import ROUNDS, Row
from tests.shared.generated import write_generated

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "performance.md"


def machine() -> str:
    """The CPU, and how many there are of it."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return f"{os.cpu_count()} CPUs ({model[1] if model else platform.machine()})"


def conditions(framework: ModuleType) -> str:
    today = datetime.datetime.now(datetime.UTC).date()
    return (
        f"{today}, {machine()}, {framework.__name__} {framework.__version__}, Python {platform.python_version()}: "
        f"medians of {ROUNDS} rounds, default threads and allocator."
    )


def table(rows: Sequence[Row]) -> str:
    """A row for each direction of each case: our time, in floors, and how many times as fast as others ours is."""
    others = list(dict.fromkeys(row.name for row in rows if row.name not in (OURS, FLOOR)))
    head = ["Activations", "Direction", "Time", "/ floor", *others]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for case, of_case in itertools.groupby(sorted(rows, key=lambda row: _first(rows, row)), key=lambda row: row.case):
        setting = str(case)
        for direction, group in itertools.groupby(of_case, key=lambda row: row.backend):
            times = {row.name: row.milliseconds for row in group}
            ours = times[OURS]
            factors = [f"{times[name] / ours:.1f}" if name in times else "" for name in others]
            cells = [setting, direction, shown(ours), f"{ours / times[FLOOR]:.2f}", *factors]
            lines.append(f"| {' | '.join(cells)} |")
            setting = ""
    return "\n".join(lines)


def _first(rows: Sequence[Row], row: Row) -> int:
    """Where the row's case first came, so that its directions stand together."""
    return next(i for i, other in enumerate(rows) if other.case == row.case)


def shown(milliseconds: float) -> str:
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds:.2f} ms" if milliseconds >= 0.1 else f"{1000 * milliseconds:.0f} µs"


def verdicts(rows: Sequence[Row], backends: Sequence[Backend]) -> Iterator[tuple[bool, str]]:
    """Whether each target was met, and how closely."""
    times = {(row.backend, row.case, row.name): row.milliseconds for row in rows}
    for backend in backends:
        for case, asked in backend.targets.items():
            for target in asked if case in backend.cases else ():
                ours, other = (times[backend.name, case, name] for name in (OURS, target.contender))
                yield target.met(ours, other), f"{case}, {backend.name}: {target.said(ours, other)}"


def targets(rows: Sequence[Row], backends: Sequence[Backend]) -> str:
    found = list(verdicts(rows, backends))
    missed = [said for met, said in found if not met]
    lines = [f"Of {len(found)} targets {len(found) - len(missed)} are met{'. Missed:' if missed else '.'}"]
    return "\n".join([*lines, *([""] if missed else []), *(f"- {said}" for said in missed)])


def section(framework: ModuleType, rows: Sequence[Row], backends: Sequence[Backend], remarks: Sequence[str]) -> str:
    """All that is generated for a framework."""
    return "\n\n".join([conditions(framework), table(rows), targets(rows, backends), *remarks])


def write(name: str, text: str) -> None:
    write_generated(DOCUMENT, f"make bench {name}", text)
