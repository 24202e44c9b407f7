"""What bad input is told (rule R14), in JAX's manner: at the call or, compiled, at the trace; and what is traced."""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array
from jax.experimental import checkify

from dropblock_jax import LinearSchedule, Threshold, drop_block
from tests.shared.comparing import SEEDED, SHAPE, assert_equal
from tests.shared.refusals import (
    AXES,
    EMPTY,
    FLOATING,
    ONE_TO_KEEP,
    REFUSED_CALLS,
    REFUSED_FLAGS,
    Refusal,
    each_rule,
    text,
)

from .support import normal

AXES_LAST = AXES.replace("[samples, channels, *spatial]", "[samples, *spatial, channels]")

X = jnp.ones((2, 8, 8, 3))
FIRST: dict[str, Any] = {"data_format": "channels_first"}

WORDS = "as an array, a seed is two uint32, its low word and its high word"
ARRAY = "pass an array, e.g. jnp.asarray(x)"
FORMATS = "choose 'channels_last' (NHWC, JAX's custom) or 'channels_first' (NCHW)"
HOLDS_GAMMA = "keep_prob is a Threshold, which holds gamma already"
ONE_NUMBER = "it must be one number of a floating dtype"

# What every backend says in the same words; of a seed, JAX takes arrays that the others do not.
COMMON: list[Refusal] = [
    case
    for case in REFUSED_CALLS
    if not {"x", "rng"} & case[0].keys() and not isinstance(case[0].get("seed"), np.ndarray)
]

OF_JAX: list[Refusal] = [
    ({"x": jnp.ones(8)}, ValueError, ["x has shape (8,)", AXES_LAST, "x[None]"]),
    ({"x": jnp.ones((8, 8))}, ValueError, ["x has shape (8, 8)", AXES_LAST, "x[None]"]),
    ({"x": jnp.float32(1)}, ValueError, ["x has shape ()", AXES_LAST]),
    ({"x": jnp.ones((1, 1, 2, 2, 2, 2)), **FIRST}, ValueError, ["x has shape (1, 1, 2, 2, 2, 2)", AXES]),
    ({"x": jnp.ones((2, 3, 0, 4)), **FIRST}, ValueError, ["x has shape (2, 3, 0, 4)", EMPTY]),
    ({"x": jnp.ones((0, 3, 4, 0)), **FIRST}, ValueError, ["x has shape (0, 3, 4, 0)", EMPTY]),
    ({"x": jnp.ones((1, 4, 4, 1), int)}, TypeError, ["x has dtype int32", FLOATING]),
    ({"x": jnp.ones((1, 4, 4, 1), jnp.uint8)}, TypeError, ["x has dtype uint8", FLOATING]),
    ({"x": jnp.ones((1, 4, 4, 1), bool)}, TypeError, ["x has dtype bool", FLOATING]),
    ({"x": jnp.ones((1, 4, 4, 1), complex)}, TypeError, ["x has dtype complex64", FLOATING]),
    ({"x": jnp.ones((1, 4, 4, 1), jnp.float8_e4m3fn)}, TypeError, ["x has dtype float8_e4m3fn", "too narrow"]),
    ({"x": [[[[1.0]]]]}, TypeError, ["x is a list", ARRAY]),
    ({"x": np.ma.masked_less(np.ones((2, 8, 8, 3)), 0)}, TypeError, ["x is a MaskedArray", "pass x.filled(0)"]),
    ({"x": None}, TypeError, ["x is a NoneType", ARRAY]),
    ({"x": 1.0}, TypeError, ["x is a float", ARRAY]),
    ({"keep_prob": jnp.float32(1.5)}, ValueError, ["keep_prob=", "1.5", "is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": jnp.array([0.5, 0.5])}, TypeError, ["keep_prob=", "is not a real number", ONE_TO_KEEP]),
    ({"keep_prob": jnp.array(True)}, TypeError, ["keep_prob=", "True", "is not a real number", ONE_TO_KEEP]),
    ({"seed": np.array([1, 2])}, TypeError, ["seed is an array of shape (2,) and dtype int64", WORDS]),
    ({"seed": jnp.array([1], jnp.uint32)}, TypeError, ["seed is an array of shape (1,) and dtype uint32", WORDS]),
    ({"seed": jnp.array([1.0, 2.0])}, TypeError, ["seed is an array of shape (2,) and dtype float32", WORDS]),
    ({"seed": jnp.float32(1)}, TypeError, ["seed=", "is not an integer"]),
    ({"sample_offset": True}, TypeError, ["sample_offset=True is not an integer"]),
    ({"sample_offset": 2**70}, ValueError, ["sample_offset=1180591620717411303424 with a batch of 2 does not fit"]),
    ({"stream": True}, TypeError, ["stream=True is not an integer"]),
    ({"data_format": "NHWC"}, ValueError, ["data_format='NHWC' is unknown", FORMATS]),
    ({"data_format": None}, ValueError, ["data_format=None is unknown", FORMATS]),
    ({"axis_name": "batch", "renorm": "map"}, ValueError, ["axis_name='batch' with renorm='map'", "drop one of them"]),
    ({"axis_name": "batch", "renorm": "none"}, ValueError, ["axis_name='batch' with renorm='none'", "tensor"]),
    ({"keep_prob": Threshold.of(0.5, 7, 8), "gamma_scale": 0.5}, ValueError, [HOLDS_GAMMA, "0.5", "Threshold.of"]),
    ({"keep_prob": Threshold.of(0.5, 7, 8), "calibrated": True}, ValueError, [HOLDS_GAMMA, "True", "Threshold.of"]),
    ({"keep_prob": Threshold.of(0.5, 7, 8), "block_size": 0}, ValueError, ["block_size=0 is below 1"]),
    ({"rng": 1}, TypeError, ["got an unexpected keyword argument 'rng'"]),
    ({"generator": 1}, TypeError, ["got an unexpected keyword argument 'generator'"]),
]

