"""The Triton kernels under Triton's interpreter, on the CPU: bit for bit what NumPy says (rule R13)."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import dropblock_core
from dropblock_core.call import Call
from dropblock_core.stream import MASK32, Segments, literal_seeds, threshold_word, thresholds
from dropblock_torch import drop_block, engines
from tests.gpu.device import SEED, activations
from tests.shared.grid import grid

pytest.importorskip("triton")
from dropblock_torch.engines import gpu
from dropblock_torch.engines.kernels import applying, drawing, growing
from dropblock_torch.engines.plan import Plan


@pytest.fixture(autouse=True)
def _kernels_see_rubbish() -> Iterator[None]:
    """Run on the kernels, with memory that nobody has written yet full of NaN and large numbers."""
    assert torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    try:
        with engines.force("gpu"):
            yield
    finally:
        torch.use_deterministic_algorithms(False)
        for launches in (gpu._drawing, gpu._applying):  # a test may have changed what they were made from
            launches.cache_clear()


def agrees(x: torch.Tensor, keep_prob: float, block: Any, **options: Any) -> bool:
    """Whether every bit of the output is NumPy's."""
    reference = dropblock_core.drop_block(x.numpy(), keep_prob, block, seed=SEED, **options)
    y = drop_block(x, keep_prob, block, seed=SEED, **options)
    assert (y == 0).any()
    return np.array_equal(y.numpy(), reference, equal_nan=True)


@pytest.mark.parametrize(
    ("shape", "block", "keep_prob"),
    [
        ((2, 3, 14, 14), 7, 0.7),
        ((3, 2, 7, 7), 7, 0.7),
        ((2, 3, 6, 5), 1, 0.6),
        ((1, 2, 4, 70), (2, 5), 0.7),  # rows of more than two words
        ((1, 2, 3, 100), (3, 40), 0.5),  # and a block of more than one
        ((2, 2, 40), 4, 0.7),
        ((1, 2, 3, 5, 6), (2, 3, 2), 0.7),
        ((2, 2, 3, 3), 9, 0.5),  # clipped
        ((2, 3, 9, 9), 3, 0.0),
        ((1, 2, 3, 40), (2, 40), 0.5),  # a block as long as the row
        ((1, 2, 2, 100), (1, 70), 0.5),  # and one that reaches three words
    ],
)
def test_r13_the_kernels_draw_the_mask_of_numpy(shape: tuple[int, ...], block: Any, keep_prob: float) -> None:
    assert agrees(activations(shape), keep_prob, block)
    assert agrees(activations(shape), keep_prob, block, sample_offset=2**32 - 9, stream=2**32 - 1)


@grid(per_channel=[True, False], renorm=["sample", "map", "expected", "none"], channels_last=[False, True])
def test_r08_the_kernels_count_over_every_scope_in_both_layouts(
    per_channel: bool, renorm: str, channels_last: bool
) -> None:
    x = activations((3, 4, 6, 7))
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    assert agrees(x, 0.7, 3, per_channel=per_channel, renorm=renorm)


@pytest.mark.parametrize(
    "shape",
    [
        (2, 60, 9, 9),  # of 4,096 units, which a program has: one map is in two of them
        (1, 9, 30, 31),
        (1, 2, 99, 99),  # each in three
        (1, 300, 5),  # more maps than are counted at once
    ],
)
def test_r08_programs_count_the_maps_that_they_have_parts_of(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "LARGEST", 2**10)
    assert agrees(activations(shape), 0.7, 3, renorm="map")


@pytest.mark.parametrize("channels", [32, 33, 96])
@pytest.mark.parametrize("rank", [4, 5])
def test_r13_channels_that_lie_side_by_side_fill_words_or_do_not(channels: int, rank: int) -> None:
    x = activations((2, channels, 2, 3, 5)) if rank == 5 else activations((2, channels, 4, 36))
    x = x.contiguous(memory_format=torch.channels_last_3d if rank == 5 else torch.channels_last)
    assert agrees(x, 0.7, 2)
    assert agrees(x, 0.7, 2, renorm="sample")


