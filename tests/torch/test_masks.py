"""The same seed gives NumPy's output (rule R13): every engine, dtype and memory layout, to the bit."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from torch import Tensor

import dropblock_core as core
from dropblock_core import native_status
from dropblock_core.native.library import library
from dropblock_torch import drop_block, eager, engines, ops
from tests.shared.comparing import RENORMS
from tests.shared.golden import golden_params
from tests.shared.grid import grid
from tests.shared.strategies import SEEDS, STREAMS, geometries, offsets

from .support import DTYPES, LAYOUTS, any_engine, as_numpy, assert_same_bits

SHAPE = (2, 3, 8, 9)
KEEP_PROBS = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)
SCALED = st.floats(0, 4).map(lambda scale: {"gamma_scale": scale})
OPTIONS = st.sampled_from([{}, {"calibrated": True}]) | SCALED
NOT_SHARED = ["sample", "map", "expected", "none"]


def numpys(x: Tensor, *args: Any, **kwargs: Any) -> np.ndarray[Any, Any]:
    with np.errstate(all="ignore"):  # x may hold infinity or NaN, or overflow when scaled
        return core.drop_block(as_numpy(x), *args, **kwargs)


def uniform(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(1, 2, shape)).to(dtype)


@st.composite
def activations(draw: st.DrawFn) -> tuple[Tensor, int | tuple[int, ...]]:
    """Activations of every kind, and a block for them, which may exceed the map."""
    segments = draw(geometries(largest_row=20))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), *segments.feat)
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    # Zeros of both signs, subnormals, the largest, infinity and NaN among them.
    values.flat[:12] = draw(npst.arrays(np.float32, min(12, values.size), elements=npst.from_dtype(values.dtype)))
    x = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](torch.from_numpy(values).to(draw(st.sampled_from(DTYPES))))
    beyond = draw(st.tuples(*[st.integers(b, b + 3) for b in segments.block]))
    return x, draw(st.sampled_from([segments.block, segments.block[-1], beyond]))


@any_engine
@settings(max_examples=60)
@given(
    case=activations(), keep_prob=KEEP_PROBS, seed=SEEDS, stream=STREAMS, per_channel=st.booleans(),
    renorm=st.sampled_from(RENORMS), options=OPTIONS, data=st.data(),
)  # fmt: skip
def test_r13_the_output_is_numpys_bit_for_bit(
    engine: str, case: tuple[Tensor, Any], keep_prob: float, options: dict[str, Any], data: st.DataObject, **common: Any
) -> None:
    x, block_size = case
    common |= options | {"sample_offset": data.draw(offsets(x.shape[0]))}
    with engines.force(engine):
        y = drop_block(x, keep_prob, block_size, **common)
    assert_same_bits(y, numpys(x, keep_prob, block_size, **common))
    assert (y is x) == (keep_prob == 1)
    assert y is x or y.stride() == torch.empty_like(x).stride()


@any_engine
@pytest.mark.parametrize("golden", golden_params("seeds.json"))
def test_r13_the_mask_is_that_of_the_golden_seeds(engine: str, golden: dict[str, Any]) -> None:
    shape = (golden["samples"], golden["maps"], *golden["feat_size"])
    dropped = np.zeros(shape, bool)
    for sample, channel, *anchor in golden["seeds"]:
        block = [slice(a, a + b) for a, b in zip(anchor, golden["block_size"], strict=True)]
        dropped[sample, channel, *block] = True
    arguments = {name: golden[name] for name in ("keep_prob", "gamma_scale", "sample_offset", "stream")}
    with engines.force(engine):
        y = drop_block(torch.ones(shape), block_size=tuple(golden["block_size"]), seed=int(golden["seed"]), **arguments)
    np.testing.assert_array_equal(y.numpy() == 0, dropped)


@any_engine
@grid(layout=LAYOUTS, dtype=DTYPES, renorm=["tensor", "map"])
def test_r09_output_has_the_dtype_shape_and_memory_format_of_x(
    engine: str, layout: str, dtype: torch.dtype, renorm: str
) -> None:
    x = LAYOUTS[layout](uniform(SHAPE, dtype))
    before = x.clone()
    with engines.force(engine):
        y = drop_block(x, 0.6, 3, seed=1, renorm=renorm)
    assert (y.dtype, y.shape, y.device) == (x.dtype, x.shape, x.device)
    assert y.stride() == torch.empty_like(x).stride()
    assert torch.equal(x, before)
    assert_same_bits(y, numpys(x, 0.6, 3, seed=1, renorm=renorm))


@pytest.mark.parametrize(
    ("shape", "memory_format"), [((2, 3, 8, 9), torch.channels_last), ((2, 3, 4, 5, 6), torch.channels_last_3d)]
)
@any_engine
def test_r09_channels_last_stays_channels_last(
    engine: str, shape: tuple[int, ...], memory_format: torch.memory_format
) -> None:
    x = uniform(shape).contiguous(memory_format=memory_format)
    with engines.force(engine):
        y = drop_block(x, 0.6, 3, seed=1)
    assert y.is_contiguous(memory_format=memory_format)
    assert_same_bits(y, numpys(x, 0.6, 3, seed=1))


@any_engine
@grid(layout=LAYOUTS, per_channel=[True, False], held=[torch.nan, torch.inf, -torch.inf, -1.0, -0.0])
def test_r07_a_dropped_unit_is_plus_zero_whatever_it_held(
    engine: str, layout: str, per_channel: bool, held: float
) -> None:
    dropped = drop_block(torch.ones(SHAPE), 0.6, 3, seed=4, per_channel=per_channel) == 0
    assert 0 < dropped.sum() < dropped.numel()
    x = LAYOUTS[layout](torch.where(dropped, held, 1.0))
    with engines.force(engine):
        y = drop_block(x, 0.6, 3, seed=4, per_channel=per_channel)
    assert (y[dropped] == 0).all()
    assert not y[dropped].signbit().any()
    if not layout.startswith("expanded"):  # there a kept unit shares its memory with a dropped one
        assert (y[~dropped] >= 1).all()


@any_engine
def test_r07_nan_in_a_kept_unit_stays(engine: str) -> None:
    dropped = drop_block(torch.ones(SHAPE), 0.6, 3, seed=4) == 0
    with engines.force(engine):
        y = drop_block(torch.full(SHAPE, torch.nan), 0.6, 3, seed=4)
    assert torch.equal(y.isnan(), ~dropped)


@any_engine
@grid(dtype=DTYPES, renorm=RENORMS)
def test_r10_nothing_kept_gives_zeros(engine: str, dtype: torch.dtype, renorm: str) -> None:
    # One anchor and gamma 1: the block is the map, whatever the seed.
    for held in (1.0, -torch.inf, torch.nan):
        with engines.force(engine):
            y = drop_block(torch.full(SHAPE, held, dtype=dtype), 0.0, 9, seed=0, renorm=renorm)
        assert (y == 0).all()
        assert not y.signbit().any()


@any_engine
def test_r10_a_map_that_keeps_nothing_leaves_the_others_alone(engine: str) -> None:
    with engines.force(engine):
        y = drop_block(torch.ones(4, 5, 6, 6), 0.5, 6, seed=1, renorm="map")
    alive = y.flatten(2).any(-1)
    assert 0 < alive.sum() < alive.numel()
    assert (y == alive[..., None, None]).all()


def test_r09_the_scale_does_not_overflow_in_half_precision() -> None:
    x = torch.ones(2, 8, 70, 70, dtype=torch.float16)  # 78,400 units: the count itself is beyond float16
    y = drop_block(x, 0.9, 7, seed=0)
    kept = int((y != 0).sum())
    assert kept >= 65_520
    assert y.max() == torch.tensor(x.numel() / kept).half()


@any_engine
@grid(renorm=NOT_SHARED, per_channel=[True, False])
def test_r13_shards_equal_the_whole_batch(engine: str, renorm: str, per_channel: bool) -> None:
    x = uniform((5, 3, 9, 9))
    options: dict[str, Any] = {"seed": 1, "renorm": renorm, "per_channel": per_channel}
    with engines.force(engine):
        whole = drop_block(x, 0.7, 3, sample_offset=11, **options)
        shards = [drop_block(x[i : i + 2], 0.7, 3, sample_offset=11 + i, **options) for i in (0, 2, 4)]
    assert torch.equal(torch.cat(shards), whole)
    assert not torch.equal(drop_block(x, 0.7, 3, sample_offset=12, **options), whole)


@any_engine
def test_r06_channels_share_a_mask_on_request(engine: str) -> None:
    x = torch.ones(3, 5, 12, 12)
    with engines.force(engine):
        shared = drop_block(x, 0.7, 3, seed=2, per_channel=False) == 0
        own = drop_block(x, 0.7, 3, seed=2) == 0
    assert (shared == shared[:, :1]).all()
    assert len({mask.numpy().tobytes() for mask in shared[:, 0]}) == 3
    assert len({mask.numpy().tobytes() for mask in own.flatten(0, 1)}) == 15


@pytest.mark.skipif(library() is None, reason=native_status())
@settings(max_examples=200)
@given(
    case=activations(), keep_prob=KEEP_PROBS, seed=SEEDS, stream=STREAMS, per_channel=st.booleans(),
    renorm=st.sampled_from(RENORMS), options=OPTIONS,
)  # fmt: skip
def test_r13_c_and_numpy_write_the_same_state_and_the_same_output(
    case: tuple[Tensor, Any], keep_prob: float, seed: int, options: dict[str, Any], **common: Any
) -> None:
    x, block_size = case
    seen = []
    for engine in ("native", "host"):
        with engines.force(engine), recorded() as masks:
            seen.append((drop_block(x, keep_prob, block_size, seed=seed, **options, **common), masks))
    (in_c, masks_in_c), (in_numpy, masks_in_numpy) = seen
    assert masks_in_c or in_c is x
    assert_same_bits(in_c, as_numpy(in_numpy))
    assert in_c.stride() == in_numpy.stride()
    for mask, other in zip(masks_in_c, masks_in_numpy, strict=True):
        assert all(torch.equal(part, wanted) for part, wanted in zip(mask, other, strict=True))


@contextmanager
def recorded() -> Iterator[list[tuple[Tensor, ...]]]:
    """The masks that operators draw within the block: state, factors, counts."""
    masks: list[tuple[Tensor, ...]] = []

    def mask(*arguments: Any) -> tuple[Tensor, ...]:
        masks.append(real(*arguments))
        return masks[-1]

    real = ops.mask
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ops, "mask", mask)
        patch.setattr(eager, "takes", lambda x: False)
        yield masks


FORK = """
import os, signal, torch
from dropblock_torch import drop_block
x = torch.ones(8, 64, 28, 28)
y = drop_block(x, 0.9, 7, seed=1)  # starts PyTorch's threads, for which a child would wait for ever
child = os.fork()
if not child:
    signal.alarm(20)
    again = drop_block(x, 0.9, 7, seed=1)
    os._exit(0 if (again.numpy() == y.numpy()).all() else 1)  # torch.equal would wait itself
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(library() is None, reason="PyTorch's own multiply would wait for the threads")
def test_a_forked_process_has_one_thread_and_the_same_masks() -> None:
    subprocess.run([sys.executable, "-c", FORK], env=os.environ | {"OMP_NUM_THREADS": "2"}, check=True, timeout=120)


@any_engine
@grid(shape=[(0, 3, 4, 4), (2, 0, 4, 4), (0, 0, 4)], per_channel=[True, False], renorm=RENORMS)
def test_r14_empty_batches_and_zero_channels_pass_through(
    engine: str, shape: tuple[int, ...], per_channel: bool, renorm: str
) -> None:
    x = torch.ones(shape)
    with engines.force(engine):
        assert drop_block(x, 0.5, 3, per_channel=per_channel, renorm=renorm) is x


@any_engine
def test_fresh_memory_is_never_read(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True)  # fresh memory is then NaN, or the largest integer
    try:
        assert torch.empty(3).isnan().all()
        for dtype in DTYPES:
            for layout in LAYOUTS.values():
                x = layout(uniform(SHAPE, dtype))
                with engines.force(engine):
                    assert_same_bits(drop_block(x, 0.6, 3, seed=6), numpys(x, 0.6, 3, seed=6))
    finally:
        torch.use_deterministic_algorithms(False)
