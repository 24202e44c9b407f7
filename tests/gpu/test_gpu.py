"""The PyTorch adapter on a real GPU: bit for bit what NumPy says, in every dtype, scope, layout and rank, at any size.

`make test-gpu` runs this from a plain checkout; it needs PyTorch, NumPy, array-api-compat and pytest. Without a GPU
`make test` runs what it can under Triton's interpreter.
"""

from contextlib import nullcontext

import pytest
import torch

import dropblock_core
from dropblock_torch import drop_block, engines
from tests.gpu.device import DEVICE, DTYPES, ON_GPU, RENORMS, SEED, activations, by_numpy, kernels, needs_gpu, same
from tests.shared.grid import grid

__all__ = ["kernels"]  # a fixture

CASES = [
    ((2, 3, 6, 5), 1, 0.6),
    ((2, 2, 40), 4, 0.7),
    ((2, 2, 3, 5, 6), (2, 3, 2), 0.7),
    ((3, 6, 7, 7), 7, 0.7),
    ((2, 3, 9, 9), 3, 0.0),
    ((4, 5, 14, 14), 7, 0.7),
    ((2, 3, 4, 70), (2, 5), 0.7),
    ((1, 2, 3, 100), (3, 40), 0.5),
    ((64, 256, 14, 14), 7, 0.9),
    ((3, 96, 28, 28), 7, 0.9),
    ((2, 8, 9, 16, 33), (3, 5, 7), 0.8),
]
FEW = CASES if ON_GPU else CASES[:4]
LAYOUTS = {
    "contiguous": lambda x: x,
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "sliced": lambda x: torch.cat([x, x], -1)[..., : x.shape[-1]],
    "unaligned": lambda x: torch.cat([x.flatten()[:1], x.flatten()])[1:].view(x.shape),
}


@pytest.mark.parametrize(("shape", "block", "keep_prob"), FEW)
def test_r13_the_gpu_draws_the_mask_of_numpy(shape, block, keep_prob):
    x = activations(shape)
    options = {"seed": SEED, "sample_offset": 3, "stream": 9}
    assert same(drop_block(x.to(DEVICE), keep_prob, block, **options), by_numpy(x, keep_prob, block, **options))


@grid(layout=LAYOUTS, dtype=DTYPES, renorm=RENORMS, per_channel=[True, False])
def test_r13_every_dtype_scope_and_layout_is_numpys(layout, dtype, renorm, per_channel):
    x = LAYOUTS[layout](activations((3, 5, 6, 7), dtype).to(DEVICE))
    z = LAYOUTS[layout](x.cpu())
    options = {"renorm": renorm, "per_channel": per_channel, "seed": SEED}
    y = drop_block(x, 0.7, 3, **options)
    assert same(y, by_numpy(z, 0.7, 3, **options))
    assert y.stride() == torch.empty_like(x).stride()
    assert (y.dtype, y.device) == (x.dtype, x.device)


@pytest.mark.parametrize("channels", [32, 33] if ON_GPU else [32])
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.channels_last_3d])
def test_r13_channels_that_lie_side_by_side(channels, memory_format):
    shape = (2, channels, 4, 36) if memory_format is torch.channels_last else (2, channels, 2, 3, 5)
    x = activations(shape).contiguous(memory_format=memory_format)
    assert same(drop_block(x.to(DEVICE), 0.7, 2, seed=SEED), by_numpy(x, 0.7, 2, seed=SEED))


def test_r07_the_gradient_is_that_of_numpys_mask_at_any_order():
    x = activations((2, 5, 9, 9)).nan_to_num(1.0, 1.0)
    a = x.to(DEVICE).requires_grad_()
    b = x.to(DEVICE).requires_grad_()
    y = drop_block(a, 0.7, 3, seed=SEED)
    (da,) = torch.autograd.grad(y, a, b, create_graph=True)
    assert same(da, by_numpy(x, 0.7, 3, seed=SEED))
    (db,) = torch.autograd.grad(da.sum(), b)
    assert same(db, by_numpy(torch.ones_like(x), 0.7, 3, seed=SEED))


