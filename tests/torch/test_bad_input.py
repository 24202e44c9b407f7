"""What bad input is told (rule R14), in PyTorch's manner: at the call, before anything is drawn or written."""

import re
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from dropblock_core import LinearSchedule
from dropblock_torch import (
    DropBlock1d,
    DropBlock2d,
    DropBlock3d,
    KeepProbScheduler,
    add_dropblock,
    drop_block,
    replace_dropblock,
)
from tests.shared.refusals import (
    AXES,
    EMPTY,
    FLOATING,
    ONE_TO_KEEP,
    REFUSED_CALLS,
    REFUSED_FLAGS,
    REFUSED_OPTIONS,
    Refusal,
    each_rule,
    refused_flag,
    text,
)

from .support import draws_nothing

X = torch.ones(2, 3, 8, 8)

# What every backend says in the same words.
COMMON: list[Refusal] = [case for case in REFUSED_CALLS if not {"x", "rng"} & case[0].keys()]

TENSOR = "pass a torch.Tensor, e.g. torch.as_tensor(x)"
ONE_NUMBER = "keep_prob is one number, as a tensor of one element and of a floating dtype"
SEED = "as a tensor, a seed is 0-d and its 64 bits are int64 or uint64; use an int where it need not live on the device"
GENERATOR = "pass a torch.Generator, or seed= for a fixed mask"


def nested(layout: torch.layout) -> torch.Tensor:
    with warnings.catch_warnings(action="ignore"):  # PyTorch calls nested tensors a prototype
        return torch.nested.nested_tensor([X[0], X[1, :, :4]], layout=layout)


OF_PYTORCH: list[Refusal] = [
    ({"x": torch.ones(8)}, ValueError, ["x has shape (8,)", AXES, "x[None]"]),
    ({"x": torch.ones(8, 8)}, ValueError, ["x has shape (8, 8)", AXES, "x[None]"]),
    ({"x": torch.ones(1, 1, 2, 2, 2, 2)}, ValueError, ["x has shape (1, 1, 2, 2, 2, 2)", AXES]),
    ({"x": torch.tensor(1.0)}, ValueError, ["x has shape ()", AXES]),
    ({"x": torch.ones(1, 1, 4, 4, dtype=torch.int64)}, TypeError, ["x has dtype torch.int64", FLOATING]),
    ({"x": torch.ones(1, 1, 4, 4, dtype=torch.uint8)}, TypeError, ["x has dtype torch.uint8", FLOATING]),
    ({"x": torch.ones(1, 1, 4, 4, dtype=torch.bool)}, TypeError, ["x has dtype torch.bool", FLOATING]),
    ({"x": torch.ones(1, 1, 4, 4, dtype=torch.complex64)}, TypeError, ["x has dtype torch.complex64", FLOATING]),
    ({"x": torch.ones(2, 3, 0, 4)}, ValueError, ["x has shape (2, 3, 0, 4)", EMPTY]),
    ({"x": torch.ones(0, 3, 4, 0)}, ValueError, ["x has shape (0, 3, 4, 0)", EMPTY]),
    ({"keep_prob": torch.tensor(1.5)}, ValueError, ["keep_prob=1.5 is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": torch.tensor(-0.5)}, ValueError, ["keep_prob=-0.5 is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": torch.tensor(torch.nan)}, ValueError, ["keep_prob=nan is outside [0, 1]", ONE_TO_KEEP]),
    ({"keep_prob": torch.tensor([0.5, 0.5])}, TypeError, ["keep_prob is a tensor of shape (2,)", ONE_NUMBER]),
    ({"keep_prob": torch.tensor([])}, TypeError, ["keep_prob is a tensor of shape (0,)", ONE_NUMBER]),
    ({"keep_prob": torch.tensor(1)}, TypeError, ["keep_prob is a tensor", "dtype torch.int64", ONE_NUMBER]),
    ({"keep_prob": torch.tensor(True)}, TypeError, ["keep_prob is a tensor", "dtype torch.bool", ONE_NUMBER]),
    ({"seed": torch.tensor([1])}, TypeError, ["seed is a tensor of shape (1,) and dtype torch.int64", SEED]),
    ({"seed": torch.tensor(1.0)}, TypeError, ["seed is a tensor of shape () and dtype torch.float32", SEED]),
    ({"seed": torch.tensor(1, dtype=torch.int32)}, TypeError, ["seed is a tensor", "torch.int32", SEED]),
    ({"sample_offset": True}, TypeError, ["sample_offset=True is not an integer"]),
    ({"sample_offset": 2**70}, ValueError, ["sample_offset=1180591620717411303424 with a batch of 2 does not fit"]),
    ({"stream": True}, TypeError, ["stream=True is not an integer"]),
    ({"generator": 42}, TypeError, ["generator=42 is a int", GENERATOR]),
    (
        {"process_group": "a group", "renorm": "map"},
        ValueError,
        ["process_group='a group' with renorm='map'", "tensor"],
    ),
    ({"process_group": "a group", "renorm": "none"}, ValueError, ["process_group='a group' with renorm='none'"]),
    ({"process_group": "a group"}, ValueError, ["process_group='a group'", "init_process_group() first"]),
    ({"rng": 1}, TypeError, ["got an unexpected keyword argument 'rng'"]),
    ({"data_format": "channels_last"}, TypeError, ["got an unexpected keyword argument 'data_format'"]),
]

