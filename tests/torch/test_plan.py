"""What a plan says and does, and which modules a Where means."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropblock_torch import DropBlock2d, DropBlock3d, Plan, Where, add_dropblock, plan_dropblock

from .networks import detection, timm, torchvision, tv


def paths(plan: Plan) -> list[str]:
    return [place.path for place in plan.places]


def meta(create: Any, **options: Any) -> Any:
    with torch.device("meta"):  # no weights: only the structure counts
        return create(**options)


def test_the_plan_for_resnet_50_is_the_authors() -> None:
    """tensorflow/tpu, resnet_model.py, bottleneck_block: the shortcut, and behind each of the three convolutions."""
    plan = plan_dropblock(meta(tv.resnet50))
    expected = [
        (f"layer{group}.{block}.{place}", 7, 0.9, {3: 0.25, 4: 1.0}[group])
        for group, blocks in ((3, 6), (4, 3))
        for block in range(blocks)
        for place in ("bn1", "bn2", "bn3", "downsample")
    ]
    said = [(p.path, p.layer.block_size, p.layer.keep_prob, p.layer.gamma_scale) for p in plan.places]
    assert said == expected
    assert [p.what for p in plan.places[:8]] == [
        *["after BatchNorm2d"] * 3, "skip: the projection", *["after BatchNorm2d"] * 3, "skip: the identity",
    ]  # fmt: skip


def test_a_plan_changes_nothing_until_it_is_applied_and_is_applied_once() -> None:
    model = tv.resnet18()
    before = [(name, id(module), len(module._forward_hooks)) for name, module in model.named_modules()]
    plan = plan_dropblock(model, groups=[4])
    assert before == [(name, id(module), len(module._forward_hooks)) for name, module in model.named_modules()]
    assert plan.apply() == [place.layer for place in plan.places]
    assert [m for m in model.modules() if isinstance(m, DropBlock2d)] == sorted_as(model, plan)
    with pytest.raises(RuntimeError, match=r"^the model has changed since this plan was made: make another with plan"):
        plan.apply()


def sorted_as(model: nn.Module, plan: Plan) -> list[nn.Module]:
    order = list(model.modules())
    return sorted((place.layer for place in plan.places), key=order.index)


def test_a_plan_for_a_model_that_changed_is_not_applied() -> None:
    model = tv.resnet18()
    plan = plan_dropblock(model)
    model.layer4[0].bn1 = nn.BatchNorm2d(512)
    with pytest.raises(RuntimeError, match=r"^the model has changed"):
        plan.apply()
    assert not any(isinstance(module, DropBlock2d) for module in model.modules())


# --- which modules ---------------------------------------------------------------------------------------------------


def chain(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def cells(count: int) -> nn.ModuleDict:
    return nn.ModuleDict({f"cell_{n}": chain(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)) for n in range(count)})


@pytest.mark.parametrize(
    ("names", "last", "numbers"),
    [
        ("cell_*", 1.0, [0, 1, 2, 3, 4]),
        ("cell_*", 0.5, [2, 3, 4]),  # rounded up
        ("cell_*", 0.4, [3, 4]),  # 0.4 * 5 is 2 exactly, not a little more
        ("cell_*", 3, [2, 3, 4]),
        ("cell_*", 1, [4]),
        ("cell_[13]", 1.0, [1, 3]),
        (("cell_3", "cell_0"), 1.0, [0, 3]),  # in the model's order
        (("cell_*", "cell_1"), 2, [3, 4]),  # each once
    ],
)
def test_where_means_the_last_of_what_matches(names: Any, last: float, numbers: list[int]) -> None:
    plan = plan_dropblock(cells(5), where=Where(names, last=last, skip=False))
    assert paths(plan) == [f"cell_{n}.1" for n in numbers]


def test_the_last_half_of_nasnets_cells_has_the_papers_resolutions() -> None:
    """Section 4.1.2: "the resolution of the feature maps in these cells are 21x21 or 11x11", at an input of 331x331."""
    model = meta(timm.create_model, model_name="nasnetalarge", stem_size=8, num_features=96).eval()
    seen: set[tuple[int, int]] = set()
    for layer in add_dropblock(model, where=Where("*cell_[0-9]*", last=0.5), block_size=11):
        layer.register_forward_pre_hook(lambda _, inputs: seen.add(inputs[0].shape[2:]))
    model(torch.zeros(1, 3, 331, 331, device="meta"))
    assert seen == {(21, 21), (11, 11)}


def test_a_group_by_its_number_has_the_authors_share_and_a_name_has_its_own() -> None:
    where = (Where(3), Where(4, share=0.5, skip=False), Where("conv1", after="itself", skip=False, share=0.1))
    plan = plan_dropblock(meta(tv.resnet18), where=where, gamma_scale=2)
    assert [place.layer.gamma_scale for place in plan.places] == [0.5] * 6 + [1.0] * 4 + [0.2]
    assert paths(plan)[-1] == "conv1"


def test_groups_are_found_inside_a_detector_and_inside_a_wrapper() -> None:
    detector = meta(detection.fasterrcnn_resnet50_fpn, weights=None, weights_backbone=None)
    plan = plan_dropblock(nn.ModuleDict({"module": detector}))
    assert len(plan.places) == 36
    assert paths(plan)[0] == "module.backbone.body.layer3.0.bn1"


def test_two_networks_of_groups_are_told_apart_by_the_user() -> None:
    model = nn.ModuleDict({"student": meta(tv.resnet18), "teacher": meta(tv.resnet18)})
    with pytest.raises(ValueError, match=r"^model has groups of residual blocks in 'student' and in 'teacher': pass"):
        plan_dropblock(model)
    assert len(plan_dropblock(model, where="student.layer4").places) == 6


class Owner(nn.Module):
    def __init__(self, stage: nn.Module) -> None:
        super().__init__()
        self.stage = stage

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.stage(x)
        return y


# --- behind what -----------------------------------------------------------------------------------------------------


def conv_norm_act(activation: Any, norm: Any = nn.BatchNorm2d) -> Any:
    return torchvision.ops.misc.Conv2dNormActivation(4, 4, norm_layer=norm, activation_layer=activation)


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bn, self.act = nn.BatchNorm2d(4), nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.silu(self.bn(x))


class Shared(Functional):
    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.act(x)))


class Outside(nn.Module):
    """The activation is not beside the norm."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.act = conv_norm_act(None), nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.inner(x))


