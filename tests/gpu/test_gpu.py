"""The PyTorch adapter on a real GPU: bit for bit what NumPy says, without a wait, in a graph, at any size.

`make test-gpu` runs this from a plain checkout; it needs PyTorch, NumPy, array-api-compat and pytest, and nothing
else of this project's development environment. Without a GPU every test skips itself.
"""

import numpy as np
import pytest
import torch

import dropblock_core
from dropblock_torch import DropBlock2d, drop_block

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")

SEED = 2**63 + 5
CASES = [
    ((4, 5, 14, 14), 7, 0.7),
    ((3, 6, 7, 7), 7, 0.7),
    ((2, 3, 6, 5), 1, 0.6),
    ((2, 3, 4, 70), (2, 5), 0.7),
    ((1, 2, 3, 100), (3, 40), 0.5),
    ((2, 2, 40), 4, 0.7),
    ((2, 2, 3, 5, 6), (2, 3, 2), 0.7),
    ((2, 3, 9, 9), 3, 0.0),
    ((64, 256, 14, 14), 7, 0.9),
]


def activations(shape, dtype=torch.float32):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x.view(-1)[::7] = float("nan")
    x.view(-1)[3::11] = float("inf")
    return x.to(dtype)


def same(y, z):
    """Bit equality; a NaN equals a NaN."""
    y, z = y.cpu(), z.cpu()
    return torch.equal(y.isnan(), z.isnan()) and torch.equal(y.nan_to_num(), z.nan_to_num())


@pytest.mark.parametrize(("shape", "block", "keep_prob"), CASES)
def test_r13_the_gpu_draws_the_mask_of_numpy(shape, block, keep_prob):
    x = activations(shape)
    with np.errstate(invalid="ignore"):
        reference = dropblock_core.drop_block(x.numpy(), keep_prob, block, seed=SEED, sample_offset=3, stream=9)
    y = drop_block(x.cuda(), keep_prob, block, seed=SEED, sample_offset=3, stream=9)
    assert same(y, torch.from_numpy(reference))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("renorm", ["tensor", "sample", "map", "expected", "none"])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "transposed", "sliced"])
def test_r13_every_dtype_scope_and_layout_is_that_of_the_cpu(dtype, renorm, per_channel, layout):
    x = activations((6, 5, 9, 11), dtype)
    x = {
        "contiguous": x,
        "channels_last": x.contiguous(memory_format=torch.channels_last),
        "transposed": x.transpose(0, 1).contiguous().transpose(0, 1),
        "sliced": torch.cat([x, x], -1)[..., :11],
    }[layout]
    y = drop_block(x.cuda(), 0.7, 3, renorm=renorm, per_channel=per_channel, seed=SEED)
    z = drop_block(x, 0.7, 3, renorm=renorm, per_channel=per_channel, seed=SEED)
    assert same(y, z)
    assert y.stride() == z.stride()


def test_r07_the_gradient_is_that_of_the_cpu():
    x = activations((6, 5, 9, 9)).nan_to_num(1.0, 1.0)
    gradients = []
    for device in ("cpu", "cuda"):
        a = x.to(device).requires_grad_()
        y = drop_block(a, 0.7, 3, seed=SEED)
        gradients.append(torch.autograd.grad(y, a, x.to(device))[0])
    assert same(*gradients)


def test_nothing_waits_for_the_device():
    x = torch.randn(8, 16, 14, 14, device="cuda", requires_grad=True)
    layer = DropBlock2d(0.9, 7)
    seed = torch.tensor(5, device="cuda")
    keep_prob = torch.tensor(0.8, device="cuda")
    layer(x)  # compiles
    torch.cuda.set_sync_debug_mode("error")
    try:
        layer(x).sum().backward()
        drop_block(x, 0.9, 7, seed=5).sum().backward()
        drop_block(x, keep_prob, 7, seed=seed, renorm="sample").sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_r13_a_captured_graph_replays_fresh_masks_and_follows_keep_prob_and_seed():
    x = torch.ones(8, 16, 14, 14, device="cuda")
    keep_prob, seed = torch.tensor(0.9, device="cuda"), torch.tensor(1, device="cuda")
    drop_block(x, keep_prob, 7), drop_block(x, 0.9, 7, seed=seed)
    torch.cuda.synchronize()
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


def test_r13_a_keep_prob_on_the_device_keeps_the_law():
    x = torch.ones(256, 64, 14, 14, device="cuda")
    gamma = dropblock_core.gamma(0.9, 7, 14)
    for value, expected in ((0.9, dropblock_core.expected_keep(gamma, 7, 14)), (2.0, 1.0), (float("nan"), 1.0)):
        y = drop_block(x, torch.tensor(value, device="cuda"), 7, renorm="none", seed=1)
        # 16,384 maps: the mean of a map has a standard deviation below 0.14, so five of the mean's are 0.0055.
        assert abs(y.mean().item() - expected) < 0.0055


def test_generators_seed_the_gpu_as_they_do_dropout():
    x = torch.ones(4, 8, 14, 14, device="cuda")
    torch.manual_seed(3)
    y = drop_block(x, 0.7, 7)
    assert not torch.equal(y, drop_block(x, 0.7, 7))
    torch.manual_seed(3)
    assert torch.equal(y, drop_block(x, 0.7, 7))
    with pytest.raises(ValueError, match="generator is on cpu and x on cuda"):
        drop_block(x, 0.7, 7, generator=torch.Generator())


def test_a_compiled_program_has_one_graph_for_a_schedule():
    x = torch.ones(4, 8, 14, 14, device="cuda", requires_grad=True)
    layer = DropBlock2d(1.0, 7, seed=4)
    program = torch.compile(layer, fullgraph=True)
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    for step in range(20):
        layer.keep_prob = 1 - step / 40
        assert torch.equal(program(x), layer(x))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before + 1


def test_tensors_over_two_to_the_31_units():
    free, _ = torch.cuda.mem_get_info()
    samples, rest = 2**31 // (64 * 64 * 64) + 3, (64, 64, 64)
    if free < 3 * samples * 64**3 * 2:
        pytest.skip("the GPU has too little free memory")
    x = torch.ones(samples, *rest, dtype=torch.float16, device="cuda")
    y = drop_block(x, 0.9, 7, seed=SEED, renorm="none")
    assert y.numel() > 2**31
    for first in (0, samples // 2, samples - 2):
        part = torch.ones(2, *rest, dtype=torch.float16)
        assert same(y[first : first + 2], drop_block(part, 0.9, 7, seed=SEED, sample_offset=first, renorm="none"))
    scale = drop_block(x, 0.9, 7, seed=SEED).max().item()
    kept = sum(chunk.count_nonzero().item() for chunk in y.split(64))
    assert scale == torch.tensor(y.numel() / kept).half().item()