# What a compiler refuses itself.
NOT_COMPILED: list[Refusal] = [
    ({"x": X.to_sparse()}, TypeError, ["x has layout torch.sparse_coo", "pass x.to_dense()"]),
    ({"x": nested(torch.strided)}, TypeError, ["x is a nested tensor", "x.to_padded_tensor(0.0)"]),
    ({"x": nested(torch.jagged)}, TypeError, ["x is a nested tensor", "x.to_padded_tensor(0.0)"]),
    ({"keep_prob": torch.tensor(0.5).to_sparse()}, TypeError, ["keep_prob is a nested or a sparse tensor"]),
    (
        {"keep_prob": torch.tensor(0.5, device="meta")},
        ValueError,
        ["keep_prob is on meta and x on cpu", "pass a float"],
    ),
    ({"seed": torch.tensor(1, device="meta")}, ValueError, ["seed is on the meta device", "pass an int"]),
    ({"block_size": torch.tensor(3, device="meta")}, TypeError, ["block_size=tensor", "is not an integer"]),
    ({"block_size": torch.tensor(True)}, TypeError, ["block_size=tensor(True) is not an integer"]),
    ({"gamma_scale": torch.tensor(1.0, device="meta")}, TypeError, ["gamma_scale=tensor", "that the host can read"]),
    ({"training": torch.tensor(True, device="meta")}, TypeError, ["training=tensor", "has no value yet"]),
]

NOT_TENSORS: list[Refusal] = [
    ({"x": [[[[1.0]]]]}, TypeError, ["x is a list", TENSOR]),
    ({"x": None}, TypeError, ["x is a NoneType", TENSOR]),
    ({"x": 1.0}, TypeError, ["x is a float", TENSOR]),
    ({"x": X.numpy()}, TypeError, ["x is a ndarray", TENSOR]),
]

REFUSED = COMMON + OF_PYTORCH + NOT_COMPILED + NOT_TENSORS + REFUSED_FLAGS + refused_flag("inplace")


