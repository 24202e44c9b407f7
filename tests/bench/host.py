"""The host's time of a call on few units: layers in turns with nn.Dropout, and one of them with a part left out."""

import contextlib
import statistics
import time
from typing import Any
from unittest import mock

import torch
from torch import nn

TINY = (1, 2, 7, 7)
ROUNDS, CALLS = 150, 20


def microseconds(device: str, rounds: int = ROUNDS) -> dict[str, float]:
    """What this thread takes for a call: the medians by what is called."""
    from dropblock_torch import DropBlock2d

    x = torch.randn(TINY, device=device).requires_grad_()
    dy, still, key = torch.randn_like(x), x.detach(), torch.zeros(2, dtype=torch.int64, device=device)
    whole, layer = contextlib.nullcontext(), DropBlock2d(0.9, 3)
    layers = {"nn.Dropout": nn.Dropout(0.1), "DropBlock2d": layer}
    layers |= {f'DropBlock2d(renorm="{renorm}")': DropBlock2d(0.9, 3, renorm=renorm) for renorm in ("map", "expected")}
    runs: dict[str, tuple[Any, Any]] = {}
    for name, each in layers.items():
        runs[f"{name} forward"] = whole, lambda each=each: each(x)
        runs[f"{name} forward and backward"] = whole, lambda each=each: each(x).backward(dy)
    no_launch = mock.patch("dropblock_torch.engines.launching.Launch.__call__", _always(None))
    no_draw = mock.patch("dropblock_torch.keys.words_of", _always(key))
    runs["DropBlock2d forward, without its launches"] = no_launch, lambda: layer(x)
    runs["DropBlock2d forward, without the draw of its seed"] = no_draw, lambda: layer(x)
    runs["DropBlock2d forward, without a gradient"] = whole, lambda: layer(still)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (patched, run) in runs.items():
            with patched:
                times[name].append(_taken(run, device))
    return {name: statistics.median(taken) for name, taken in times.items()}


def _always(result: Any) -> Any:
    """A stand-in that takes less time than one of `mock`'s."""
    return lambda *_, **__: result


def _taken(run: Any, device: str) -> float:
    """Microseconds a call, after a first one that is not timed."""
    run()
    clock = time.thread_time_ns  # others may use the core
    if device == "cuda":
        torch.cuda.synchronize()
        clock = time.perf_counter_ns
    begin = clock()
    for _ in range(CALLS):
        run()
    return (clock() - begin) / CALLS / 1000


def show(times: dict[str, float]) -> None:
    for name, taken in times.items():
        base = times["nn.Dropout forward and backward" if "and backward" in name else "nn.Dropout forward"]
        print(f"host: {name}: {taken:.1f} microseconds, {taken / base:.1f} of nn.Dropout's")


def without_a_gpu(rounds: int = ROUNDS) -> None:
    """Show what a call takes up to a driver that does nothing, on tensors of the CPU that say they are a GPU's."""
    from tests.gpu import pretended

    if pretended.COMPILER is None:
        raise SystemExit("--host needs a C compiler, cc, for a driver that does nothing")
    pretended.install()
    from dropblock_torch import engines

    torch.set_num_threads(1)
    with (
        engines.force("gpu"),
        mock.patch.object(torch.Tensor, "get_device", _always(0)),
        mock.patch.object(torch.cuda, "_initialized", True),
        mock.patch.object(torch._C, "_cuda_getDevice", _always(0), create=True),
    ):
        show(microseconds("cpu", rounds))
