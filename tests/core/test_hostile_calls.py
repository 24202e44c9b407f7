"""A thousand hostile calls of each front door of the core, of which `make test` tries some (rule R14)."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import strategies as st

import dropblock_core as core
from tests.shared.comparing import assert_is_numpys
from tests.shared.hostile import (
    NO_INTEGER,
    NO_NUMBER,
    NOT_FINITE,
    Door,
    Drawn,
    Subclass,
    calls,
    flags,
    literally,
    right,
    sides,
    try_calls,
    words,
    wrong,
)

Array = np.ndarray[Any, Any]
X = np.ones((2, 3, 4, 5), np.float32)


def read_only(x: Array) -> Array:
    x.flags.writeable = False
    return x


def sliced(x: Array) -> Array:
    wide = np.full([2 * size for size in x.shape], -7, x.dtype)
    view = wide[tuple(slice(1, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def unaligned(x: Array) -> Array:
    held = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    held[...] = x
    return held


def swapped(x: Array) -> Array:
    return x.astype(x.dtype.newbyteorder()) if x.dtype.kind == "f" else x


LAYOUTS: list[Callable[[Array], Any]] = [
    np.asarray,
    np.asfortranarray,
    read_only,
    sliced,
    unaligned,
    swapped,
    lambda x: x[::-1, ..., ::-1].copy()[::-1, ..., ::-1],
    lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1),
    lambda x: x.view(Subclass),
]
NO_ARRAYS = [
    *[None, 1.0, "x", [[[1.0]]], object(), np.ndarray, X.tolist(), X[0, 0], X[None, None], np.float32(1), X[:, :, :0]],
    *[X.astype(kind) for kind in (int, bool, complex, object, "U1", "M8[s]", "f4,f4", ml_dtypes.float8_e4m3fn)],
    *[np.ma.masked_less(X, 0), np.zeros((2, 0, 0))],
]
DROP_BLOCK = Door("dropblock_core.drop_block", core.drop_block, LAYOUTS, NO_ARRAYS)


def test_r14_hostile_calls_of_drop_block() -> None:
    def compare(y: Any, plain: dict[str, Any]) -> None:
        assert_is_numpys(y.astype(plain["x"].dtype, copy=False), literally(plain))  # in this machine's order of bytes

    try_calls(DROP_BLOCK.name, DROP_BLOCK.call, calls(DROP_BLOCK), compare)


PROBABILITY = (right([0.0, 0.1, 0.5, 1.0], [float, np.float64, np.array]), wrong(*NO_NUMBER, *NOT_FINITE, -1e-9, 2))
SCALE = (right([1.0], [float, int, np.float32]), wrong(*NO_NUMBER, *NOT_FINITE, -1))
COUNT = words([5], -1, ())
WORD = words([2**31], 2**32, ())
FEAT = (right([4, 5], [int, np.int64, np.array]), wrong(*NO_INTEGER, 0, -1, (), (4,) * 4, (4, "5")))
BLOCK = sides(2, ())
SEEDS = np.zeros((2, 3, 3, 4), bool)

OTHERS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (core.gamma, {"keep_prob": PROBABILITY, "block_size": BLOCK, "feat_size": FEAT, "gamma_scale": SCALE}),
    (core.gamma, {"keep_prob": PROBABILITY, "block_size": BLOCK, "feat_size": FEAT, "calibrated": flags(())}),
    (core.keep_map, {"gamma": PROBABILITY, "block_size": BLOCK, "feat_size": FEAT}),
    (core.expected_keep, {"gamma": PROBABILITY, "block_size": BLOCK, "feat_size": FEAT}),
    (
        core.sample_seeds,
        {"seed": words([2**64 - 1], 2**64, ()), "samples": (COUNT[0], wrong(-1, 1.5, None, "2", True)),
         "maps": (COUNT[0], wrong(-1, 1.5, None, "2", True)), "feat_size": FEAT, "block_size": BLOCK,
         "gamma": PROBABILITY, "stream": WORD, "sample_offset": (right([0, 2**31], [int]), wrong(-1, 2**32, None))},
    ),
    (
        core.block_mask,
        {"seeds": (st.just(Drawn(SEEDS, SEEDS)),
          wrong(None, 3, "s", SEEDS[0, 0], SEEDS.astype(int), [[True]], SEEDS[:, :, :1])),
         "block_size": (right([2], [int, np.int64]), sides(2, ())[1]),
         "feat_size": (right([(4, 5)], [tuple, list]), FEAT[1])},
    ),
    (
        core.algorithm1,
        {"a": (st.just(Drawn(X, X)), wrong(*NO_ARRAYS)), "block_size": (right([2], [int]), sides(2, ())[1]),
         "gamma": PROBABILITY, "mode": (right(["training", "INFERENCE"], [str]), wrong(None, "train", 1, True, [])),
         "seeds": (st.just(Drawn(SEEDS, SEEDS)), wrong(None, 3, "s", SEEDS[0, 0], SEEDS.astype(int), SEEDS[:1]))},
    ),
    (
        lambda step, **ends: core.LinearSchedule(**ends)(step),
        {"keep_prob": PROBABILITY, "start": PROBABILITY,
         "steps": (COUNT[0], wrong(*NO_INTEGER, -1, 2**63)),
         "step": (right([0, 3, 2**40], [int, float, np.int64]), wrong(*NO_NUMBER, -1, float("nan"), -(10**400)))},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "arguments"), OTHERS, ids=lambda of: getattr(of, "__name__", ""))
def test_r14_hostile_calls_of_the_other_functions(call: Callable[..., Any], arguments: dict[str, Any]) -> None:
    name = f"dropblock_core.{call.__name__}".replace("<lambda>", "LinearSchedule")

    @st.composite
    def strategy(draw: st.DrawFn) -> dict[str, Drawn]:
        return {key: draw(both[draw(st.integers(0, 9)) == 0]) for key, both in arguments.items()}

    def compare(y: Any, plain: dict[str, Any]) -> None:
        np.testing.assert_array_equal(y, call(**plain))

    try_calls(name, call, strategy(), compare)