@pytest.mark.parametrize("index", range(max(1, torch.cuda.device_count())))
def test_whichever_device_is_the_current_one(index):
    device = f"cuda:{index}" if ON_GPU else "cpu"
    x = activations((2, 3, 6, 5))
    y = drop_block(x.to(device), 0.7, 2, seed=SEED)
    assert y.device == torch.device(device)
    assert same(y, by_numpy(x, 0.7, 2, seed=SEED))


def test_vmap_draws_a_mask_for_each_example():
    x = torch.ones(3, 2, 2, 6, 6, device=DEVICE)
    y = torch.vmap(lambda x: drop_block(x, 0.7, 2), randomness="different")(x)
    assert not torch.equal(y[0], y[1])
    seeded = torch.vmap(lambda x: drop_block(x, 0.7, 2, seed=SEED))(x)
    assert all(same(part, by_numpy(x[0], 0.7, 2, seed=SEED)) for part in seeded)


def test_generators_seed_the_gpu_as_they_do_dropout():
    x = torch.ones(2, 8, 6, 6, device=DEVICE)
    with torch.random.fork_rng(range(torch.cuda.device_count())):  # for many it warns, unless they are named
        torch.manual_seed(3)
        y = drop_block(x, 0.7, 3)
        assert not torch.equal(y, drop_block(x, 0.7, 3))
        torch.manual_seed(3)
        assert torch.equal(y, drop_block(x, 0.7, 3))
    own = [torch.Generator(DEVICE).manual_seed(4) for _ in range(2)]
    assert torch.equal(*[drop_block(x, 0.7, 3, generator=generator) for generator in own])


@needs_gpu
def test_a_generator_of_the_host_is_refused():
    with pytest.raises(ValueError, match="generator is on cpu and x on cuda"):
        drop_block(torch.ones(4, 8, 14, 14, device=DEVICE), 0.7, 7, generator=torch.Generator())


@needs_gpu
def test_r13_a_keep_prob_on_the_device_keeps_the_law_and_of_float64_the_bits():
    x = torch.ones(256, 64, 14, 14, device=DEVICE)
    gamma = dropblock_core.gamma(0.9, 7, 14)
    for value, expected in ((0.9, dropblock_core.expected_keep(gamma, 7, 14)), (2.0, 1.0), (float("nan"), 1.0)):
        y = drop_block(x, torch.tensor(value, device=DEVICE), 7, renorm="none", seed=1)
        # 16,384 maps: the mean of a map has a standard deviation below 0.14, so five of the mean's are 0.0055.
        assert abs(y.mean().item() - expected) < 0.0055
    for value in (0.9, 1 / 3, 0.123, 0.0):
        keep_prob = torch.tensor(value, dtype=torch.float64, device=DEVICE)
        assert same(drop_block(x, keep_prob, 7, seed=1), drop_block(x, value, 7, seed=1))


@needs_gpu
def test_tensors_over_two_to_the_31_units():
    free, _ = torch.cuda.mem_get_info()
    samples, rest = 2**31 // (64 * 64 * 64) + 3, (64, 64, 64)
    if free < 3 * samples * 64**3 * 2:
        pytest.skip("the GPU has too little free memory")
    x = torch.ones(samples, *rest, dtype=torch.float16, device=DEVICE)
    y = drop_block(x, 0.9, 7, seed=SEED, renorm="none")
    assert y.numel() > 2**31
    for first in (0, samples // 2, samples - 2):
        part = torch.ones(2, *rest, dtype=torch.float16)
        assert same(y[first : first + 2], by_numpy(part, 0.9, 7, seed=SEED, sample_offset=first, renorm="none"))
    scale = drop_block(x, 0.9, 7, seed=SEED).max().item()
    kept = sum(chunk.count_nonzero().item() for chunk in y.split(64))
    assert scale == torch.tensor(y.numel() / kept).half().item()


def test_the_kernels_conform():
    """By every check there is. Without a GPU one of them judges NumPy's masks: the kernels would take ten minutes."""
    for needed in ("hypothesis", "ml_dtypes"):
        pytest.importorskip(needed)
    suite = pytest.importorskip("dropblock_conformance")
    from dropblock_conformance.subjects.ours import torch_eager, torch_triton

    with engines.force("host") if not ON_GPU else nullcontext():
        subject = (torch_triton if ON_GPU else torch_eager).candidate()
        report = suite.certify(subject, profile="quick", **({} if ON_GPU else {"checks": ["mode.inference"]}))
    assert report.conforms, report.findings
