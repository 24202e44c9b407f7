"""What bad input is told (rule R14), in TensorFlow's manner: at the call or, in a graph, at the trace."""

import re
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dropblock_tf import LinearSchedule, drop_block
from tests.shared.comparing import assert_equal
from tests.shared.position import assert_looks_at_position
from tests.shared.refusals import (
    AXES,
    EMPTY,
    FLOATING,
    ONE_TO_KEEP,
    REFUSED_CALLS,
    REFUSED_FLAGS,
    Refusal,
    each_rule,
    refused_flag,
    text,
)

from .support import normal

X = tf.ones((2, 8, 8, 3))
FIRST: dict[str, Any] = {"data_format": "channels_first"}

TENSOR = "pass a tensor, e.g. tf.convert_to_tensor(x)"
AXES_LAST = AXES.replace("[samples, channels, *spatial]", "[samples, *spatial, channels]")
FORMATS = "choose 'channels_last' (NHWC, TensorFlow's custom) or 'channels_first' (NCHW)"
ONE_NUMBER = "it must be one number of a floating dtype"
WORDS = "as a tensor, a seed is two words of 32 bits, the low one and the high one, in int32, uint32 or int64"
OVER_REPLICAS = "only renorm='tensor' counts over replicas; drop one of them"
G = tf.random.Generator.from_seed(1)

# What every backend says in the same words.
COMMON: list[Refusal] = [case for case in REFUSED_CALLS if not {"x", "rng"} & case[0].keys()]