REFUSED = COMMON + OF_JAX + REFUSED_FLAGS


@pytest.mark.parametrize("name", ["sample_offset", "stream"])
@pytest.mark.parametrize("value", [1.5, [1, 2]])
def test_r14_a_traced_word_of_another_type_is_refused(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{name} is traced as .*: it must be one number of an integer dtype"):
        jax.jit(lambda word: drop_block(X, 0.5, 3, seed=1, **{name: word}))(jnp.asarray(value))


@pytest.mark.parametrize("name", ["training", "per_channel", "calibrated"])
def test_r14_a_flag_is_no_operand(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}=.* has no value yet, as the program is traced"):
        jax.jit(lambda flag: drop_block(X, 0.5, 3, seed=1, **{name: flag}))(True)


def by_hand(call: Callable[[Any], Array], x: Any) -> Array:
    return call(x)


def compiled(call: Callable[[Any], Array], x: Any) -> Array:
    """At the trace, with the same values on the host."""
    return jax.jit(call)(x) if isinstance(x, jax.Array) else jax.jit(lambda: call(x))()


@pytest.mark.parametrize("run", [by_hand, compiled])
@each_rule(REFUSED)
def test_r14_bad_input_raises_at_the_call_or_at_the_trace(
    arguments: dict[str, Any], error: type[Exception], parts: list[str], run: Callable[..., Array]
) -> None:
    options = {"x": X, "seed": 4} | arguments
    x = options.pop("x")
    with pytest.raises(error, match=text(parts)) as caught:
        run(lambda x: drop_block(x, **options), x)
    assert type(caught.value) is error  # a subclass would be JAX's own complaint


# In inference neither a seed nor a key is asked for.
OF_EITHER_MODE = [case for case in REFUSED if "seed" not in case[0]]


@each_rule(OF_EITHER_MODE)
def test_r01_inference_refuses_it_too(arguments: dict[str, Any], error: type[Exception], parts: list[str]) -> None:
    options = {"x": X, "training": False} | arguments
    with pytest.raises(error, match=text(parts)):
        drop_block(options.pop("x"), **options)


def test_r14_the_first_mistake_is_told() -> None:
    with pytest.raises(ValueError, match=r"^x has shape"):
        drop_block(X[0, 0], 2, 0, renorm="?", seed=-1)
    with pytest.raises(ValueError, match=r"^keep_prob=2 "):
        drop_block(X, 2, 0, renorm="?", seed=-1)
    with pytest.raises(ValueError, match=r"^block_size=0 "):
        drop_block(X, 0.5, 0, renorm="?", seed=-1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"keep_prob": 1.5}, ValueError, "keep_prob=1.5 is outside [0, 1]"),
        ({"block_size": 0}, ValueError, "block_size=0 is below 1"),
        ({"feat_size": (8, 0)}, ValueError, "feat_size=(8, 0)"),
        ({"feat_size": 8.0}, TypeError, "feat_size=8.0 is not an integer"),
        ({"block_size": (3,)}, ValueError, "block_size=(3,) has 1 sides for 2 spatial axes"),
        ({"gamma_scale": -1}, ValueError, "gamma_scale=-1 is not finite and at least 0"),
        ({"gamma_scale": 0.5, "calibrated": True}, ValueError, "gamma_scale=0.5 with calibrated=True"),
    ],
)
def test_r14_a_threshold_refuses_bad_arguments_when_it_is_made(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Threshold.of(**({"keep_prob": 0.9, "block_size": 3, "feat_size": 8} | arguments))


NUMBERS = [np.float64(0.5), np.float32(0.5), np.array(0.5), Fraction(1, 2), jnp.float32(0.5), jnp.bfloat16(0.5)]


@pytest.mark.parametrize("keep_prob", NUMBERS, ids=lambda number: type(number).__name__)
def test_r14_numbers_of_every_kind_are_numbers(keep_prob: Any) -> None:
    x = normal()
    assert_equal(drop_block(x, keep_prob, 3, seed=3), drop_block(x, 0.5, 3, seed=3))


@pytest.mark.parametrize("three", [np.int64(3), np.uint8(3), np.array(3), jnp.int32(3), jnp.uint32(3)], ids=repr)
def test_r14_integers_of_every_kind_are_integers(three: Any) -> None:
    x = normal()
    y = drop_block(x, 0.5, three, seed=three, stream=three, sample_offset=three)
    assert_equal(y, drop_block(x, 0.5, 3, seed=3, stream=3, sample_offset=3))


# --- what is traced -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value", "options", "parts"),
    [
        ("keep_prob", 1, {}, ["keep_prob is traced as", "int32[]", ONE_NUMBER]),
        ("keep_prob", True, {}, ["keep_prob is traced as", "bool[]", ONE_NUMBER]),
        ("keep_prob", np.ones(2, np.float32), {}, ["keep_prob is traced as", "float32[2]", ONE_NUMBER]),
        ("seed", np.ones(2, np.int32), {}, ["seed is an array of shape (2,) and dtype int32", WORDS]),
        ("seed", np.ones(3, np.uint32), {}, ["seed is an array of shape (3,) and dtype uint32", WORDS]),
        ("seed", 5, {}, ["seed is an array of shape ()", "two uint32"]),
        ("block_size", 3, {}, ["block_size=", "is not an integer: block_size must be an int"]),
        ("key", np.ones(2, np.float32), {"seed": None}, ["key=", "is no key of JAX"]),
    ],
)
def test_r14_what_is_traced_is_refused_by_its_kind(
    argument: str, value: Any, options: dict[str, Any], parts: list[str]
) -> None:
    call = jax.jit(lambda value: drop_block(X, **({"keep_prob": 0.5, "seed": 4} | options | {argument: value})))
    with pytest.raises(TypeError, match=text(parts)) as caught:
        call(value)
    assert type(caught.value) is TypeError


