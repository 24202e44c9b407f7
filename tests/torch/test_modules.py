"""DropBlock1d, 2d and 3d as people use nn.Modules; and the public surface of the package."""

import copy
import inspect
import io
import pickle
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import dropblock_core as core
import dropblock_torch
from dropblock_torch import DropBlock1d, DropBlock2d, DropBlock3d, drop_block

from .support import assert_same_bits, draws_nothing

LAYERS = {1: DropBlock1d, 2: DropBlock2d, 3: DropBlock3d}
any_rank = pytest.mark.parametrize("rank", LAYERS)

# Every option of a layer, with a value that is not its default.
OPTIONS: dict[str, Any] = {
    "per_channel": False,
    "renorm": "map",
    "gamma_scale": 0.25,
    "calibrated": True,
    "seed": 9,
    "stream": 3,
    "inplace": True,
}


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


# --- what a layer computes ------------------------------------------------------------------------------------------


@any_rank
def test_a_layer_is_the_function(rank: int) -> None:
    x = normal(2, 3, *(9, 8, 7)[:rank])
    block = (3, 2, 4)[:rank]
    for sides in (block, block[0]):
        y = LAYERS[rank](0.6, sides, seed=4)(x)
        assert torch.equal(y, drop_block(x, 0.6, sides, seed=4))
        assert_same_bits(y, core.drop_block(x.numpy(), 0.6, sides, seed=4))


@any_rank
def test_one_sample_without_its_axis_is_a_batch_of_one(rank: int) -> None:
    x = normal(3, *(9, 8, 7)[:rank])
    for renorm in ("tensor", "sample", "map", "expected"):
        layer = LAYERS[rank](0.6, 3, seed=4, renorm=renorm)
        y = layer(x)
        assert y.shape == x.shape
        assert torch.equal(y, layer(x[None])[0])
        assert 0 < (y == 0).sum() < y.numel()


@any_rank
def test_r01_evaluation_returns_x_itself_in_every_shape_it_takes(rank: int) -> None:
    layer = LAYERS[rank](0.5, 3).eval()
    for x in (normal(3, *(9, 8, 7)[:rank]), normal(2, 3, *(9, 8, 7)[:rank])):
        with draws_nothing():
            assert layer(x) is x
            assert LAYERS[rank](1.0, 3)(x) is x
    assert (LAYERS[rank](0.5, 3, seed=1)(x) == 0).any()


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_reaches_the_function_and_changes_what_it_should(option: str) -> None:
    x = normal(2, 3, 12, 12)
    common: dict[str, Any] = {"seed": 4} | {option: OPTIONS[option]}
    plain = DropBlock2d(0.6, 3, seed=4)(x.clone())
    y = DropBlock2d(0.6, 3, **common)(changed := x.clone())
    assert torch.equal(y, drop_block(x.clone(), 0.6, 3, **common))
    assert torch.equal(y, plain) == (option == "inplace")
    assert torch.equal(y == 0, plain == 0) == (option in ("inplace", "renorm"))
    assert torch.equal(changed, y if option == "inplace" else x)


@pytest.mark.parametrize("option", [name for name in OPTIONS if name != "calibrated"])
def test_an_option_set_later_counts_from_then_on(option: str) -> None:
    x = normal(2, 3, 12, 12)
    layer = DropBlock2d(0.6, 3, seed=4)
    layer(x.clone())
    setattr(layer, option, OPTIONS[option])
    assert torch.equal(layer(x.clone()), DropBlock2d(0.6, 3, **({"seed": 4} | {option: OPTIONS[option]}))(x.clone()))
    layer.block_size = (5, 2)
    assert torch.equal(layer(x.clone()) == 0, drop_block(x, 0.6, (5, 2), **({"seed": 4} | _of_the_mask(layer))) == 0)


def _of_the_mask(layer: DropBlock2d) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in ("per_channel", "gamma_scale", "seed", "stream")}


# --- keep_prob, a plain attribute -----------------------------------------------------------------------------------


