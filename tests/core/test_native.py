"""The C library gives what NumPy's path gives, bit for bit, and everything works without it."""

import ctypes
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropblock_core import apply, drop_block, native_status
from dropblock_core.mask import dropped_units
from dropblock_core.native import calls, compile, library
from dropblock_core.native import numpy as native
from dropblock_core.stream import Batch, Segments
from tests.shared.comparing import assert_equal
from tests.shared.settings import DTYPES, settings_of
from tests.shared.strategies import GAMMAS, SEEDS, STREAMS, geometries, offsets

needs_library = pytest.mark.skipif(library.library() is None, reason=native_status())

TASK = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
PARALLEL_FOR = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p
)


@PARALLEL_FOR
def in_disorder(begin: int, end: int, grain: int, task: int, context: int) -> int:
    """One task at a time, the last first: what one task leaves to another, or takes from it, shows."""
    for i in reversed(range(begin, end)):
        TASK(task)(i, i + 1, context)
    return 0


DISORDER = ctypes.cast(in_disorder, ctypes.c_void_p).value


def in_order(units: np.ndarray[Any, Any], channels_last: bool) -> np.ndarray[Any, Any]:
    return np.moveaxis(units, 1, -1) if channels_last else units


@needs_library
@settings(max_examples=300)
@given(
    segments=geometries(), samples=st.integers(1, 4), gamma=GAMMAS, seed=SEEDS, stream=STREAMS, data=st.data(),
    maps=st.integers(1, 5) | st.sampled_from([63, 64, 128, 192]), channels_last=st.booleans(),
    task_bits=st.sampled_from([64, calls.TASK_BITS]),
)  # fmt: skip
def test_r13_a_mask_has_the_bits_of_the_reference(
    segments: Segments, samples: int, maps: int, channels_last: bool, task_bits: int, data: st.DataObject, **fixed: Any
) -> None:
    batch = Batch(fixed["seed"], samples, maps, segments, fixed["gamma"], data.draw(offsets(samples)), fixed["stream"])
    state = np.full(calls.state_words(samples * maps * segments.units) + 1, 2**64 - 1, np.uint64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "TASK_BITS", task_bits)
        calls._known.cache_clear()
        dropped = calls.draw(batch, state.ctypes.data, channels_last=channels_last, parallel_for=DISORDER)
    calls._known.cache_clear()
    wanted = np.packbits(in_order(dropped_units(batch), channels_last), bitorder="little")
    bits = state[:-1].view(np.uint8)
    np.testing.assert_array_equal(bits[: wanted.size], wanted)
    assert not bits[wanted.size :].any()
    assert state[-1] == 2**64 - 1, "it wrote past the end"
    assert dropped == np.unpackbits(wanted).sum()


@needs_library
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("tasks", [0, 1, 7, 8, 1000])
def test_threads_do_every_task_once(threads: int, tasks: int) -> None:
    done: list[int] = []
    found, task = library.opened(library.FILE), TASK(lambda begin, end, _: done.extend(range(begin, end)))
    found.dropblock_threads(threads)
    run = PARALLEL_FOR(library.parallel_for())
    is_refused = bool(run(3, 3 + tasks, 1, ctypes.cast(task, ctypes.c_void_p), None))
    found.dropblock_threads(library.threads())
    assert is_refused == (threads == 1 or tasks < 8), "too little for two threads is left to the caller"
    assert sorted(done) == ([] if is_refused else list(range(3, 3 + tasks)))


@needs_library
def test_threads_give_what_one_gives() -> None:
    x = np.random.default_rng(0).standard_normal((8, 256, 20, 20), np.float32)
    found = library.opened(library.FILE)
    results = []
    for threads in (1, 4):
        found.dropblock_threads(threads)
        results.append(drop_block(x, 0.9, 5, seed=3))
    found.dropblock_threads(library.threads())
    assert_equal(*results)