@pytest.mark.parametrize("training", [True, False])
@each_rule(REFUSED)
def test_r14_bad_input_raises_before_anything_is_drawn_or_written(
    arguments: dict[str, Any], error: type[Exception], parts: list[str], training: bool
) -> None:
    g = torch.Generator().manual_seed(0)
    options = {"x": X.clone(), "training": training, "inplace": True} | arguments
    if not {"seed", "generator"} & arguments.keys():
        options["generator"] = g
    x = options.pop("x")
    with draws_nothing(g), pytest.raises(error, match=text(parts)) as caught:
        drop_block(x, **options)
    assert type(caught.value) is error
    if "x" not in arguments:
        assert torch.equal(x, X)


def test_r14_the_first_mistake_is_told() -> None:
    with pytest.raises(ValueError, match=r"^x has shape"):
        drop_block(X[0, 0], 2, 0, renorm="?", seed=-1)
    with pytest.raises(ValueError, match=r"^keep_prob=2 "):
        drop_block(X, 2, 0, renorm="?", seed=-1)
    with pytest.raises(ValueError, match=r"^block_size=0 "):
        drop_block(X, 0.5, 0, renorm="?", seed=-1)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2], ids=str)
def test_r14_dtypes_that_pytorch_does_not_multiply_are_refused(dtype: torch.dtype) -> None:
    with draws_nothing(), pytest.raises(TypeError, match=re.escape(f"x has dtype {dtype}")):
        drop_block(X.to(dtype), 0.5, 3)


# A layer sees one batch after the other, so it has no offset of its own.
AT_ONCE = [case for case in COMMON if "sample_offset" not in case[0]] + REFUSED_OPTIONS + refused_flag("inplace")


@each_rule(AT_ONCE)
def test_r14_a_layer_refuses_bad_arguments_when_it_is_made(
    arguments: dict[str, Any], error: type[Exception], parts: list[str]
) -> None:
    with pytest.raises(error, match=text(parts)) as caught:
        DropBlock2d(**arguments)
    assert type(caught.value) is error


def test_r14_a_layer_knows_its_rank() -> None:
    for layer, sides in [(DropBlock1d, (3, 3)), (DropBlock2d, (3,)), (DropBlock3d, (3, 3))]:
        with pytest.raises(ValueError, match=rf"has {len(sides)} sides for {layer.rank} spatial axes"):
            layer(0.9, sides)


@pytest.mark.parametrize(("layer", "good"), [(DropBlock1d, (2, 3)), (DropBlock2d, (3, 4)), (DropBlock3d, (4, 5))])
def test_r14_a_layer_refuses_activations_of_another_rank(layer: Any, good: tuple[int, int]) -> None:
    module = layer(0.5, 2)
    for rank in range(7):
        x = torch.ones((2,) * rank)
        for mode in (module.train(), module.eval()):
            if rank in good:
                assert mode(x).shape == x.shape
            else:
                rule = rf"x has shape {re.escape(str(tuple(x.shape)))}: {layer.__name__} takes \[samples, channels, "
                with draws_nothing(), pytest.raises(ValueError, match=rule):
                    mode(x)