def test_keep_prob_is_set_and_read_as_a_float() -> None:
    layer = DropBlock2d(block_size=3, seed=4)
    x = normal(2, 3, 9, 9)
    assert layer.keep_prob == 0.9
    for value in (0.3, 0, 1, 0.1, torch.tensor(0.5), 1 / 3):
        layer.keep_prob = value
        assert type(layer.keep_prob) is float
        assert layer.keep_prob == float(value)
        assert torch.equal(layer(x), drop_block(x, float(value), 3, seed=4))


@pytest.mark.parametrize("bad", [1.5, -0.1, float("nan"), "0.5", None, True])
def test_r14_a_bad_keep_prob_raises_where_it_is_set_and_leaves_the_old_one(bad: Any) -> None:
    layer = DropBlock2d(0.7, 3)
    with pytest.raises((ValueError, TypeError), match=r"^keep_prob="):
        layer.keep_prob = bad
    assert layer.keep_prob == 0.7


def test_a_layer_made_in_inference_mode_can_be_scheduled_later() -> None:
    with torch.inference_mode():
        layer = DropBlock2d(0.7, 3)
        layer.keep_prob = 0.6
    layer.keep_prob = 0.5
    assert layer.keep_prob == 0.5
    x = normal(2, 3, 9, 9).requires_grad_()
    layer(x).sum().backward()
    assert (x.grad == 0).any()


# --- as modules are treated -----------------------------------------------------------------------------------------


def duplicates(layer: nn.Module) -> list[nn.Module]:
    saved = io.BytesIO()
    torch.save(layer, saved)
    saved.seek(0)
    return [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(saved, weights_only=False)]


@any_rank
def test_copies_are_equal_and_independent(rank: int) -> None:
    layer = LAYERS[rank](0.7, 3, gamma_scale=0.5, seed=4, stream=1, renorm="sample", per_channel=False)
    x = normal(2, 3, *(9, 8, 7)[:rank])
    for other in duplicates(layer):
        assert repr(other) == repr(layer)
        assert torch.equal(other(x), layer(x))
        other.keep_prob = 0.2
        assert (other.keep_prob, layer.keep_prob) == (0.2, 0.7)
        layer.keep_prob = 0.4
        assert (other.keep_prob, layer.keep_prob) == (0.2, 0.4)
        layer.keep_prob = 0.7


def test_copies_of_a_layer_with_a_generator_go_on_from_its_state() -> None:
    layer = DropBlock2d(0.7, 3, generator=torch.Generator().manual_seed(5))
    x = normal(2, 3, 9, 9)
    layer(x)
    others = duplicates(layer)
    expected = layer(x)
    for other in others:
        assert torch.equal(other(x), expected)
        assert other.generator is not layer.generator


def test_no_checkpoint_knows_the_layer() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    with_layer = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), DropBlock2d(0.5))
    assert DropBlock2d(0.5).state_dict() == {}
    assert list(DropBlock2d().parameters()) == list(DropBlock2d().buffers()) == []
    with_layer.load_state_dict(plain.state_dict(), strict=True)
    plain.load_state_dict(with_layer.state_dict(), strict=True)
    assert with_layer[2].keep_prob == 0.5


def test_conversions_leave_keep_prob_alone() -> None:
    layer = DropBlock2d(0.1, 3, seed=4)
    for convert in (layer.half, layer.bfloat16, layer.double, lambda: layer.to("meta"), layer.float, layer.cpu):
        assert convert() is layer
        assert layer.keep_prob == 0.1
    with torch.device("meta"):
        assert DropBlock2d(0.1).keep_prob == 0.1
    x = normal(2, 3, 9, 9)
    assert torch.equal(layer(x.half()), drop_block(x.half(), 0.1, 3, seed=4))
    meta = layer(x.to("meta"))
    assert (meta.shape, meta.device.type) == (x.shape, "meta")


