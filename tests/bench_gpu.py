"""Measure drop_block on a GPU against a device copy of the same tensor; `make bench-gpu` prints the table.

Every time is that of a captured graph, as the device takes it, the host's work left out: the median over ROUNDS in
which the contenders take turns. The target is 1.15 times the copy plus 5 microseconds, in each direction.
"""

import datetime
import json
import statistics
from pathlib import Path

import torch
import torch.nn.functional as F

from dropblock_torch import drop_block

OUTPUT = Path(__file__).resolve().parent.parent / "build" / "bench-gpu.json"
ROUNDS, REPEATS = 20, 10
CASES = [((256, 1024, 14, 14), 7, 0.9), ((512, 2048, 7, 7), 7, 0.9), ((8, 256, 56, 56), 7, 0.9),
         ((16, 256, 80, 80), 5, 0.9), ((4, 512, 64, 64), 16, 0.2)]  # fmt: skip


def captured(run, stream):
    """A graph of REPEATS calls, captured on the stream on which `run` made what it uses."""
    with torch.cuda.stream(stream):
        run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        for _ in range(REPEATS):
            run()
    return graph


def graphs(*case):
    """A graph for each contender. A backward pass runs on the stream of its forward pass, so that has to be the one
    that is captured.
    """
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        runs = contenders(*case)
    return {name: captured(run, stream) for name, run in runs.items()}


def microseconds(graph):
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    graph.replay()
    end.record()
    end.synchronize()
    return 1000 * start.elapsed_time(end) / REPEATS


def contenders(shape, block, keep_prob, dtype, memory_format):
    x = torch.randn(shape, device="cuda", dtype=dtype).contiguous(memory_format=memory_format).requires_grad_()
    dy, out = torch.randn_like(x), torch.empty_like(x)
    y = drop_block(x, keep_prob=keep_prob, block_size=block)
    return {
        "copy": lambda: out.copy_(dy),
        "forward": lambda: drop_block(x, keep_prob=keep_prob, block_size=block),
        "backward": lambda: torch.autograd.grad(y, x, dy, retain_graph=True),
        "F.dropout forward": lambda: F.dropout(x, 1 - keep_prob),
    }


def main():
    name, rows = torch.cuda.get_device_name(), []
    print(f"{name}, PyTorch {torch.__version__}, {datetime.date.today()}; microseconds, target: 1.15 copy + 5")
    for shape, block, keep_prob in CASES:
        for dtype in (torch.float16, torch.bfloat16, torch.float32):
            for memory_format in (torch.contiguous_format, torch.channels_last):
                contending = graphs(shape, block, keep_prob, dtype, memory_format)
                times = {n: [] for n in contending}
                for _ in range(ROUNDS):
                    for n, graph in contending.items():
                        times[n].append(microseconds(graph))
                medians = {n: statistics.median(t) for n, t in times.items()}
                target = 1.15 * medians["copy"] + 5
                met = {n: medians[n] <= target for n in ("forward", "backward")}
                rows.append({"shape": shape, "block": block, "keep_prob": keep_prob, "dtype": str(dtype),
                             "memory_format": str(memory_format), "target": target, **medians})  # fmt: skip
                figures = ", ".join(f"{n} {t:.1f}" for n, t in medians.items())
                verdict = ", ".join(f"{n} {'met' if ok else 'MISSED'}" for n, ok in met.items())
                print(f"{list(shape)} block {block} {dtype} {memory_format}: {figures}; target {target:.1f}: {verdict}")
                del contending
                torch.cuda.empty_cache()
    OUTPUT.parent.mkdir(exist_ok=True)
    report = {"device": name, "torch": torch.__version__, "date": str(datetime.date.today()), "rows": rows}
    OUTPUT.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
