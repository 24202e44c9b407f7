"""What bad input is told (rule R14): every refusal names the argument, its value, the rule and the remedy."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from dropblock_core import (
    LinearSchedule,
    algorithm1,
    block_mask,
    drop_block,
    expected_keep,
    gamma,
    joint_keep,
    keep_map,
    sample_seeds,
)
from tests.shared.refusals import (
    ONE_TO_KEEP,
    REFUSED_CALLS,
    REFUSED_FLAGS,
    SCALE,
    SEED,
    SIDES,
    WORD,
    Refusal,
    each,
    text,
)

from .test_call import global_state

X = np.ones((2, 3, 8, 8), np.float32)


OF_NUMPY: list[Refusal] = [
    ({"x": np.ma.masked_less(X, 0)}, TypeError, ["x is a MaskedArray", "pass x.filled(0)"]),
    ({"x": X.astype(ml_dtypes.float8_e5m2)}, TypeError, ["x has dtype float8_e5m2", "too narrow", "as to bfloat16"]),
]


@pytest.mark.parametrize("training", [True, False])
@each(REFUSED_CALLS + REFUSED_FLAGS + OF_NUMPY)
def test_r14_drop_block_refuses_bad_input_and_draws_nothing(
    arguments: dict[str, Any], error: type[Exception], parts: list[str], training: bool
) -> None:
    rng = np.random.default_rng(0)
    options = {"x": X.copy(), "training": training} | ({} if "seed" in arguments else {"rng": rng}) | arguments
    x = options.pop("x")
    before = rng.bit_generator.state, global_state()
    with pytest.raises(error, match=text(parts)) as caught:
        drop_block(x, **options)
    assert type(caught.value) is error  # a subclass would be some library's own complaint
    assert (rng.bit_generator.state, global_state()) == before
    if "x" not in arguments:
        np.testing.assert_array_equal(x, X)


SEEDS = np.zeros((2, 3, 6, 6), bool)
FEAT = "feat_size is one int for a square map, or one int per spatial axis (1 to 3), each at least 1"
SHAPE = "it must be [samples, maps, *(feat_size - block_size + 1)] = [2, 3, 6, 6]"

REFUSED_ELSEWHERE: list[tuple[str, Callable[[], Any], type[Exception], list[str]]] = [
    ("gamma", lambda: gamma(2, 7, 14), ValueError, ["keep_prob=2 is outside [0, 1]", ONE_TO_KEEP]),
    ("gamma", lambda: gamma(0.9, 0, 14), ValueError, ["block_size=0 is below 1", SIDES]),
    ("gamma", lambda: gamma(0.9, 7, 0), ValueError, ["feat_size=0", FEAT]),
    ("gamma", lambda: gamma(0.9, 7, ()), ValueError, ["feat_size=()", FEAT]),
    ("gamma", lambda: gamma(0.9, 7, (4,) * 4), ValueError, ["feat_size=(4, 4, 4, 4)", FEAT]),
    ("gamma", lambda: gamma(0.9, 7, 14.0), TypeError, ["feat_size=14.0 is not an integer", FEAT]),
    ("gamma", lambda: gamma(0.9, 7, "14"), TypeError, ["feat_size='14' is not an integer", FEAT]),
    ("gamma", lambda: gamma(0.9, 7, (14, None)), TypeError, ["feat_size=None is not an integer", FEAT]),
    ("gamma", lambda: gamma(0.9, 7, 14, gamma_scale=-1), ValueError, ["gamma_scale=-1", SCALE]),
    ("keep_map", lambda: keep_map(1.5, 7, 14), ValueError, ["gamma=1.5 is outside [0, 1]", "gamma must be"]),
    ("expected_keep", lambda: expected_keep(np.nan, 7, 14), ValueError, ["gamma=nan is outside [0, 1]"]),
    ("expected_keep", lambda: expected_keep("a", 7, 14), TypeError, ["gamma='a' is not a real number"]),
    ("joint_keep", lambda: joint_keep(0.1, (7,), 14, []), ValueError, ["block_size=(7,) has 1 sides", SIDES]),
    ("sample_seeds", lambda: sample_seeds(-1, 1, 1, 4, 2, 0.1), ValueError, ["seed=-1", SEED]),
    ("sample_seeds", lambda: sample_seeds(0, -1, 1, 4, 2, 0.1), ValueError, ["samples=-1 is negative", "axis"]),
    ("sample_seeds", lambda: sample_seeds(0, 1, 1.5, 4, 2, 0.1), TypeError, ["maps=1.5 is not an integer", "axis"]),
    ("sample_seeds", lambda: sample_seeds(0, 1, 1, 4, 2, -0.1), ValueError, ["gamma=-0.1 is outside [0, 1]"]),
    ("sample_seeds", lambda: sample_seeds(0, 1, 1, 4, 2, 0.1, stream=-1), ValueError, ["stream=-1", WORD]),
    (
        "sample_seeds",
        lambda: sample_seeds(0, 3, 1, 4, 2, 0.1, sample_offset=2**32 - 2),
        ValueError,
        ["sample_offset=4294967294 with a batch of 3 does not fit", WORD],
    ),
    ("block_mask", lambda: block_mask(SEEDS, 3, 9), ValueError, ["seeds has shape (2, 3, 6, 6)", "= [2, 3, 7, 7]"]),
    ("block_mask", lambda: block_mask(SEEDS[0, 0], 3, 8), ValueError, ["seeds has shape (6, 6)"]),
    ("block_mask", lambda: block_mask(SEEDS.astype(int), 3, 8), TypeError, ["seeds has dtype int64", "seeds are bool"]),
    ("algorithm1", lambda: algorithm1(X, 3, 2.0, "training", SEEDS), ValueError, ["gamma=2.0 is outside [0, 1]"]),
    (
        "algorithm1",
        lambda: algorithm1(X, 3, 0.1, "train", SEEDS),
        ValueError,
        ["mode='train' is unknown", "'training'"],
    ),
    ("algorithm1", lambda: algorithm1(X, 3, 0.1, None, SEEDS), ValueError, ["mode=None is unknown"]),  # type: ignore[arg-type]
    ("algorithm1", lambda: algorithm1(X, 3, 0.1, "training", SEEDS[:1]), ValueError, ["seeds has shape", SHAPE]),
    ("algorithm1", lambda: algorithm1(X, 3, 0.1, "inference", SEEDS[:1]), ValueError, ["seeds has shape", SHAPE]),
    (
        "algorithm1",
        lambda: algorithm1(X[0, 0], 3, 0.1, "training", SEEDS),
        ValueError,
        ["a has shape", "a[None]"],
    ),
    (
        "algorithm1",
        lambda: algorithm1(X.tolist(), 3, 0.1, "training", SEEDS),
        TypeError,
        ["a is a list", "asarray(a)"],
    ),
    ("schedule", lambda: LinearSchedule(1.1, 10), ValueError, ["keep_prob=1.1 is outside [0, 1]", ONE_TO_KEEP]),
    ("schedule", lambda: LinearSchedule(0.9, 10, start=-1), ValueError, ["start=-1 is outside [0, 1]"]),
    ("schedule", lambda: LinearSchedule(0.9, -1), ValueError, ["steps=-1 is negative", "steps=0 holds keep_prob"]),
    ("schedule", lambda: LinearSchedule(0.9, 10.0), TypeError, ["steps=10.0 is not an integer", "steps=0 holds"]),  # type: ignore[arg-type]
    ("schedule", lambda: LinearSchedule(0.9, 10)(-1), ValueError, ["step=-1.0 is not at least 0", "a function of"]),
    ("schedule", lambda: LinearSchedule(0.9, 10)(np.nan), ValueError, ["step=nan is not at least 0"]),
    ("schedule", lambda: LinearSchedule(0.9, 10)(None), TypeError, ["step=None is not a real number"]),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(
    ("call", "error", "parts"), [case[1:] for case in REFUSED_ELSEWHERE], ids=[case[0] for case in REFUSED_ELSEWHERE]
)
def test_r14_the_other_front_doors_refuse_bad_input(
    call: Callable[[], Any], error: type[Exception], parts: list[str]
) -> None:
    with pytest.raises(error, match=text(parts)) as caught:
        call()
    assert type(caught.value) is error


@pytest.mark.parametrize("true", [True, np.True_, np.array(True)], ids=repr)
def test_r14_bools_of_every_kind_are_bools(true: Any) -> None:
    y = drop_block(X, 0.5, 3, training=true, per_channel=true, calibrated=true, seed=1)
    np.testing.assert_array_equal(y, drop_block(X, 0.5, 3, calibrated=True, seed=1))


def test_r14_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(TypeError, match=r"keep_prob=\[0, 0, ") as caught:
        drop_block(X, [0] * 10**5)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("zero_d", [np.int64(3), np.array(3)], ids=["scalar", "0-d"])
def test_r14_numpys_integers_are_integers(zero_d: Any) -> None:
    y = drop_block(X, np.float32(0.5), zero_d, seed=np.uint64(3), stream=zero_d, sample_offset=zero_d)
    np.testing.assert_array_equal(y, drop_block(X, 0.5, 3, seed=3, stream=3, sample_offset=3))


def test_r14_refused_before_the_seed_of_a_bad_call_is_looked_at() -> None:
    # The checks come in the order of the arguments, so that the first mistake is the one that is told.
    with pytest.raises(ValueError, match=r"^keep_prob=2 "):
        drop_block(X, 2, 0, renorm="?", seed=-1)
    with pytest.raises(ValueError, match=r"^block_size=0 "):
        drop_block(X, 0.5, 0, renorm="?", seed=-1)