def test_repr_shows_what_is_set_and_rebuilds_the_layer() -> None:
    assert repr(DropBlock1d()) == "DropBlock1d(keep_prob=0.9, block_size=7)"
    assert repr(DropBlock3d(0.75, (1, 2, 3))) == "DropBlock3d(keep_prob=0.75, block_size=(1, 2, 3))"
    options = OPTIONS | {"calibrated": False}
    layer = DropBlock2d(0.5, 3, **options)
    text = "per_channel=False, renorm='map', gamma_scale=0.25, seed=9, stream=3, inplace=True"
    assert repr(layer) == f"DropBlock2d(keep_prob=0.5, block_size=3, {text})"
    assert repr(eval(repr(layer))) == repr(layer)
    assert "calibrated=True" in repr(DropBlock2d(calibrated=True))
    assert "seed=0" in repr(DropBlock2d(seed=0))
    assert "generator=" in repr(DropBlock2d(generator=torch.Generator()))


# --- the public surface ---------------------------------------------------------------------------------------------

CONTRACT: dict[str, Any] = {
    "keep_prob": 0.9,
    "block_size": 7,
    "training": True,
    "per_channel": True,
    "renorm": "tensor",
    "gamma_scale": 1.0,
    "calibrated": False,
    "seed": None,
    "sample_offset": 0,
    "stream": 0,
    "generator": None,
}


def defaults(call: Any) -> dict[str, Any]:
    return {name: p.default for name, p in inspect.signature(call).parameters.items() if name != "foreign"}


def test_drop_block_has_the_signature_of_the_contract() -> None:
    assert defaults(drop_block) == {"x": inspect.Parameter.empty, **CONTRACT, "process_group": None, "inplace": False}
    parameters = inspect.signature(drop_block).parameters.values()
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == ["x", "keep_prob", "block_size"]


@any_rank
def test_layers_have_the_same_defaults(rank: int) -> None:
    # A layer has `training` from nn.Module, and sees one batch after the other, so no offset is its own.
    expected = {name: value for name, value in CONTRACT.items() if name not in ("training", "sample_offset")}
    # The signature of the class is that of `LooksAtPosition.__new__` in Python 3.11.2, and this one in 3.11.7.
    given = defaults(LAYERS[rank].__init__)
    assert given.pop("self") is inspect.Parameter.empty
    assert given == {**expected, "process_group": None, "inplace": False}
    assert {name: getattr(LAYERS[rank](), name) for name in expected} == expected


def test_all_lists_exactly_the_public_names() -> None:
    public = {
        name
        for name, value in vars(dropblock_torch).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert sorted(dropblock_torch.__all__) == sorted(public)
    contract = {"drop_block", "DropBlock1d", "DropBlock2d", "DropBlock3d", "KeepProbScheduler"}
    assert contract | {"add_dropblock", "replace_dropblock"} <= set(dropblock_torch.__all__)


# A record of what was replaced, or would be placed, does nothing that could fail.
@pytest.mark.parametrize("name", sorted(set(dropblock_torch.__all__) - {"Place", "Replacement"}))
def test_docstrings_say_what_they_raise_and_show_an_example(name: str) -> None:
    doc = inspect.getdoc(getattr(dropblock_torch, name)) or ""
    assert "Raises:" in doc
    assert ">>>" in doc or ":func:`drop_block`" in doc
    assert "{" not in doc  # a template that nobody filled


def test_importing_it_imports_no_other_framework_and_no_compiler() -> None:
    others = {
        "triton",
        "jax",
        "tensorflow",
        "keras",
        "timm",
        "torchvision",
        "dropblock",
        "lightning",
        "mmengine",
        "transformers",
        "torch._inductor",
        "scipy",
        "hypothesis",
    }
    # Looking for other packages' layers imports none of them either.
    code = (
        "import sys; from torch import nn; import dropblock_torch; "
        "assert dropblock_torch.replace_dropblock(nn.Sequential(nn.ReLU())) == []; "
        f"print(*sorted({others!r} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
