"""replace_dropblock: the same settings in our layers, a true list of what changes, and all or nothing."""

import importlib
from collections import OrderedDict
from typing import Any

import dropblock
import numpy as np
import pytest
import torch
from torch import nn

from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision
from dropblock_core import LinearSchedule
from dropblock_torch import DropBlock2d, DropBlock3d, KeepProbScheduler, drop_block
from dropblock_torch.placement import add_dropblock
from dropblock_torch.replacement import Replacement, replace_dropblock

ops = import_torchvision().ops
timm = importlib.import_module("timm")  # it imports torchvision in its turn

DEFAULTS = {
    "per_channel": True, "renorm": "tensor", "gamma_scale": 1.0, "calibrated": False, "seed": None, "stream": 0,
    "generator": None, "process_group": None, "inplace": False,
}  # fmt: skip


class OldTimm(nn.Module):
    """timm's layer as it was until 1.0.22, with the attributes that a forward pass read."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        settings = {"drop_prob": 0.1, "gamma_scale": 1.0, "block_size": 7, "with_noise": False, "inplace": False}
        self.__dict__.update({**settings, "batchwise": False, "fast": True, **changes})


class OlderTimm(OldTimm):
    """Where it was until 0.6."""


OldTimm.__module__, OldTimm.__qualname__ = "timm.layers.drop", "DropBlock2d"
OlderTimm.__module__, OlderTimm.__qualname__ = "timm.models.layers.drop", "DropBlock2d"


class Derived(ops.DropBlock2d):  # type: ignore[misc]
    """Somebody's own."""


def swapped(theirs: nn.Module) -> Replacement:
    [replacement] = replace_dropblock(nn.Sequential(theirs))
    return replacement


# --- settings -------------------------------------------------------------------------------------------------------


COUPLED = {"per_channel": False}


@pytest.mark.parametrize(
    ("theirs", "kind", "settings"),
    [
        (ops.DropBlock2d(0.25, 5), DropBlock2d, {"keep_prob": 0.75, "block_size": 5}),
        (ops.DropBlock2d(0.25, 5, inplace=True), DropBlock2d, {"keep_prob": 0.75, "block_size": 5, "inplace": True}),
        (ops.DropBlock3d(0.25, 3), DropBlock3d, {"keep_prob": 0.75, "block_size": 3}),
        (timm.layers.DropBlock2d(), DropBlock2d, {"keep_prob": 0.9, "block_size": 7, **COUPLED}),
        (
            timm.layers.DropBlock2d(0.25, 4, 0.5, inplace=True, couple_channels=False, scale_by_keep=False),
            DropBlock2d,
            {"keep_prob": 0.75, "block_size": 4, "gamma_scale": 0.5, "inplace": True, "renorm": "none"},
        ),
        (OldTimm(), DropBlock2d, {"keep_prob": 0.9, "block_size": 7}),
        (OlderTimm(), DropBlock2d, {"keep_prob": 0.9, "block_size": 7}),
        (dropblock.DropBlock2D(0.25, 5), DropBlock2d, {"keep_prob": 0.75, "block_size": 5, **COUPLED}),
        (dropblock.DropBlock3D(np.float64(0.25), 3), DropBlock3d, {"keep_prob": 0.75, "block_size": 3, **COUPLED}),
    ],
    ids=lambda value: f"{type(value).__module__}.{type(value).__name__}" if isinstance(value, nn.Module) else "",
)
def test_settings_are_equal(theirs: nn.Module, kind: type, settings: dict[str, Any]) -> None:
    after = swapped(theirs).after
    assert type(after) is kind
    expected = {**DEFAULTS, **settings}
    assert {name: getattr(after, name) for name in expected} == expected


def test_the_model_runs_the_new_layer() -> None:
    x = torch.randn(2, 4, 9, 9)
    model = nn.Sequential(nn.ReLU(), ops.DropBlock2d(0.3, 3))
    replace_dropblock(model)
    torch.manual_seed(1)
    y = model(x)
    torch.manual_seed(1)
    assert torch.equal(y, drop_block(x.relu(), 1 - 0.3, 3))


@pytest.mark.parametrize("training", [True, False])
def test_the_training_mode_is_kept(training: bool) -> None:
    assert swapped(dropblock.DropBlock2D(0.1, 7).train(training)).after.training is training


