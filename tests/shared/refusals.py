"""Rule R14's table: what `drop_block` refuses, with which error, and what its text holds, on every backend."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

Refusal = tuple[dict[str, Any], type[Exception], list[str]]

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
REFUSED_CALLS: list[Refusal] = [
    ({"keep_prob": 1.5}, ValueError, ["keep_prob=1.5 is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": -0.1}, ValueError, ["keep_prob=-0.1 is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": float("nan")}, ValueError, ["keep_prob=nan is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": float("inf")}, ValueError, ["keep_prob=inf is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": 10**400}, ValueError, ["keep_prob=1000", "is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": -(10**5000)}, ValueError, ["keep_prob=a int too long to write is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": np.ma.array(0.5, mask=True)}, TypeError, ["keep_prob=", "is not a real number", ONE_TO_KEEP]),
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
    ({"block_size": np.array(True)}, TypeError, ["block_size=array(True) is not an integer", SIDES]),
    ({"block_size": np.ma.array(3, mask=True)}, TypeError, ["block_size=", "is not an integer", SIDES]),
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
    ({"rate": 10**400}, TypeError, ["takes no 'rate'", KEEPING, "keep_prob=1 - rate for rate=1000"]),
    ({"rate": 7}, TypeError, ["takes no 'rate'", KEEPING, "keep_prob=1 - rate for rate=7"]),
    ({"blok_size": 3}, TypeError, ["got an unexpected keyword argument 'blok_size'"]),
]


def refused_flag(name: str) -> list[Refusal]:
    """What is no bool by type, as an argument of this name: "False" would count as true."""
    rule = f"{name} must be True or False itself"
    junk = ["False", 1, 0.0, None, [], np.int64(1), np.array([True]), np.ma.array(True, mask=True)]
    return [({name: value}, TypeError, [f"{name}=", "is not a bool", rule]) for value in junk]


# Front doors that are made and then called take `training` elsewhere, if at all.
REFUSED_OPTIONS = refused_flag("per_channel") + refused_flag("calibrated")
REFUSED_FLAGS = refused_flag("training") + REFUSED_OPTIONS


def text(parts: list[str]) -> str:
    """A pattern for `parts` in this order."""
    return ".*".join(re.escape(part) for part in parts)


def each(cases: Iterable[Refusal]) -> pytest.MarkDecorator:
    """Run a test for every one of these refusals."""
    params = [pytest.param(*case, id="-".join(case[0])) for case in cases]
    return pytest.mark.parametrize(("arguments", "error", "parts"), params)


def each_rule(cases: Iterable[Refusal]) -> pytest.MarkDecorator:
    """Run a test for one refusal of each argument by each rule; the other values of the argument are `exhaustive`.

    For a backend whose checks are the core's, where the whole table is tried.
    """
    seen, params = set(), []
    for arguments, error, parts in cases:
        rule = (*arguments, error, *parts[1:2])
        marks = [pytest.mark.exhaustive] if rule in seen else []
        params.append(pytest.param(arguments, error, parts, id="-".join(arguments), marks=marks))
        seen.add(rule)
    return pytest.mark.parametrize(("arguments", "error", "parts"), params)