@pytest.mark.parametrize(
    ("part", "place"),
    [
        (conv_norm_act(nn.ReLU), ("part.1", "after BatchNorm2d")),
        (conv_norm_act(nn.LeakyReLU), ("part.1", "after BatchNorm2d")),
        (conv_norm_act(nn.SiLU), ("part.2", "after SiLU")),
        (conv_norm_act(nn.Hardswish), ("part.2", "after Hardswish")),
        (conv_norm_act(nn.ReLU6), ("part.2", "after ReLU6")),
        (conv_norm_act(nn.ReLU, torchvision.ops.misc.FrozenBatchNorm2d), ("part.1", "after FrozenBatchNorm2d")),
        (conv_norm_act(nn.ReLU, timm.layers.LayerNorm2d), ("part.1", "after LayerNorm2d")),
        (conv_norm_act(nn.ReLU, nn.InstanceNorm2d), ("part.1", "after InstanceNorm2d")),
        (chain(nn.GroupNorm(2, 4)), ("part.0", "after GroupNorm")),
        (nn.SyncBatchNorm(4), ("part", "after SyncBatchNorm")),
        (timm.layers.BatchNormAct2d(4, act_layer=nn.SiLU), ("part", "after BatchNormAct2d")),
        (Functional(), ("part.bn", "after BatchNorm2d, before silu")),
        (Shared(), ("part.bn", "after BatchNorm2d, before SiLU")),
        (Outside(), ("part.act", "after GELU")),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_a_layer_follows_a_norm_and_the_activation_that_does_not_commute(
    part: nn.Module, place: tuple[str, str]
) -> None:
    # Outside's activation is not in its inner part, which is the one that is named.
    plan = plan_dropblock(nn.ModuleDict({"part": part}), where=Where("part", skip=False))
    assert [(p.path, p.what) for p in plan.places] == [place]


@pytest.mark.parametrize("after", ["norm", "conv", "activation", "itself"])
def test_after_says_behind_what(after: str) -> None:
    torch.manual_seed(0)
    part = conv_norm_act(nn.ReLU)
    conv, norm, act = copy.deepcopy(part)
    net, x = Owner(part), torch.randn(2, 4, 8, 8)
    [layer] = add_dropblock(net, where=Where("stage", after=after, skip=False), block_size=3, keep_prob=0.6, seed=1)
    y = layer(conv(x)) if after == "conv" else conv(x)
    y = act(layer(norm(y)) if after == "norm" else norm(y))
    assert torch.equal(net(x), layer(y) if after in ("activation", "itself") else y)


def test_norms_of_other_axes_and_of_one_unit_are_passed_over() -> None:
    parts = chain(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.LayerNorm(4), nn.Flatten(), nn.BatchNorm1d(4))
    assert paths(plan_dropblock(chain(parts), where=Where("0", skip=False))) == ["0.1"]
    sk = plan_dropblock(meta(timm.models.skresnet18), groups=[4])
    assert not [path for path in paths(sk) if "attn" in path]


def test_maps_of_three_axes_get_dropblock_3d() -> None:
    net = chain(chain(nn.Conv3d(4, 4, 1), nn.BatchNorm3d(4)))
    [layer] = add_dropblock(net, where=Where("0", skip=False), block_size=(1, 3, 3))
    assert isinstance(layer, DropBlock3d)
    assert net(torch.ones(2, 4, 4, 4, 4)).shape == (2, 4, 4, 4, 4)


def test_a_module_in_two_places_gets_one_layer() -> None:
    norm = nn.BatchNorm2d(4)
    net = chain(chain(nn.Conv2d(4, 4, 1), norm), chain(nn.Conv2d(4, 4, 1), norm, nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)))
    assert paths(plan_dropblock(net, where=Where(("0", "1"), skip=False))) == ["0.1", "1.3"]


class Stage(nn.Module):
    """It calls whatever children it has, as timm's RegNet does."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        for child in self.children():
            x = child(x)
        return x


@pytest.mark.parametrize("stage", [Stage, lambda: chain(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))], ids=["walks", "list"])
def test_what_calls_all_its_children_is_given_no_further_one(stage: Any) -> None:
    for net in (chain(stage()), Owner(stage())):
        [layer] = add_dropblock(net, where=Where(next(iter(dict(net.named_children()))), skip=False), block_size=3)
        calls: list[int] = []
        layer.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        net(torch.ones(2, 4, 8, 8))
        assert calls == [1]


def test_a_list_in_a_list_cannot_hold_a_layer_behind_itself() -> None:
    net = chain(chain(nn.Conv2d(4, 4, 1)))
    with pytest.raises(
        ValueError, match=r"^model has at 0 a Sequential, and around it only lists .* a forward of its own"
    ):
        add_dropblock(net, where=Where("0", after="itself", skip=False))
    assert len(add_dropblock(net, where=Where("0", after="conv", skip=False))) == 1