def test_the_list_names_each_place_and_what_was_there() -> None:
    model = nn.ModuleDict(
        {
            "stem": nn.Sequential(nn.Conv2d(3, 8, 3), dropblock.DropBlock2D(0.1, 7)),
            "branches": nn.ModuleList([nn.ReLU(), ops.DropBlock2d(0.1, 5), timm.layers.DropBlock2d()]),
        }
    )
    replacements = replace_dropblock(model)
    assert [(replacement.name, replacement.before) for replacement in replacements] == [
        ("stem.1", "dropblock.dropblock.DropBlock2D(drop_prob=0.1, block_size=7)"),
        ("branches.1", "torchvision.ops.drop_block.DropBlock2d(p=0.1, block_size=5, inplace=False, eps=1e-06)"),
        (
            "branches.2",
            "timm.layers.drop.DropBlock2d(drop_prob=0.1, gamma_scale=1.0, block_size=7, with_noise=False, "
            "inplace=False, couple_channels=True, scale_by_keep=True)",
        ),
    ]
    assert all(model.get_submodule(replacement.name) is replacement.after for replacement in replacements)
    assert [type(module) for module in (model.stem[0], model.branches[0])] == [nn.Conv2d, nn.ReLU]  # type: ignore[index]
    assert replace_dropblock(model) == []


def test_a_layer_in_several_places_stays_one_layer() -> None:
    shared, other = ops.DropBlock2d(0.1, 5), ops.DropBlock2d(0.1, 5)
    branch = nn.Sequential(shared)
    model = nn.Sequential(shared, branch, other, branch, shared)
    replacements = replace_dropblock(model)
    assert [replacement.name for replacement in replacements] == ["0", "1.0", "2", "3.0", "4"]
    assert model[0] is model[4] is model[1][0] is model[3][0] is replacements[0].after  # type: ignore[index]
    assert model[2] is not model[0]


def test_timm_s_own_placement_is_kept() -> None:
    with torch.device("meta"):
        model = timm.models.resnet18(drop_block_rate=0.1)
    replacements = replace_dropblock(model)
    assert [(r.name, r.after.block_size, r.after.gamma_scale) for r in replacements] == [
        (f"layer{group}.{block}.drop_block", side, scale)
        for group, side, scale in [(3, 5, 0.25), (4, 3, 1.0)]
        for block in (0, 1)
    ]
    with pytest.raises(ValueError, match=r"a DropBlock2d at layer3\.0\.drop_block"):
        add_dropblock(model)


# --- what changes, each sentence tried ------------------------------------------------------------------------------


def share_dropped(layer: nn.Module, shape: tuple[int, ...] = (64, 32, 7, 7), dtype: torch.dtype | None = None) -> float:
    torch.manual_seed(0)
    return float((layer(torch.ones(shape, dtype=dtype)) == 0).double().mean())


THEIRS = [ops.DropBlock2d(0.5, 3), timm.layers.DropBlock2d(0.5, 3), dropblock.DropBlock2D(0.5, 3)]


@pytest.mark.parametrize("theirs", THEIRS, ids=lambda layer: type(layer).__module__)
def test_a_dropped_unit_is_0_whatever_it_held(theirs: nn.Module) -> None:
    new = swapped(theirs)
    assert "a dropped unit is 0 whatever it held" in new.changes[-2]
    x = torch.full((4, 4, 14, 14), torch.inf)
    assert theirs(x).isnan().any()
    assert not new.after(x).isnan().any()
    assert (new.after(x) == 0).any()


def test_torchvision_adds_eps_to_the_count() -> None:
    def result(layer: nn.Module) -> float:
        torch.manual_seed(0)
        return float(layer(torch.ones(1, 1, 2, 2)).max())

    theirs = ops.DropBlock2d(0.1, 1, eps=1.0)
    new = swapped(theirs)
    assert "theirs adds eps=1.0 to the count" in new.changes[0]
    assert result(theirs) == pytest.approx(4 / 5)
    assert result(new.after) in (1.0, pytest.approx(4 / 3), 2.0, 4.0)


def test_torchvision_counts_in_half_precision() -> None:
    theirs = ops.DropBlock2d(0.1, 7)
    new = swapped(theirs)
    assert "from 65,520 kept units on in float16 to infinity" in new.changes[1]
    assert torch.ones(65519, dtype=torch.float16).sum().isfinite()
    assert torch.ones(65520, dtype=torch.float16).sum().isinf()
    large = (4, 128, 14, 14)
    assert share_dropped(theirs, large, torch.float16) == 1.0
    assert share_dropped(new.after, large, torch.float16) < 0.2


