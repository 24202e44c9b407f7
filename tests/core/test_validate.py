"""What bad input is told (rule R14): every refusal names the argument, its value, the rule and the remedy."""

import re
from collections.abc import Callable
from typing import Any

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

from .test_call import global_state

X = np.ones((2, 3, 8, 8), np.float32)
ONE_TO_KEEP = "must be a number in [0, 1]; it is the probability to keep, so a drop probability d is keep_prob=1-d"
SIDES = "block_size must be an int of at least 1, or one such int for each of the 2 spatial axes"
SCALE = "must be finite and at least 0; leave it at 1.0 for the paper's gamma"
SEED = "a seed is an int in [0, 2^64); reduce a larger one yourself, it is never wrapped"
WORD = "it is a word of the generator's counter and is never wrapped"
AXES = "activations are [samples, channels, *spatial] with 1, 2 or 3 spatial axes"
FLOATING = "DropBlock scales what it keeps, so x must be of a real floating type"
EMPTY = "with an empty spatial axis: each spatial axis needs at least one unit"
ARRAY = "pass an array (NumPy, or any array-API library), e.g. np.asarray(x)"
RENORM = "choose one of 'tensor', 'sample', 'map', 'expected', 'none'"
KEEPING = "it takes the probability of keeping, as the paper does; pass"

