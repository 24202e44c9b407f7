"""Measure drop_block on a GPU beside a copy of the same tensor; `make bench-gpu` prints the table, and writes OUTPUT.

The target is 1.15 times the copy plus 5 microseconds, in each direction, and 3 times nn.Dropout's time of the host.
The contenders take turns, and the median of ROUNDS counts. The device's time is that of a captured graph, so that the
host's work is left out. Without a GPU a call is timed as it is, for the test of this file.

`--host` measures the host's time without a GPU: as tests/gpu/pretended.py says, the kernels' launches do nothing. It
also leaves out one part at a time, which says what each takes.
"""

import argparse
import contextlib
import datetime
import importlib
import json
import platform
import statistics
import sys
import time
from inspect import signature
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from tests.bench import host

OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "bench-gpu.json"
ROUNDS, REPEATS = 20, 10
CASES = [((256, 1024, 14, 14), 7, 0.9), ((512, 2048, 7, 7), 7, 0.9), ((8, 256, 56, 56), 7, 0.9),
         ((16, 256, 80, 80), 5, 0.9), ((4, 512, 64, 64), 16, 0.2)]  # fmt: skip
DTYPES = torch.float16, torch.bfloat16, torch.float32
FORMATS = torch.contiguous_format, torch.channels_last


def contenders(shape, block, keep_prob, dtype, memory_format, device, libraries):
    """What is measured, by name, each as a function without arguments."""
    from dropblock_torch import drop_block

    x = torch.randn(shape, device=device, dtype=dtype).contiguous(memory_format=memory_format).requires_grad_()
    dy, out = torch.randn_like(x), torch.empty_like(x)
    y = drop_block(x, keep_prob=keep_prob, block_size=block)
    runs = {
        "copy": lambda: out.copy_(dy),
        "forward": lambda: drop_block(x, keep_prob=keep_prob, block_size=block),
        "backward": lambda: torch.autograd.grad(y, x, dy, retain_graph=True),
        "F.dropout": lambda: F.dropout(x, 1 - keep_prob),
    }
    if "torchvision" in libraries and block % 2:  # it refuses even blocks
        runs["torchvision"] = lambda: libraries["torchvision"].ops.drop_block2d(x, 1 - keep_prob, block)
    if "timm" in libraries:
        layer = libraries["timm"].layers.DropBlock2d(1 - keep_prob, block, couple_channels=False)
        runs["timm"] = lambda: layer(x)
    return runs


def others():
    """torchvision and timm: those that can be measured here, and what is wrong with the rest."""
    usable, refused = {}, {}
    for name, module in (("torchvision", "torchvision.ops"), ("timm", "timm.layers")):
        try:
            importlib.import_module(module)
            usable[name] = sys.modules[name]
        except (ImportError, RuntimeError) as error:  # it is not there, or was built for another PyTorch
            refused[name] = str(error)
    if "timm" in usable and "couple_channels" not in signature(usable["timm"].layers.DropBlock2d).parameters:
        refused["timm"] = f"{usable.pop('timm').__version__} has no couple_channels, which came with 1.0.23"
    return usable, refused


def captured(name, run, stream):
    """A graph of REPEATS calls, on the stream on which `run` made what it uses."""
    with torch.cuda.stream(stream):
        run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=stream):
            for _ in range(REPEATS):
                run()
    except RuntimeError as error:  # it leaves the stream and the generator in no defined state
        raise SystemExit(f"{name} cannot be captured: {error}; --ours leaves other libraries out") from error
    return graph


def timed(replay):
    """Microseconds that the device takes for one call of REPEATS."""
    if not torch.cuda.is_available():
        begin = time.perf_counter()
        replay()
        return (time.perf_counter() - begin) * 1e6 / REPEATS
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    replay()
    end.record()
    end.synchronize()
    return 1000 * start.elapsed_time(end) / REPEATS


def launches(run):
    """How many kernels one call runs, as the profiler sees them; None without a GPU."""
    if not torch.cuda.is_available():
        return None
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        run()
        torch.cuda.synchronize()
    return sum(event.device_type == torch.autograd.DeviceType.CUDA for event in seen.events())


def measured(shape, block, keep_prob, dtype, memory_format, libraries, device="cuda", rounds=ROUNDS):
    """A row of the table: for each contender its microseconds, its share of the copy's speed, and its launches."""
    is_gpu = device == "cuda"
    stream = torch.cuda.Stream() if is_gpu else None
    # A backward pass runs on the stream of its forward pass, so that has to be the one that is captured.
    with torch.cuda.stream(stream) if is_gpu else contextlib.nullcontext():
        runs = contenders(shape, block, keep_prob, dtype, memory_format, device, libraries)
    replays = {}
    for name, run in runs.items():
        replays[name] = (
            captured(name, run, stream).replay if is_gpu else lambda run=run: [run() for _ in range(REPEATS)]
        )
        replays[name]()
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, replay in replays.items():
            times[name].append(timed(replay))
    medians = {name: statistics.median(t) for name, t in times.items()}
    found = {
        name: {"microseconds": t, "of_copy": medians["copy"] / t, "launches": launches(runs[name])}
        for name, t in medians.items()
    }
    settings = {"shape": shape, "block": block, "keep_prob": keep_prob, "dtype": str(dtype)}
    return settings | {"memory_format": str(memory_format), "target": 1.15 * medians["copy"] + 5, "contenders": found}


def line(row):
    """A row as text."""
    found = row["contenders"]
    figures = ", ".join(
        f"{name} {c['microseconds']:.1f} ({c['of_copy']:.0%} of copy, {c['launches']} launches)"
        for name, c in found.items()
    )
    met = [f"{n} {'met' if found[n]['microseconds'] <= row['target'] else 'MISSED'}" for n in ("forward", "backward")]
    settings = f"{list(row['shape'])} block {row['block']} {row['dtype']} {row['memory_format']}"
    return f"{settings}: {figures}; target {row['target']:.1f}: {', '.join(met)}"


def main(libraries, refused):
    if not torch.cuda.is_available():
        raise SystemExit("no GPU here; --host measures the host's time without one")
    import triton

    name, rows = torch.cuda.get_device_name(), []
    versions = {"torch": torch.__version__, "triton": triton.__version__, "python": platform.python_version()}
    versions |= {package: module.__version__ for package, module in libraries.items()}
    for package, reason in refused.items():
        print(f"{package} is not measured: {reason}")
    print(f"{name}, {versions}, {datetime.date.today()}; microseconds, target: 1.15 copy + 5")
    host_times = host.microseconds("cuda")
    host.show(host_times)
    for case in CASES:
        for dtype in DTYPES:
            for memory_format in FORMATS:
                rows.append(measured(*case, dtype, memory_format, libraries))
                print(line(rows[-1]), flush=True)
                torch.cuda.empty_cache()
    report = {
        "device": name,
        "date": str(datetime.date.today()),
        "versions": versions,
        "host": host_times,
        "rows": rows,
    }
    OUTPUT.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {OUTPUT}: commit it")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", action="store_true", help="only the host's time; needs no GPU")
    parser.add_argument("--ours", action="store_true", help="without torchvision and timm")
    parser.add_argument("--rounds", type=int, default=host.ROUNDS, help="of --host")
    arguments = parser.parse_args()
    if arguments.host:
        host.without_a_gpu(arguments.rounds)
    else:
        main(*({}, {}) if arguments.ours else others())