OF_TENSORFLOW: list[Refusal] = [
    ({"x": tf.ones(8)}, ValueError, ["x has shape (8,)", AXES_LAST, "x[None]"]),
    ({"x": tf.ones((8, 8))}, ValueError, ["x has shape (8, 8)", AXES_LAST, "x[None]"]),
    ({"x": tf.constant(1.0)}, ValueError, ["x has shape ()", AXES_LAST]),
    ({"x": tf.ones((1, 1, 2, 2, 2, 2)), **FIRST}, ValueError, ["x has shape (1, 1, 2, 2, 2, 2)", AXES]),
    ({"x": tf.ones((2, 0, 4, 3))}, ValueError, ["x has shape (2, 0, 4, 3)", EMPTY]),
    ({"x": tf.ones((2, 3, 0, 4)), **FIRST}, ValueError, ["x has shape (2, 3, 0, 4)", EMPTY]),
    ({"x": tf.ones((0, 3, 4, 0)), **FIRST}, ValueError, ["x has shape (0, 3, 4, 0)", EMPTY]),
    ({"x": tf.ones((1, 4, 4, 1), tf.int32)}, TypeError, ["x has dtype", "int32", FLOATING]),
    ({"x": tf.ones((1, 4, 4, 1), tf.uint8)}, TypeError, ["x has dtype", "uint8", FLOATING]),
    ({"x": tf.ones((1, 4, 4, 1), tf.bool)}, TypeError, ["x has dtype", "bool", FLOATING]),
    ({"x": tf.ones((1, 4, 4, 1), tf.complex64)}, TypeError, ["x has dtype", "complex64", FLOATING]),
    ({"x": None}, TypeError, ["x is a NoneType", TENSOR]),
    ({"x": {}}, TypeError, ["x is a dict", TENSOR]),
    ({"x": 1.0}, ValueError, ["x has shape ()", AXES_LAST]),
    ({"x": tf.fill((1, 4, 4, 1), "a")}, TypeError, ["x has dtype", "string", FLOATING]),
    ({"sample_offset": True}, TypeError, ["sample_offset=True is not an integer"]),
    ({"sample_offset": 2**70}, ValueError, ["sample_offset=1180591620717411303424 with a batch of 2 does not fit"]),
    ({"stream": True}, TypeError, ["stream=True is not an integer"]),
    ({"keep_prob": tf.constant([0.5, 0.5])}, TypeError, ["keep_prob is a tensor of shape (2,)", ONE_NUMBER]),
    ({"keep_prob": tf.constant(1)}, TypeError, ["keep_prob is a tensor of shape () and dtype int32", ONE_NUMBER]),
    ({"keep_prob": tf.constant(True)}, TypeError, ["keep_prob is a tensor of shape () and dtype bool", ONE_NUMBER]),
    ({"keep_prob": tf.Variable([0.5])}, TypeError, ["keep_prob is a tensor of shape (1,)", ONE_NUMBER]),
    ({"seed": tf.constant([1])}, TypeError, ["seed is a tensor of shape (1,) and dtype int32", WORDS]),
    ({"seed": tf.constant([1, 2, 3])}, TypeError, ["seed is a tensor of shape (3,)", WORDS]),
    ({"seed": tf.constant(1)}, TypeError, ["seed is a tensor of shape () and dtype int32", WORDS]),
    ({"seed": tf.constant([1.0, 2.0])}, TypeError, ["seed is a tensor of shape (2,) and dtype float32", WORDS]),
    ({"generator": 42}, TypeError, ["generator=42 is a int", "pass a tf.random.Generator"]),
    (
        {"generator": np.random.default_rng(0)},
        TypeError,
        ["generator=Generator(PCG64)", "pass a tf.random.Generator"],
    ),
    ({"sample_offset": tf.constant(1.5)}, TypeError, ["sample_offset is a tensor", "float32", "an integer dtype"]),
    ({"stream": tf.constant([1])}, TypeError, ["stream is a tensor of shape (1,)", "an integer dtype"]),
    ({"block_size": tf.constant(True)}, TypeError, ["block_size=", "is not an integer"]),
    ({"x": tf.cast(X, tf.dtypes.experimental.float8_e5m2)}, TypeError, ["x has dtype", "float8_e5m2", "too narrow"]),
    ({"x": np.ma.masked_less(np.ones((2, 8, 8, 3)), 0)}, TypeError, ["x is a MaskedArray", "pass x.filled(0)"]),
    ({"data_format": "NHWC"}, ValueError, ["data_format='NHWC' is unknown", FORMATS]),
    ({"data_format": None}, ValueError, ["data_format=None is unknown", FORMATS]),
    (
        {"across_replicas": True, "renorm": "map"},
        ValueError,
        ["across_replicas=True with renorm='map'", OVER_REPLICAS],
    ),
    ({"across_replicas": True, "renorm": "none"}, ValueError, ["with renorm='none'", OVER_REPLICAS]),
    ({"rng": 1}, TypeError, ["got an unexpected keyword argument 'rng'"]),
    ({"key": 1}, TypeError, ["got an unexpected keyword argument 'key'"]),
]

REFUSED = COMMON + OF_TENSORFLOW + REFUSED_FLAGS + refused_flag("across_replicas")


any_refused = each_rule(REFUSED)


@pytest.mark.parametrize("training", [True, False])
@any_refused
def test_r14_bad_input_raises_before_anything_is_drawn(
    arguments: dict[str, Any], error: type[Exception], parts: list[str], training: bool
) -> None:
    options = {"x": X, "training": training} | arguments
    if not {"seed", "generator"} & arguments.keys():
        options["generator"] = G
    x = options.pop("x")
    before = G.state.numpy()
    with pytest.raises(error, match=text(parts)) as caught:
        drop_block(x, **options)
    assert type(caught.value) is error  # a subclass would be TensorFlow's own complaint
    np.testing.assert_array_equal(G.state.numpy(), before)


@any_refused
def test_r14_bad_input_raises_when_a_graph_is_traced(
    arguments: dict[str, Any], error: type[Exception], parts: list[str]
) -> None:
    options = {"x": X} | arguments
    x = options.pop("x")
    with pytest.raises(error, match=text(parts)):
        tf.function(lambda: drop_block(x, **options)).get_concrete_function()


def test_r14_a_seed_and_a_generator_are_one_too_many() -> None:
    rule = text(["seed=1 and generator=<", "were both given: the mask comes from one of them, drop the other"])
    with pytest.raises(ValueError, match=rule):
        drop_block(X, 0.5, seed=1, generator=G)


