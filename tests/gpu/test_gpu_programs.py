"""The PyTorch adapter on a real GPU, beneath other machinery: captured graphs, compiled programs, and no wait."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from dropblock_torch import DropBlock2d, drop_block
from tests.gpu.device import DEVICE, ON_GPU, RENORMS, kernels, needs_gpu, same

__all__ = ["kernels"]  # a fixture


@needs_gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype feature:UserWarning")
def test_nothing_waits_for_the_device():
    x = torch.randn(8, 16, 14, 14, device=DEVICE, requires_grad=True)
    layer = DropBlock2d(0.9, 7).to(DEVICE)
    seed = torch.tensor(5, device=DEVICE)
    keep_prob = torch.tensor(0.8, device=DEVICE)
    layer(x)  # compiles
    try:
        torch.cuda.set_sync_debug_mode("error")
        layer(x).sum().backward()
        layer.keep_prob = 0.7
        drop_block(x, 0.9, 7, seed=5).sum().backward()
        for renorm in ("sample", "map", "none"):
            drop_block(x, keep_prob, 7, seed=seed, renorm=renorm).sum().backward()
        drop_block(x, 0.9, 7, renorm="expected").sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs_gpu
@pytest.mark.parametrize("renorm", RENORMS)
def test_mask_and_application_take_three_launches(renorm):
    x = torch.randn(8, 16, 14, 14, device=DEVICE)
    layer = DropBlock2d(0.9, 7, renorm=renorm)
    layer(x)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        layer(x)
        torch.cuda.synchronize()
    kernels = [event.name for event in seen.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    assert len([name for name in kernels if "Memcpy" not in name]) == 3 + 1, kernels  # the generator's one


@needs_gpu
def test_r13_a_captured_graph_replays_fresh_masks_and_follows_keep_prob_and_seed():
    x = torch.ones(8, 16, 14, 14, device=DEVICE)
    keep_prob, seed = torch.tensor(0.9, device=DEVICE), torch.tensor(1, device=DEVICE)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        drawn, seeded = drop_block(x, keep_prob, 7), drop_block(x, 0.9, 7, seed=seed)
    masks = []
    for step in range(4):
        seed.fill_(step)
        keep_prob.fill_(0.9 if step < 3 else 1.0)
        graph.replay()
        torch.cuda.synchronize()
        assert same(seeded, drop_block(x, 0.9, 7, seed=step))
        masks.append(drawn == 0)
    assert all(mask.any() for mask in masks[:3])
    assert not torch.equal(masks[0], masks[1])
    assert not masks[3].any()


COLD = """
import torch
from dropblock_torch import drop_block

x, dy = torch.ones(4, 6, 14, 14, device="cuda", requires_grad=True), torch.ones(4, 6, 14, 14, device="cuda")
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    y = drop_block(x, 0.7, 7, seed=5)
    dx, = torch.autograd.grad(y, x, dy)
graph.replay()
torch.cuda.synchronize()
expected = drop_block(x, 0.7, 7, seed=5)
assert torch.equal(y, expected) and torch.equal(dx, expected)
"""


@needs_gpu
def test_the_first_call_of_a_process_may_be_in_a_capture(tmp_path):
    root = Path(__file__).parents[2]
    path = [str(root), str(root / "adapters"), os.environ.get("PYTHONPATH", "")]
    # With nothing compiled before, on disk either.
    environment = {"PYTHONPATH": os.pathsep.join(path), "TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    run = subprocess.run(
        [sys.executable, "-c", COLD], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]


# On the CPU tests/torch/test_compile.py tests the same.
@pytest.mark.parametrize(
    "mode", ["default", "reduce-overhead"] if ON_GPU else [pytest.param("aot_eager", marks=pytest.mark.exhaustive)]
)
@pytest.mark.filterwarnings("ignore")  # Inductor's
def test_a_compiled_program_follows_a_schedule(mode):
    torch._dynamo.reset()
    how = {"backend": mode} if mode == "aot_eager" else {"mode": mode}
    x = torch.ones(2, 8, 6, 6, device=DEVICE, requires_grad=True)
    layer = DropBlock2d(1.0, 3, seed=4).to(DEVICE)
    program = torch.compile(layer, fullgraph=True, **how)
    counters = torch._dynamo.utils.counters
    graphs, skips = counters["stats"]["unique_graphs"], counters["inductor"]["cudagraph_skips"]
    for step in range(8 if ON_GPU else 3):
        layer.keep_prob = 1 - step / 10
        torch.compiler.cudagraph_mark_step_begin()
        y = program(x)
        (dx,) = torch.autograd.grad(y.sum(), x)
        assert torch.equal(y, layer(x))
        assert torch.equal(dx, layer(torch.ones_like(x)))
    assert counters["stats"]["unique_graphs"] == graphs + 1
    assert counters["inductor"]["cudagraph_skips"] == skips