@pytest.mark.parametrize("size", [(6, 6), (4, 9)])
def test_torchvision_raises_where_a_clipped_block_is_even(size: tuple[int, int]) -> None:
    theirs = ops.DropBlock2d(0.1, 7)
    new = swapped(theirs)
    assert "clips to the shorter axis and raises where the side is then even" in new.changes[2]
    with pytest.raises(ValueError, match="block size should be odd"):
        theirs(torch.ones(8, 8, *size))
    assert new.after(torch.ones(8, 8, *size)).shape == (8, 8, *size)


@pytest.mark.parametrize("coupled", [True, False])
def test_timm_drops_more(coupled: bool) -> None:
    theirs = timm.layers.DropBlock2d(0.1, 7, couple_channels=coupled)
    new = swapped(theirs)
    assert new.changes[0].startswith("fewer units are dropped: theirs seeds the whole map")
    # One of 49 seeds drops the centre of a map: 1 - 0.9^49 of the centres, where it should be 0.1.
    assert share_dropped(theirs) > 0.8
    assert share_dropped(new.after) < 0.3
    slow = swapped(OldTimm(fast=False))  # this one seeded as the paper
    assert not any("fewer" in change for change in slow.changes)


def test_the_dropblock_package_has_another_gamma() -> None:
    theirs = dropblock.DropBlock2D(0.9, 7)
    new = swapped(theirs)
    assert new.changes[0].startswith("another fraction is dropped: gamma is Eq. (1)'s, not drop_prob / block_size^rank")
    # One anchor and gamma 0.9, against 49 anchors and gamma 0.9 / 49.
    assert share_dropped(new.after) == pytest.approx(0.9, abs=0.2)
    assert share_dropped(theirs) < 0.6
    ones = torch.ones(2, 2, 3, 3)
    assert dropblock.DropBlock2D(1.0, 1)(ones).isnan().all()
    assert not swapped(dropblock.DropBlock2D(1.0, 1)).after(ones).any()
    half = torch.ones(2, 2, 9, 9, dtype=torch.float16)
    assert (theirs(half).dtype, new.after(half).dtype) == (torch.float32, torch.float16)


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "error", "message"),
    [
        (
            timm.layers.DropBlock2d(with_noise=True),
            ValueError,
            r"timm\.layers\.drop\.DropBlock2d: .*set .* with_noise to",
        ),
        (OldTimm(batchwise=True), ValueError, r"timm\.layers\.drop\.DropBlock2d: ours has no batchwise=True"),
        (ops.DropBlock2d(1.5, 7), ValueError, r"torchvision\.ops\.drop_block\.DropBlock2d: keep_prob=-0\.5 is outside"),
        (ops.DropBlock2d(0.1, 7.0), TypeError, r"torchvision\.ops\.drop_block\.DropBlock2d: block_size=7\.0 is not an"),
        (Derived(0.1, 7), ValueError, r"\S*Derived: what a derived class does .* by hand, first$"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_what_ours_cannot_be_is_refused_and_the_model_stays(
    theirs: nn.Module, error: type[Exception], message: str
) -> None:
    fine = ops.DropBlock2d(0.1, 7)
    model = nn.Sequential(OrderedDict(fine=fine, head=nn.Sequential(theirs)))
    with pytest.raises(error, match=r"^model has at head\.0 a " + message):
        replace_dropblock(model)
    assert model.fine is fine
    assert model.get_submodule("head.0") is theirs


def test_a_layer_by_itself_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^model is itself a torchvision\.ops.* pass the module that holds it$"):
        replace_dropblock(ops.DropBlock2d(0.1, 7))


def test_the_remedy_for_a_schedule_of_the_dropblock_package_gives_its_values() -> None:
    theirs = dropblock.LinearScheduler(dropblock.DropBlock2D(0.0, 7), start_value=0.05, stop_value=0.25, nr_steps=6)
    model = nn.Sequential(theirs)
    with pytest.raises(ValueError, match=r"^model has at 0 a dropblock\.scheduler\.LinearScheduler: ") as refusal:
        replace_dropblock(model)
    assert model[0] is theirs
    values = []
    for _ in range(8):
        theirs.step()
        values.append(1 - theirs.dropblock.drop_prob)

    model[0] = theirs.dropblock
    [replacement] = replace_dropblock(model)
    names = {"model": model, "KeepProbScheduler": KeepProbScheduler, "LinearSchedule": LinearSchedule}
    scheduler = eval(str(refusal.value).rpartition(" by ")[2], names)
    ours = []
    for _ in range(8):
        ours.append(replacement.after.keep_prob)
        scheduler.step()
    assert ours == pytest.approx(values, abs=1e-15)