@pytest.mark.parametrize("keep_prob", [1.5, -0.5, np.nan])
def test_r14_an_eager_keep_prob_has_a_value_to_refuse(keep_prob: float) -> None:
    rule = text([f"keep_prob={keep_prob} is outside [0, 1]", ONE_TO_KEEP])
    for kind in (tf.constant(keep_prob), tf.Variable(keep_prob, dtype=tf.float64)):
        with pytest.raises(ValueError, match=rule):
            drop_block(X, kind, 3, seed=4)


def test_r14_the_first_mistake_is_told() -> None:
    x = X[0, ..., 0]
    with pytest.raises(ValueError, match=r"^x has shape"):
        drop_block(x, 2, 0, renorm="?", seed=-1)
    with pytest.raises(ValueError, match=r"^keep_prob=2 "):
        drop_block(X, 2, 0, renorm="?", seed=-1)
    with pytest.raises(ValueError, match=r"^block_size=0 "):
        drop_block(X, 0.5, 0, renorm="?", seed=-1)


def test_r14_a_list_of_unequal_rows_is_no_tensor() -> None:
    with pytest.raises(TypeError, match=text(["x is a list", TENSOR])):
        drop_block([[1.0], [1.0, 2.0]], 0.5)


# --- what a graph does not know -------------------------------------------------------------------------------------


def traced(spec: Any, keep_prob: Any = 0.5, **options: Any) -> Any:
    return tf.function(lambda x: drop_block(x, keep_prob, 3, **options)).get_concrete_function(spec)


def test_r14_the_rank_must_be_known() -> None:
    rule = text(["x has an unknown rank", "tf.ensure_shape(x, [None, None, None, channels])"])
    with pytest.raises(ValueError, match=rule):
        traced(tf.TensorSpec(None))


@pytest.mark.parametrize(
    ("shape", "data_format"), [([2, 8, 8, None], "channels_last"), ([2, None, 8, 8], "channels_first")]
)
def test_r14_the_channels_must_be_known(shape: list[Any], data_format: str) -> None:
    rule = text([f"x has shape {tf.TensorShape(shape)}", "the number of channels must be known"])
    with pytest.raises(ValueError, match=rule):
        traced(tf.TensorSpec(shape), data_format=data_format)


def test_r14_a_count_over_replicas_needs_sizes() -> None:
    with pytest.raises(ValueError, match="across_replicas=True needs spatial sizes that the graph knows"):
        traced(tf.TensorSpec([None, None, None, 3]), across_replicas=True)


@pytest.mark.parametrize("sizes", [8, None])
def test_r14_what_is_known_is_refused_at_the_trace_whatever_is_not(sizes: int | None) -> None:
    spec = tf.TensorSpec([None, sizes, sizes, 3])
    with pytest.raises(ValueError, match=text(["keep_prob=1.5 is outside [0, 1]", ONE_TO_KEEP])):
        traced(spec, 1.5)
    with pytest.raises(ValueError, match="renorm='batch' is unknown"):
        traced(spec, renorm="batch")
    with pytest.raises(ValueError, match="sample_offset=-1"):
        traced(spec, sample_offset=-1)


@pytest.mark.parametrize("name", ["sample_offset", "stream"])
def test_r14_a_number_in_a_tensor_is_looked_at_where_it_has_a_value(name: str) -> None:
    x = tf.ones([2, 8, 8, 3])
    with pytest.raises(ValueError, match=f"{name}=-1"):
        drop_block(x, seed=4, **{name: tf.constant(-1, tf.int64)})


def test_r14_an_empty_axis_is_refused_when_a_graph_meets_it() -> None:
    call = traced(tf.TensorSpec([None, None, None, 3]), seed=4)
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(EMPTY)):
        call(tf.ones([2, 0, 4, 3]))