# Arguments of drop_block; the error; what its text holds, in order: the argument and its value, the rule, the remedy.
REFUSED_CALLS: list[tuple[dict[str, Any], type[Exception], list[str]]] = [
    ({"keep_prob": 1.5}, ValueError, ["keep_prob=1.5 is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": -0.1}, ValueError, ["keep_prob=-0.1 is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": float("nan")}, ValueError, ["keep_prob=nan is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": float("inf")}, ValueError, ["keep_prob=inf is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": 10**400}, ValueError, ["keep_prob=1000", "is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": "0.9"}, TypeError, ["keep_prob='0.9' is not a real number", ONE_TO_KEEP]),
    ({"keep_prob": np.array("0.9")}, TypeError, ["keep_prob=array('0.9'", "is not a real number", ONE_TO_KEEP]),
    ({"keep_prob": bytearray(b"0.9")}, TypeError, ["keep_prob=bytearray(b'0.9') is not a real number", ONE_TO_KEEP]),
    ({"keep_prob": None}, TypeError, ["keep_prob=None is not a real number", ONE_TO_KEEP]),
    ({"keep_prob": True}, TypeError, ["keep_prob=True is not a real number", ONE_TO_KEEP]),
    ({"keep_prob": np.True_}, TypeError, ["is not a real number", ONE_TO_KEEP]),
    ({"keep_prob": np.array(True)}, TypeError, ["keep_prob=array(True) is not a real number", ONE_TO_KEEP]),
    ({"keep_prob": 0.9 + 0j}, TypeError, ["keep_prob=(0.9+0j) is not a real number", ONE_TO_KEEP]),
    ({"keep_prob": np.complex64(0.5)}, TypeError, ["is not a real number", ONE_TO_KEEP]),
    ({"keep_prob": [0.9, 0.8]}, TypeError, ["keep_prob=[0.9, 0.8] is not a real number", ONE_TO_KEEP]),
    ({"keep_prob": np.array([0.9, 0.8])}, TypeError, ["keep_prob=array([0.9, 0.8]) is not", ONE_TO_KEEP]),
    ({"block_size": 0}, ValueError, ["block_size=0 is below 1", SIDES, "block_size=1 is dropout"]),
    ({"block_size": (3, -1)}, ValueError, ["block_size=(3, -1) is below 1", SIDES]),
    ({"block_size": 7.0}, TypeError, ["block_size=7.0 is not an integer", SIDES]),
    ({"block_size": "7"}, TypeError, ["block_size='7' is not an integer", SIDES]),
    ({"block_size": b"77"}, TypeError, ["block_size=b'77' is not an integer", SIDES]),
    ({"block_size": None}, TypeError, ["block_size=None is not an integer", SIDES]),
    ({"block_size": True}, TypeError, ["block_size=True is not an integer", SIDES]),
    ({"block_size": float("nan")}, TypeError, ["block_size=nan is not an integer", SIDES]),
    ({"block_size": np.array(7.0)}, TypeError, ["block_size=", "7.", "is not an integer", SIDES]),
    ({"block_size": np.array([7.0, 7.0])}, TypeError, ["block_size=", "7.0", "is not an integer", SIDES]),
    ({"block_size": ()}, ValueError, ["block_size=() has 0 sides for 2 spatial axes", SIDES]),
    ({"block_size": (3,)}, ValueError, ["block_size=(3,) has 1 sides for 2 spatial axes", SIDES]),
    ({"block_size": (3, 3, 3)}, ValueError, ["block_size=(3, 3, 3) has 3 sides for 2 spatial axes", SIDES]),
    ({"gamma_scale": -1}, ValueError, ["gamma_scale=-1 is not finite and at least 0", SCALE]),
    ({"gamma_scale": float("nan")}, ValueError, ["gamma_scale=nan is not finite and at least 0", SCALE]),
    ({"gamma_scale": float("inf")}, ValueError, ["gamma_scale=inf is not finite and at least 0", SCALE]),
    ({"gamma_scale": None}, TypeError, ["gamma_scale=None is not a real number", SCALE]),
    ({"gamma_scale": "1"}, TypeError, ["gamma_scale='1' is not a real number", SCALE]),
    (
        {"gamma_scale": 0.5, "calibrated": True},
        ValueError,
        ["gamma_scale=0.5 with calibrated=True", "pass one or the other", "a larger keep_prob drops less"],
    ),
    ({"renorm": "batch"}, ValueError, ["renorm='batch' is unknown", RENORM]),
    ({"renorm": None}, ValueError, ["renorm=None is unknown", RENORM]),
    ({"renorm": ["tensor"]}, ValueError, ["renorm=['tensor'] is unknown", RENORM]),
    ({"renorm": np.array(["tensor"])}, ValueError, ["renorm=array(['tensor']", "is unknown", RENORM]),
    ({"renorm": True}, ValueError, ["renorm=True is unknown", RENORM]),
    ({"seed": -1}, ValueError, ["seed=-1 is outside [0, 2^64)", SEED]),
    ({"seed": 2**64}, ValueError, ["seed=18446744073709551616 is outside [0, 2^64)", SEED]),
    ({"seed": 1.0}, TypeError, ["seed=1.0 is not an integer", SEED]),
    ({"seed": "1"}, TypeError, ["seed='1' is not an integer", SEED]),
    ({"seed": True}, TypeError, ["seed=True is not an integer", SEED]),
    ({"seed": np.array([1, 2])}, TypeError, ["seed=array([1, 2]) is not an integer", SEED]),
    ({"stream": -1}, ValueError, ["stream=-1 does not fit in 32 bits", "stream is an int in [0, 2^32)", WORD]),
    ({"stream": 2**32}, ValueError, ["stream=4294967296 does not fit in 32 bits", WORD]),
    ({"stream": None}, TypeError, ["stream=None is not an integer", WORD]),
    ({"sample_offset": -1}, ValueError, ["sample_offset=-1 with a batch of 2 does not fit in 32 bits", WORD]),
    ({"sample_offset": 2**32 - 1}, ValueError, ["sample_offset=4294967295 with a batch of 2 does not fit", WORD]),
    ({"sample_offset": 0.5}, TypeError, ["sample_offset=0.5 is not an integer", WORD]),
    ({"seed": 1, "rng": np.random.default_rng(0)}, ValueError, ["seed=1 and rng=Generator(PCG64)", "drop the other"]),
    ({"rng": 42}, TypeError, ["rng=42"]),
    ({"rng": 0}, TypeError, ["rng=0"]),
    ({"x": np.ones((8, 8))}, ValueError, ["x has shape (8, 8)", AXES, "as in x[None]"]),
    ({"x": np.ones((1, 1, 2, 2, 2, 2))}, ValueError, ["x has shape (1, 1, 2, 2, 2, 2)", AXES]),
    ({"x": np.float32(1)}, ValueError, ["x has shape ()", AXES]),
    ({"x": np.ones((1, 1, 4, 4), int)}, TypeError, ["x has dtype int64", FLOATING]),
    ({"x": np.ones((1, 1, 4, 4), bool)}, TypeError, ["x has dtype bool", FLOATING]),
    ({"x": np.ones((1, 1, 4, 4), complex)}, TypeError, ["x has dtype complex128", FLOATING]),
    ({"x": np.ones((1, 1, 4, 4), object)}, TypeError, ["x has dtype object", FLOATING]),
    ({"x": np.ones((2, 3, 0, 4))}, ValueError, ["x has shape (2, 3, 0, 4)", EMPTY]),
    ({"x": np.ones((0, 3, 4, 0))}, ValueError, ["x has shape (0, 3, 4, 0)", EMPTY]),
    ({"x": [[[[1.0]]]]}, TypeError, ["x is a list", ARRAY]),
    ({"x": None}, TypeError, ["x is a NoneType", ARRAY]),
    ({"x": 1.0}, TypeError, ["x is a float", ARRAY]),
    ({"p": 0.1}, TypeError, ["takes no 'p'", KEEPING, "keep_prob=0.9 for p=0.1"]),
    ({"drop_prob": 0.1}, TypeError, ["takes no 'drop_prob'", KEEPING, "keep_prob=0.9 for drop_prob=0.1"]),
    ({"dropout_prob": 1}, TypeError, ["takes no 'dropout_prob'", KEEPING, "keep_prob=0 for dropout_prob=1"]),
    ({"drop_rate": 0.0}, TypeError, ["takes no 'drop_rate'", KEEPING, "keep_prob=1 for drop_rate=0.0"]),
    ({"rate": 0.3}, TypeError, ["takes no 'rate'", KEEPING, "keep_prob=0.7 for rate=0.3"]),
    ({"rate": 7}, TypeError, ["takes no 'rate'", KEEPING, "keep_prob=1 - rate for rate=7"]),
    ({"blok_size": 3}, TypeError, ["got an unexpected keyword argument 'blok_size'"]),
]


def text(parts: list[str]) -> str:
    """A pattern for `parts` in this order."""
    return ".*".join(re.escape(part) for part in parts)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("arguments", "error", "parts"), REFUSED_CALLS, ids=["-".join(case[0]) for case in REFUSED_CALLS]
)
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
    ("algorithm1", lambda: algorithm1(X[0, 0], 3, 0.1, "training", SEEDS), ValueError, ["shape (8, 8)", AXES]),
    ("algorithm1", lambda: algorithm1(X.tolist(), 3, 0.1, "training", SEEDS), TypeError, ["is a list", "np.asarray"]),
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