def test_r14_the_calibrated_gamma_is_the_hosts() -> None:
    call = jax.jit(lambda x, keep_prob: drop_block(x, keep_prob, 3, seed=4, calibrated=True))
    rule = text(["calibrated=True with a traced keep_prob", "pass a number, or Threshold.of(", "calibrated=True)"])
    with pytest.raises(ValueError, match=rule):
        call(X, 0.5)


def test_r14_a_schedule_refuses_bad_arguments() -> None:
    with pytest.raises(ValueError, match="steps=-1 is negative"):
        LinearSchedule(0.9, -1)


def test_r14_checkify_finds_a_traced_keep_prob_outside() -> None:
    @checkify.checkify
    @jax.jit
    def checked(x: Array, keep_prob: Array) -> Array:
        return drop_block(x, keep_prob, 3, seed=4)

    x = normal()
    plain = jax.jit(lambda x, keep_prob: drop_block(x, keep_prob, 3, seed=4))
    for keep_prob in (0.0, 0.5, 1.0):
        error, y = checked(x, keep_prob)
        assert error.get() is None
        assert_equal(y, plain(x, keep_prob))
    for keep_prob, clamped in ((1.5, 1.0), (-0.5, 0.0), (jnp.nan, 1.0)):
        error, y = checked(x, keep_prob)
        with pytest.raises(checkify.JaxRuntimeError, match=r"keep_prob=.* is outside \[0, 1\]: .* is 1-d") as caught:
            error.throw()
        assert str(float(keep_prob)) in str(caught.value)
        assert_equal(y, plain(x, clamped))
    assert_equal(plain(x, 1.5), x)  # unchecked, nobody is asked


def test_r14_a_check_is_no_hindrance_where_nobody_asks() -> None:
    def loss(x: Array, keep_prob: Array) -> Array:
        return drop_block(x, keep_prob, 3, seed=4).sum()

    x, keep_probs = normal(), jnp.array([0.5, 1.5])
    each = jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0)))(x, keep_probs)
    assert_equal(each[1], jnp.ones(SHAPE))
    assert_equal(each[0] == 0, drop_block(jnp.ones(SHAPE), **(SEEDED | {"keep_prob": 0.5})) == 0)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"seed": -1}, ValueError),
        ({"seed": 2**64}, ValueError),
        ({"seed": 1.0}, TypeError),
        ({"seed": np.zeros(3, np.uint32)}, TypeError),
        ({"key": 42}, TypeError),
        ({"key": jax.random.key(0), "seed": 1}, ValueError),
        ({"key": jax.random.split(jax.random.key(0))}, ValueError),
    ],
    ids=str,
)
def test_r01_inference_refuses_a_bad_seed_or_key_too(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        drop_block(jnp.ones((2, 8, 8, 3)), training=False, **arguments)


@pytest.mark.parametrize("shape", [(2, 0, 4, 3), (1, 2, 2, 2, 2, 7)])
def test_r14_a_refused_shape_is_told_as_it_was_given(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"x has shape {shape}")):
        drop_block(jnp.ones(shape), 0.5, 3, seed=4)