@pytest.mark.parametrize(
    ("setting", "value", "error", "message"),
    [
        ("keep_prob", 1.5, ValueError, "keep_prob=1.5 is outside"),
        ("keep_prob", "0.5", TypeError, "keep_prob='0.5' is not a real number"),
        ("block_size", 0, ValueError, "block_size=0 is below 1"),
        ("renorm", "batch", ValueError, "renorm='batch' is unknown"),
        ("gamma_scale", -1, ValueError, "gamma_scale=-1 is not finite"),
        ("calibrated", True, ValueError, "gamma_scale=0.5 with calibrated=True"),
        ("seed", -1, ValueError, "seed=-1 is outside"),
        ("stream", 2**32, ValueError, "stream=4294967296 does not fit"),
        ("generator", 42, TypeError, "generator=42 is a int"),
    ],
)
def test_r14_a_bad_setting_is_refused_at_the_next_call_at_the_latest(
    setting: str, value: Any, error: type[Exception], message: str
) -> None:
    layer = DropBlock2d(0.9, 3, gamma_scale=0.5)

    def set_and_call() -> None:
        setattr(layer, setting, value)
        layer(X)

    with draws_nothing(), pytest.raises(error, match=re.escape(message)):
        set_and_call()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"layers": torch.nn.Linear(1, 1)}, ValueError, "layers holds no DropBlock layer: add some first"),
        ({"layers": []}, ValueError, "layers holds no DropBlock layer"),
        ({"layers": 5}, TypeError, "layers=5"),
        ({"layers": "abc"}, TypeError, "layers='abc' holds 'a', which is no module"),
        ({"layers": None}, TypeError, "layers=None"),
        ({"schedule": 0.9}, TypeError, r"schedule=0\.9 is not a function of the step: pass e\.g\. LinearSchedule"),
        ({"schedule": lambda step: 1.5}, ValueError, r"keep_prob=1\.5 is outside \[0, 1\]"),
        ({"schedule": lambda step: None}, TypeError, "keep_prob=None is not a real number"),
        ({"last_step": -1}, ValueError, "last_step=-1"),
        ({"last_step": 1.0}, TypeError, r"last_step=1\.0"),
    ],
)
def test_r14_the_scheduler_refuses_bad_arguments_and_changes_no_layer(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    layer = DropBlock2d(0.75)
    with pytest.raises(error, match=rf"^{message}"):
        KeepProbScheduler(**({"layers": layer, "schedule": LinearSchedule(0.5, 10)} | arguments))
    assert layer.keep_prob == 0.75


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: replace_dropblock(None), "model=None is not a torch.nn.Module"),
        (lambda: add_dropblock(None), "model=None is not a torch.nn.Module"),
        (lambda: add_dropblock(torch.nn.Module(), skip="False"), "skip='False' is not a bool"),
        (lambda: add_dropblock(torch.nn.Module(), inplace=1), "inplace=1 is not a bool"),
        (
            lambda: KeepProbScheduler(DropBlock2d(), LinearSchedule(0.5, 1)).load_state_dict(None),
            "state=None is not a dict",
        ),
    ],
)
def test_r14_other_front_doors_refuse_what_is_of_another_type(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        call()


def test_r14_a_block_size_that_changes_in_place_is_looked_at_again() -> None:
    side = torch.tensor(3)
    drop_block(X, 0.5, side, seed=1)
    side.fill_(5)
    assert torch.equal(drop_block(X, 0.5, side, seed=1), drop_block(X, 0.5, 5, seed=1))


@pytest.mark.parametrize("x", [[[[1.0]]], nested(torch.strided), nested(torch.jagged)], ids=["list", "dense", "jagged"])
@pytest.mark.parametrize("kind", [DropBlock1d, DropBlock2d, DropBlock3d])
def test_r14_a_layer_refuses_what_has_no_shape(kind: Any, x: Any) -> None:
    with pytest.raises(TypeError, match=r"^x is a "):
        kind(0.5, 3)(x)


NUMBERS = [np.float64(0.5), np.float32(0.5), np.array(0.5), Fraction(1, 2)]
TENSORS = [torch.tensor(0.5), torch.tensor([0.5]), torch.tensor(0.5, dtype=torch.bfloat16, requires_grad=True)]


@pytest.mark.parametrize("keep_prob", NUMBERS + TENSORS, ids=repr)
def test_r14_numbers_of_every_kind_are_numbers(keep_prob: Any) -> None:
    assert torch.equal(drop_block(X, keep_prob, 3, seed=3), drop_block(X, 0.5, 3, seed=3))


@pytest.mark.parametrize("three", [np.int64(3), np.array(3), torch.tensor(3)], ids=repr)
def test_r14_integers_of_every_kind_are_integers(three: Any) -> None:
    y = drop_block(X, 0.5, three, seed=three, stream=three, sample_offset=three)
    assert torch.equal(y, drop_block(X, 0.5, 3, seed=3, stream=3, sample_offset=3))