@pytest.mark.parametrize("mask_is_channels_last", [True, False])
@grid(
    renorm=["sample", "tensor", "map", "none"],
    channels=[64, 33],  # whose bits fill words or do not
    per_channel=[True, False],
    rank=[4, 5],
)
def test_r13_a_gradient_in_another_order_takes_one_pass(
    renorm: str,
    channels: int,
    per_channel: bool,
    rank: int,
    mask_is_channels_last: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(gpu, "as_rows")  # which copies
    last = torch.channels_last if rank == 4 else torch.channels_last_3d
    dy = activations((2, channels, *[2] * (rank - 3), 30))
    x = torch.zeros(dy.shape)
    if mask_is_channels_last:
        x = x.contiguous(memory_format=last)
    else:
        dy = dy.contiguous(memory_format=last)
    options: dict[str, Any] = {"per_channel": per_channel, "renorm": renorm, "seed": SEED}
    y = drop_block(x.requires_grad_(), 0.7, 2, **options)
    (dx,) = torch.autograd.grad(y, x, dy)
    # The derivative is the same product, so that it is NumPy's for dy.
    reference = dropblock_core.drop_block(dy.numpy(), 0.7, 2, **options)
    assert np.array_equal(dx.numpy(), reference, equal_nan=True)
    assert y.stride() == x.stride()
    assert dx.stride() == dy.stride()


@pytest.mark.parametrize("renorm", ["tensor", "expected"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_r09_the_kernels_round_once_in_every_dtype(dtype: torch.dtype, renorm: str) -> None:
    assert agrees(activations((2, 3, 8, 8), dtype), 0.7, 3, renorm=renorm)


def test_r09_the_kernels_multiply_bfloat16_in_float32() -> None:
    x = activations((2, 3, 8, 8)).nan_to_num(1.0, 1.0).bfloat16()
    y = drop_block(x, 0.7, 3, seed=SEED)
    wide = drop_block(x.float(), 0.7, 3, seed=SEED)
    # A GPU rounds to nearest; Triton's interpreter cuts the lower half off.
    assert torch.equal(y.view(torch.int16), (wide.view(torch.int32) >> 16).short())


@pytest.mark.parametrize("rank", [4, 5])
def test_r13_layout_does_not_change_the_mask(rank: int) -> None:
    last = torch.channels_last if rank == 4 else torch.channels_last_3d
    x = activations((2, 3, 2, 5, 6)[5 - rank :] if rank == 5 else (2, 3, 5, 6))
    y = drop_block(x, 0.7, 2, seed=SEED)
    for other in (
        x.contiguous(memory_format=last),
        x.transpose(0, 1).contiguous().transpose(0, 1),
        torch.cat([x, x], -1)[..., : x.shape[-1]],
    ):
        z = drop_block(other, 0.7, 2, seed=SEED)
        assert torch.equal(z.nan_to_num(), y.nan_to_num())
        assert z.stride() == torch.empty_like(other).stride()


def test_r10_where_nothing_is_kept_the_kernels_write_zeros() -> None:
    x = torch.ones(2, 2, 3, 3, requires_grad=True)
    y = drop_block(x, 0.0, 3, seed=1)
    y.sum().backward()
    assert x.grad is not None
    assert y.count_nonzero() == 0
    assert x.grad.count_nonzero() == 0


def test_r07_the_gradient_is_mask_times_scale() -> None:
    x = torch.ones(2, 3, 8, 8, requires_grad=True)
    y = drop_block(x, 0.7, 3, seed=SEED)
    (dx,) = torch.autograd.grad(y, x, torch.full_like(y, 2.0))
    assert torch.equal(dx, 2 * y)


def test_r14_empty_batches_pass_through_the_operators() -> None:
    from dropblock_torch import ops

    key, keep_prob = torch.zeros(2, dtype=torch.int64), torch.tensor([0.5], dtype=torch.float64)
    state, scale, dropped = ops.mask(
        key, keep_prob, [0, 3, 4, 4], [2, 2], True, "tensor", 1.0, False, 0, 0, False, torch.float32
    )
    assert (state.numel(), scale.tolist(), dropped.tolist()) == (0, [0.0], [0])
    x = torch.empty(0, 3, 4, 4)
    assert ops.apply(x, state, scale, [2, 2], True, "tensor", False).shape == x.shape


@pytest.mark.parametrize("shape", [(2, 3, 6, 5), (2, 2, 5, 40), (2, 3, 2, 4, 5)])
@pytest.mark.parametrize("per_channel", [True, False])
def test_r13_offsets_of_64_bits_lead_to_the_same_places(
    shape: tuple[int, ...], per_channel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "LARGE", 1)
    x = activations(shape)
    assert agrees(x, 0.6, 2, per_channel=per_channel, renorm="map")
    assert agrees(x.contiguous(memory_format=gpu.CHANNELS_LAST[x.ndim]), 0.6, 2, per_channel=per_channel, renorm="map")


def test_kernels_are_launched_on_the_device_of_their_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever GPU is the current one: here 0, and the tensors are fake ones of GPU 1."""
    current, launched = [0], []

    def exchange(device: int) -> int:
        before, current[0] = current[0], device
        return before

    class Launcher:
        def __init__(self, module: Any, name: str) -> None:
            self.name, self.arg_names = name, getattr(module, name).arg_names

        def __getitem__(self, grid: Any) -> Any:
            return lambda *args, **options: launched.append((self.name, current[0]))

    kernels = [(drawing, "draw"), (growing, "grow"), (applying, "scale_and_drop")]
    monkeypatch.setattr(torch.cuda, "current_device", lambda: current[0])
    monkeypatch.setattr(torch.cuda, "_exchange_device", exchange)
    monkeypatch.setattr(torch.cuda, "_maybe_exchange_device", exchange)
    for module, name in kernels:
        monkeypatch.setattr(module, name, Launcher(module, name))
    with FakeTensorMode():
        x, key = torch.empty(2, 3, 8, 8, device="cuda:1"), torch.empty(2, dtype=torch.int64, device="cuda:1")
        plan = Plan.of(x.shape, (3, 3), True, "map", False)
        call = Call(0.7, 2, 3, plan.segments, 1.0, False, "map", None, 0, 0, False)
        state, scale, _ = gpu.mask(key, 0.7, call, plan, torch.float32)
        assert gpu.apply(x, state, scale, plan).device == x.device
    assert launched == [(name, 1) for _, name in kernels]
    assert current == [0]


def drawn(
    t: int, length: int, keep_prob: torch.Tensor | None = None, gamma_scale: float = 1.0, ratio: float = 1.0
) -> tuple[list[int], list[int]]:
    """The table that `draw` writes, and the seeds of four segments of `length` positions."""
    table, seeds = torch.full((32,), -7, dtype=torch.int64), torch.full((4,), -7, dtype=torch.int32)
    counts, key = torch.full((3,), -7, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)
    scale = torch.full((1,), -7.0)
    drawing.draw[(1,)](
        seeds, table, counts, scale, key, table if keep_prob is None else keep_prob, t, gamma_scale, 1.25, 0, 0,
        3, length, ratio, 1, 1, KEEP_PROB_IS_HERE=keep_prob is not None, BLOCK=4,
    )  # fmt: skip
    assert not counts.any()
    assert scale.item() == 1.25
    return table.tolist(), [seed & MASK32 for seed in seeds.tolist()]


def literal(t: int, length: int) -> list[int]:
    """The seeds of the first four segments of a sample, by the words of the specification."""
    segments = Segments.of((1, length), (1, 1))
    assert segments.length == length
    seeds = [0] * 4
    if t:
        for c, _, column in literal_seeds(0, 0, 4, segments, t / 2**32):
            seeds[c] |= 1 << column
    return seeds


def traced_threshold_word(keep_prob: float, gamma_scale: float, ratio: float) -> int:
    """t of a traced keep_prob, as section 3 of the specification states it, in float32."""
    clamped = np.float32(keep_prob) if math.isnan(keep_prob) else np.clip(np.float32(keep_prob), 0, 1)
    gamma = np.float32(gamma_scale) * (np.float32(1) - clamped) * np.float32(ratio)
    if not gamma > 0:
        return 0
    return 2**32 if gamma >= 1 else max(1, int(np.rint(gamma * np.float32(2**32))))


@pytest.mark.parametrize("keep_prob", [0.9, 0.5, 0.0, 1.0, -1.0, 2.0, math.nan, 1 - 2**-24, 0.123])
@pytest.mark.parametrize(("gamma_scale", "ratio"), [(1.0, 0.0625), (0.25, 1.0), (1e-9, 0.3), (3.0, 1.0)])
def test_r13_a_keep_prob_on_the_device_follows_the_rule_of_traced_values(
    keep_prob: float, gamma_scale: float, ratio: float
) -> None:
    table, seeds = drawn(0, 24, torch.tensor([keep_prob]), gamma_scale, ratio)
    t = traced_threshold_word(keep_prob, gamma_scale, ratio)
    assert seeds == literal(t, 24)
    if t:
        assert table == thresholds(t, 24) + [0] * 8


@pytest.mark.parametrize("keep_prob", [0.9, 0.5, 0.0, 1.0, -1.0, 2.0, math.nan, 1 - 2**-33, 1 / 3])
@pytest.mark.parametrize(("gamma_scale", "ratio"), [(1.0, 0.0625), (1e-9, 0.3), (1.0, 1.7), (1.5 * 2**-32, 1.0)])
def test_r13_a_keep_prob_of_float64_on_the_device_gives_the_hosts_bits(
    keep_prob: float, gamma_scale: float, ratio: float
) -> None:
    clamped = 1.0 if math.isnan(keep_prob) else min(max(keep_prob, 0.0), 1.0)
    t = threshold_word(min(1.0, gamma_scale * (1.0 - clamped) * ratio))
    table, seeds = drawn(0, 24, torch.tensor([keep_prob], dtype=torch.float64), gamma_scale, ratio)
    assert seeds == literal(t, 24)
    assert table == thresholds(t, 24) + [0] * 8 if t else not any(seeds)


def test_r13_a_keep_prob_on_the_host_gives_the_table_of_the_specification() -> None:
    t = threshold_word(0.3)
    assert drawn(t, 32) == (thresholds(t, 32), literal(t, 32))