@pytest.mark.parametrize("keep_prob", [tf.TensorSpec([2]), tf.TensorSpec([]), tf.TensorSpec([], tf.int32)])
def test_r14_a_keep_prob_without_a_value_is_refused_by_its_kind(keep_prob: Any) -> None:
    def call(keep_prob: Any, **options: Any) -> Any:
        return drop_block(X, keep_prob, 3, seed=4, **options)

    if keep_prob.shape.rank or not keep_prob.dtype.is_floating:
        rule = text([f"keep_prob is a tensor of shape {keep_prob.shape} and dtype {keep_prob.dtype.name}", ONE_NUMBER])
        with pytest.raises(TypeError, match=rule):
            tf.function(call).get_concrete_function(keep_prob)
    else:
        rule = "calibrated=True with a keep_prob that has no value yet: the gamma is solved on the host; pass a number"
        with pytest.raises(ValueError, match=rule):
            tf.function(call).get_concrete_function(keep_prob, calibrated=True)


def test_r14_a_seed_without_a_value_is_refused_by_its_kind() -> None:
    for spec in (tf.TensorSpec([3], tf.int64), tf.TensorSpec([], tf.int64), tf.TensorSpec([2])):
        with pytest.raises(TypeError, match=text(["seed is a tensor of shape", WORDS])):
            tf.function(lambda seed: drop_block(X, 0.5, 3, seed=seed)).get_concrete_function(spec)


# --- what is accepted -----------------------------------------------------------------------------------------------

NUMBERS = [np.float64(0.5), np.float32(0.5), np.array(0.5), Fraction(1, 2), tf.constant(0.5), tf.Variable(0.5)]


@pytest.mark.parametrize("keep_prob", NUMBERS, ids=lambda number: type(number).__name__)
def test_r14_numbers_of_every_kind_are_numbers(keep_prob: Any) -> None:
    x = normal()
    assert_equal(drop_block(x, keep_prob, 3, seed=3), drop_block(x, 0.5, 3, seed=3))


@pytest.mark.parametrize("three", [np.int64(3), np.uint8(3), np.array(3)], ids=repr)
def test_r14_integers_of_every_kind_are_integers(three: Any) -> None:
    x = normal()
    y = drop_block(x, 0.5, three, seed=three, stream=three, sample_offset=three)
    assert_equal(y, drop_block(x, 0.5, 3, seed=3, stream=3, sample_offset=3))


def test_r14_a_schedule_refuses_bad_arguments() -> None:
    with pytest.raises(ValueError, match="steps=-1 is negative"):
        LinearSchedule(0.9, -1)


@pytest.mark.parametrize("arguments", [{"training": False}, {"keep_prob": 1.0}], ids=str)
def test_r01_two_sources_of_bits_are_refused_where_nothing_is_drawn_too(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="both given"):
        drop_block(tf.ones((2, 8, 8, 3)), seed=1, generator=tf.random.Generator.from_seed(0), **arguments)


def test_a_low_keep_prob_by_position_is_named_with_both_readings() -> None:
    assert_looks_at_position(partial(drop_block, X))


@pytest.mark.parametrize("value", [7, [7, 7], True], ids=str)
def test_r14_a_block_size_that_a_program_is_given_is_refused(value: Any) -> None:
    call = tf.function(lambda x, block_size: drop_block(x, 0.5, block_size, seed=4), autograph=False)
    says = r"block_size is a tensor of shape \(.*\) that has no value yet.*: it must be an int of at least 1"
    with pytest.raises(TypeError, match=says):
        call(tf.ones((2, 8, 8, 3)), tf.constant(value))
    with pytest.raises(TypeError, match=r"block_size=.* is not an integer"):
        call(tf.ones((2, 8, 8, 3)), (tf.constant(value), 3))


def test_r14_a_block_size_may_be_a_tensor_that_has_a_value() -> None:
    x = tf.ones((2, 8, 8, 3))
    for block_size in (tf.constant(3), tf.constant([3, 3]), (tf.constant(3), 3)):
        assert_equal(drop_block(x, 0.5, block_size, seed=4), drop_block(x, 0.5, 3, seed=4))
    with pytest.raises(TypeError, match=r"block_size=.* is not an integer"):
        drop_block(x, 0.5, tf.constant(True), seed=4)