@pytest.mark.parametrize(("asked", "threads"), [("3", 3), ("2,4", 2), ("1000", library.MOST_THREADS)])
def test_omp_num_threads_is_followed(asked: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert library.threads() == threads


@pytest.mark.parametrize("asked", ["", "0", "many"])
def test_without_omp_num_threads_each_cpu_gets_a_thread(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr(library.os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert library.threads() == 3


def test_a_sample_too_large_for_the_librarys_counters_is_refused_before_anything_is_written() -> None:
    batch = Batch(0, 1, 2**32, Segments.of((1,), (1,)), 0.5)
    with pytest.raises(ValueError, match=r"has 2\^32 segments or more, .* set DROPBLOCK_NATIVE=0"):
        calls.draw(batch, 0)


def laid_out(x: np.ndarray[Any, Any], rng: random.Random) -> np.ndarray[Any, Any]:
    """The same values in some memory layout."""
    unaligned = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    unaligned[...] = x
    return rng.choice(
        [
            x,
            np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1),
            np.asfortranarray(x),
            x[::-1],
            np.broadcast_to(x[:, :1], x.shape),
            unaligned,
        ]
    )


@needs_library
@pytest.mark.parametrize("number", [1500, pytest.param(100_000, marks=pytest.mark.exhaustive)])
def test_outputs_are_those_of_numpys_path(number: int) -> None:
    rng = random.Random(number)
    for _, (x, call, seed) in zip(range(number), settings_of(rng, laid_out), strict=False):
        with np.errstate(all="ignore"):
            wanted = apply._apply_numpy(x, call, seed)
        y = native.drop_block(x, call, seed)
        told = f"{call}, seed {seed}, {x.dtype} strides {x.strides}"
        assert_equal(y, wanted, told)
        assert y.strides == wanted.strides, told


def plainly(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The library as a machine has it that has nothing special."""
    file = tmp_path_factory.mktemp("plain") / "libdropblock.so"
    assert compile.compile_library(f"{compile.FLAGS} -DPLAIN -Wall -Wextra -Werror", file) is None
    return library.opened(file)


@needs_library
@pytest.mark.parametrize("is_plain", [False, True])
def test_r09_every_number_of_a_half_type_is_rounded_once(
    is_plain: bool, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if is_plain:
        found = plainly(tmp_path_factory)
        monkeypatch.setattr(calls, "library", lambda: found)
    state = np.zeros(2**16 // 64, np.uint64)
    rows = calls.Rows.of(1, 1, 1, 2**16, 1, False)
    for dtype in (np.float16, ml_dtypes.bfloat16):
        x = np.arange(2**16, dtype=np.uint16).view(dtype)
        for factor in (1.0, 1.1, 4 / 3, 2.0, 1 / 3, 0.0, 1e-6, 3e7):
            y, scale = np.empty_like(x), np.array(factor, np.float32)
            calls.apply(x.ctypes.data, y.ctypes.data, state.ctypes.data, scale.ctypes.data, rows, np.dtype(dtype).name)
            with np.errstate(all="ignore"):
                assert_equal(y, (x.astype(np.float32) * np.float32(factor)).astype(dtype), f"{dtype} {factor}")


@needs_library
def test_a_plain_machine_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    found = plainly(tmp_path_factory)
    x = np.random.default_rng(0).standard_normal((3, 20, 17, 18))
    for dtype in DTYPES:
        for options in ({}, {"per_channel": False}, {"renorm": "map"}, {"block_size": 1}):
            arguments: dict[str, Any] = {"keep_prob": 0.8, "block_size": 5, "seed": 3, **options}
            y = drop_block(x.astype(dtype), **arguments)
            with monkeypatch.context() as patch:
                patch.setattr(calls, "library", lambda: found)
                assert_equal(drop_block(x.astype(dtype), **arguments), y)


# --- without it -----------------------------------------------------------------------------------------------------


def _missing(patch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    patch.setattr(library, "FILE", tmp_path / "libdropblock.so")
    return "off: libdropblock.so was not built"


def _no_library(patch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    file = tmp_path / "libdropblock.so"
    file.write_text("not a library")
    patch.setattr(library, "FILE", file)
    return f"off: {file} cannot be loaded"


def _switched_off(patch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    patch.setenv("DROPBLOCK_NATIVE", "0")
    return "off: DROPBLOCK_NATIVE=0"


def _switched_off_in_words(patch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    patch.setenv("DROPBLOCK_NATIVE", "off")
    return "off: DROPBLOCK_NATIVE=off"


def _big_endian(patch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    patch.setattr("sys.byteorder", "big")
    return "off: this machine is big-endian"


def _of_another_version(patch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    patch.setattr(library, "ABI", -1)
    return f"off: {library.FILE} is of another version"


@pytest.mark.parametrize(
    "obstacle",
    [
        _missing,
        _no_library,
        _switched_off,
        _switched_off_in_words,
        _big_endian,
        pytest.param(_of_another_version, marks=needs_library),
    ],
)
def test_what_stands_in_the_way_is_said_and_numpy_does_the_work(
    obstacle: Callable[[pytest.MonkeyPatch, Path], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    x = np.ones((2, 3, 8, 8), np.float32)
    wanted = drop_block(x, 0.7, 3, seed=1)
    with monkeypatch.context() as patch:
        patch.delenv("DROPBLOCK_NATIVE", raising=False)
        told = obstacle(patch, tmp_path)
        library._loaded.cache_clear()
        try:
            assert native_status().startswith(told)
            assert_equal(drop_block(x, 0.7, 3, seed=1), wanted)
        finally:
            library._loaded.cache_clear()


@pytest.mark.parametrize(("compiler", "told"), [("false", "false -std"), ("no-such-compiler", "no C compiler")])
def test_a_compiler_that_fails_is_told_and_leaves_no_file(
    compiler: str, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CC", compiler)
    obstacle = compile.compile_library(library=tmp_path / "libdropblock.so")
    assert obstacle is not None
    assert obstacle.startswith(told)
    assert not list(tmp_path.iterdir())
