"""The benchmark's verdicts. Speed itself is measured by `make bench`, and asserted nowhere."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.bench.cases import FLOOR, OURS, Backend, Case, Target
from tests.bench.document import table, targets
from tests.bench.measure import Row

ROOT = Path(__file__).resolve().parent.parent
CASE = Case((2, 3, 8, 8), 3, 0.9)


@pytest.mark.parametrize(
    ("target", "ours", "other", "met"),
    [
        (Target("other", at_least=5.0), 1.0, 5.0, True),
        (Target("other", at_least=5.0), 1.0, 4.9, False),
        (Target("other", at_most=1.3), 1.3, 1.0, True),
        (Target("other", at_most=1.3), 1.4, 1.0, False),
        (Target("other", at_most=1.3, or_more_by=0.5), 1.5, 1.0, True),
        (Target("other", at_most=1.3, or_more_by=0.5), 1.6, 1.0, False),
    ],
)
def test_a_target_is_met_or_missed(target: Target, ours: float, other: float, met: bool) -> None:
    assert target.met(ours, other) is met


def test_the_document_says_what_was_measured_and_missed() -> None:
    rows = [
        Row(backend, CASE, name, time, time, None)
        for backend, times in {"forward": (2.0, 1.0, 8.0), "both": (0.03, 0.02, 0.3)}.items()
        for name, time in zip((OURS, FLOOR, "other"), times, strict=True)
    ]
    lines = table(rows).splitlines()
    assert lines[0] == "| Activations | Direction | Time | / floor | other |"
    assert lines[2:] == [
        "| [2, 3, 8, 8], block 3, keep_prob 0.9 | forward | 2.00 ms | 2.00 | 4.0 |",
        "|  | both | 30 µs | 1.50 | 10.0 |",
    ]
    asked = {CASE: [Target("other", at_least=5.0)]}
    backends = [Backend(name, lambda x, case: {}, asked, [CASE]) for name in ("forward", "both")]
    assert targets(rows, backends).splitlines() == [
        "Of 2 targets 1 are met. Missed:",
        "",
        "- [2, 3, 8, 8], block 3, keep_prob 0.9, forward: 4.0 times as fast as other, target 5",
    ]


def test_the_gpus_benchmark_measures_and_says_what_each_contender_took(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from tests import bench_gpu

    monkeypatch.setattr(bench_gpu, "REPEATS", 1)
    row = bench_gpu.measured(
        (1, 2, 4, 4), 2, 0.5, torch.float32, torch.contiguous_format, bench_gpu.others()[0], "cpu", rounds=1
    )
    assert {"copy", "forward", "backward", "F.dropout"} <= row["contenders"].keys()
    assert all(c["microseconds"] > 0 for c in row["contenders"].values())
    assert row["contenders"]["copy"]["of_copy"] == 1
    assert bench_gpu.line(row | {"target": 0.0}).endswith("target 0.0: forward MISSED, backward MISSED")


def test_the_hosts_time_is_measured_without_a_gpu() -> None:
    """As docs/performance.md says; in a process of its own, since what it pretends is for good."""
    pytest.importorskip("triton")
    from tests.gpu.pretended import COMPILER

    if COMPILER is None:
        pytest.skip("no C compiler, which makes the driver that does nothing")
    program = [sys.executable, str(ROOT / "tests" / "bench_gpu.py"), "--host", "--rounds", "1"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "adapters")))}
    printed = subprocess.run(program, env=environment, check=True, capture_output=True, text=True).stdout
    figures = re.findall(r"host: (.*): ([0-9.]+) microseconds, ([0-9.]+) of nn.Dropout's", printed)
    assert [name for name, *_ in figures if name.startswith("DropBlock2d forward")] == [
        "DropBlock2d forward",
        "DropBlock2d forward and backward",
        "DropBlock2d forward, without its launches",
        "DropBlock2d forward, without the draw of its seed",
        "DropBlock2d forward, without a gradient",
    ]
    assert all(float(taken) > 0 for _, taken, _ in figures)


def test_an_older_timm_is_left_out_of_the_gpus_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from tests import bench_gpu

    timm, layers = ModuleType("timm"), ModuleType("timm.layers")
    timm.__dict__.update(__version__="1.0.22", layers=layers)
    layers.__dict__.update(DropBlock2d=lambda drop_prob, block_size, batchwise=False, fast=True: None)
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setitem(sys.modules, "timm.layers", layers)
    usable, refused = bench_gpu.others()
    assert "timm" not in usable
    assert refused["timm"] == "1.0.22 has no couple_channels, which came with 1.0.23"
