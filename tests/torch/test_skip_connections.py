"""Skip connections of all forms, each block against itself written by hand, bit for bit."""

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from dropblock_torch import DropBlock2d, Where, add_dropblock, plan_dropblock

from .networks import timm, tv

cspnet, nasnet, pnasnet, regnet, resnetv2 = (
    getattr(timm.models, name) for name in ("cspnet", "nasnet", "pnasnet", "regnet", "resnetv2")
)
Drops = dict[str, Callable[[Tensor], Tensor]]


def noise(channels: int, seed: int, size: int = 8) -> Tensor:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(seed))


def dark(b: Any, drop: Drops, x: Tensor) -> Tensor:
    y = drop["conv2.bn"](b.conv2(drop["conv1.bn"](b.conv1(x))))
    return y + drop["beside drop_path"](x)


def csp_bottleneck(b: Any, drop: Drops, x: Tensor) -> Tensor:
    y = drop["conv2.bn"](b.conv2(drop["conv1.bn"](b.conv1(x))))
    return b.act3(drop["conv3.bn"](b.conv3(y)) + drop["beside drop_path"](x))


def pre_activation(b: Any, drop: Drops, x: Tensor) -> Tensor:
    """As the authors' code has it: after the second and the third norm and activation, and on the skip connection."""
    first = b.norm1(x)
    skip = drop["beside drop_path"](x) if b.downsample is None else drop["downsample"](b.downsample(first))
    y = b.conv2(drop["norm2"](b.norm2(b.conv1(first))))
    return b.conv3(drop["norm3"](b.norm3(y))) + skip


def timm_regnet(b: Any, drop: Drops, x: Tensor) -> Tensor:
    y = b.se(drop["conv2.bn"](b.conv2(drop["conv1.bn"](b.conv1(x)))))
    return b.act3(drop["conv3.bn"](b.conv3(y)) + drop["downsample"](b.downsample(x)))


def torchvision_regnet(b: Any, drop: Drops, x: Tensor) -> Tensor:
    skip = drop["proj"](x if b.proj is None else b.proj(x))
    y = x
    for name in "abc":
        layer = b.f.get_submodule(name)
        y = drop[f"f.{name}.1"](layer[1](layer[0](y)))
        y = layer[2](y) if len(layer) > 2 else y
    return F.relu(skip + y)


def branch(drop: Drops, name: str, b: Any, x: Tensor) -> Tensor:
    """NASNet's and PNASNet's separable convolutions, twice."""
    y = drop[f"{name}.bn_sep_1"](b.bn_sep_1(b.separable_1(F.relu(x))))
    return drop[f"{name}.bn_sep_2"](b.bn_sep_2(b.separable_2(F.relu(y))))


def operations(c: Any, drop: Drops) -> Callable[[str, Tensor], Tensor]:
    """The operations of a cell, by name."""

    def operation(name: str, x: Tensor) -> Tensor:
        module = getattr(c, f"comb_iter_{name}")
        return branch(drop, f"comb_iter_{name}", module, x) if hasattr(module, "bn_sep_1") else module(x)

    return operation


def inputs(c: Any, drop: Drops, x: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
    return (
        drop["conv_prev_1x1.bn"](c.conv_prev_1x1(previous)),
        drop["conv_1x1.bn"](c.conv_1x1(x)),
    )


def nasnet_normal(c: Any, drop: Drops, x: Tensor, previous: Tensor) -> Tensor:
    op, (left, right) = operations(c, drop), inputs(c, drop, x, previous)
    sums = [
        op("0_left", right) + op("0_right", left),
        op("1_left", left) + op("1_right", left),
        op("2_left", right) + drop["beside comb_iter_2_left"](left),
        op("3_left", left) + op("3_right", left),
        op("4_left", right) + drop["beside comb_iter_4_left"](right),
    ]
    return torch.cat([left, *sums], 1)


def nasnet_reduction(c: Any, drop: Drops, x: Tensor, previous: Tensor) -> Tensor:
    op, (left, right) = operations(c, drop), inputs(c, drop, x, previous)
    first = op("0_left", right) + op("0_right", left)
    second = op("1_left", right) + op("1_right", left)
    third = op("2_left", right) + op("2_right", left)
    fourth = op("3_right", first) + drop["beside comb_iter_3_right"](second)
    return torch.cat([second, third, fourth, op("4_left", first) + op("4_right", right)], 1)


def pnasnet_cell(c: Any, drop: Drops, left: Tensor, right: Tensor) -> Tensor:
    op, (left, right) = operations(c, drop), inputs(c, drop, right, left)
    first = op("0_left", left) + op("0_right", left)
    second = op("1_left", right) + op("1_right", right)
    third = op("2_left", right) + op("2_right", right)
    fourth = op("3_left", third) + op("3_right", right)
    fifth = op("4_left", left)
    skip = right if c.comb_iter_4_right is None else c.comb_iter_4_right(right)
    return torch.cat([first, second, third, fourth, fifth + drop["comb_iter_4_right"](skip)], 1)


NORMAL = {"in_chs_left": 8, "out_chs_left": 8, "in_chs_right": 8, "out_chs_right": 8}
PRE = partial(
    resnetv2.PreActBottleneck,
    8,
    conv_layer=timm.layers.create_conv2d,
    norm_layer=timm.layers.BatchNormAct2d,
    bottle_ratio=0.5,
)
REGNET = partial(
    tv.regnet.ResBottleneckBlock, 8, norm_layer=nn.BatchNorm2d, activation_layer=nn.ReLU, group_width=4, se_ratio=None
)
CASES: dict[str, tuple[Callable[[], nn.Module], Callable[..., Tensor], int]] = {
    "Darknet": (partial(cspnet.DarkBlock, 8, 8), dark, 3),
    "Darknet with SiLU": (partial(cspnet.DarkBlock, 8, 8, act_layer=nn.SiLU), dark, 3),
    "CSPNet": (partial(cspnet.BottleneckBlock, 8, 8), csp_bottleneck, 4),
    "ResNetV2": (PRE, pre_activation, 3),
    "ResNetV2, projection": (partial(PRE, 16, stride=2, proj_layer=resnetv2.DownsampleConv), pre_activation, 3),
    "RegNet of timm": (partial(regnet.Bottleneck, 8, 8), timm_regnet, 4),
    "RegNet of timm, projection": (partial(regnet.Bottleneck, 8, 16, stride=2), timm_regnet, 4),
    "RegNet of torchvision": (partial(REGNET, 8, 1), torchvision_regnet, 4),
    "RegNet of torchvision, projection": (partial(REGNET, 16, 2), torchvision_regnet, 4),
    "NASNet": (partial(nasnet.NormalCell, **NORMAL), nasnet_normal, 14),
    "NASNet, reduction": (partial(nasnet.ReductionCell0, **NORMAL), nasnet_reduction, 13),
    "PNASNet": (partial(pnasnet.Cell, **NORMAL), pnasnet_cell, 15),
    "PNASNet, reduction": (partial(pnasnet.Cell, **NORMAL, is_reduction=True), pnasnet_cell, 15),
}
any_case = pytest.mark.parametrize("case", CASES)


def placed(case: str) -> tuple[Any, Any, Drops]:
    """A block, the same with DropBlock, and the layers that it got by their places."""
    torch.manual_seed(0)
    original = CASES[case][0]()
    net = nn.ModuleDict({"block": copy.deepcopy(original)})
    plan = plan_dropblock(net, where="block", block_size=3, keep_prob=0.6, seed=1)
    plan.apply()
    drops = {
        p.path.removeprefix("block.") if p.path != "block" else p.what.removeprefix("skip: the identity, "): p.layer
        for p in plan.places
    }
    assert len(drops) == len(plan.places) == CASES[case][2]
    return original, net["block"], drops


def arguments(case: str) -> list[Tensor]:
    return [noise(8, seed) for seed in range(2 if "NASNet" in case else 1)]


@any_case
def test_a_block_is_itself_written_by_hand(case: str) -> None:
    original, ours, drops = placed(case)
    xs = [[x.clone().requires_grad_() for x in arguments(case)] for _ in range(2)]
    expected, result = CASES[case][1](original, drops, *xs[0]), ours(*xs[1])
    assert torch.equal(result, expected)
    expected.square().sum().backward()
    result.square().sum().backward()
    pairs = [*zip(original.parameters(), ours.parameters(), strict=True), *zip(*xs, strict=True)]
    assert all(torch.equal(a.grad, b.grad) for a, b in pairs)
    assert torch.equal(original.eval()(*xs[0]), ours.eval()(*xs[1]))


REWRITTEN = ["Darknet", "ResNetV2", "NASNet"]
any_rewritten = pytest.mark.parametrize("case", REWRITTEN)


@any_rewritten
@pytest.mark.parametrize("twin", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_a_copy_of_a_rewritten_block_has_layers_of_its_own(case: str, twin: Callable[[nn.Module], nn.Module]) -> None:
    original, ours, _ = placed(case)
    other, x = twin(ours), arguments(case)
    assert isinstance(other, type(original))
    assert torch.equal(other(*x), ours(*x))
    for layer in other.modules():
        if isinstance(layer, DropBlock2d):
            layer.keep_prob = 1.0
    assert torch.equal(other(*x), original(*x))
    assert not torch.equal(other(*x), ours(*x))


@pytest.mark.parametrize("case", ["Darknet", *(pytest.param(c, marks=pytest.mark.exhaustive) for c in REWRITTEN[1:])])
def test_a_compiled_rewritten_block_is_one_graph(case: str) -> None:
    torch._dynamo.reset()
    (_, ours, _), (_, eager, _) = placed(case), placed(case)
    counter = CompileCounter()
    compiled = torch.compile(ours, backend=counter, fullgraph=True)
    for keep_prob in (0.9, 0.6):
        for block in (ours, eager):
            for layer in block.modules():
                if isinstance(layer, DropBlock2d):
                    layer.keep_prob = keep_prob
        assert torch.equal(compiled(*arguments(case)), eager(*arguments(case)))
    assert counter.frame_count == 1


def test_blocks_of_one_form_share_a_class_and_others_do_not() -> None:
    blocks = [placed(case)[1] for case in ("NASNet", "NASNet", "Darknet", "Darknet with SiLU")]
    kinds = [type(block) for block in blocks]
    assert kinds[0] is kinds[1]
    assert kinds[2] is kinds[3] is not kinds[0]
    assert [kind.__name__ for kind in kinds[1:3]] == ["NormalCell", "DarkBlock"]


class Sum(nn.Module):
    """A block whose sum is made in a way of its own."""

    def __init__(self, add: Callable[[Any, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.bn, self.dropout = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), 0.5
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.add(self, self.bn(self.conv(x)), x), self.dropout, self.training)


SUMS: dict[str, Callable[[Any, Tensor, Tensor], Tensor]] = {
    "+": lambda b, y, x: y + x,
    "x first": lambda b, y, x: x + y,
    "torch.add": lambda b, y, x: torch.add(y, x),
    "method": lambda b, y, x: y.add(x),
    "in place": lambda b, y, x: y.add_(x),
    "padded": lambda b, y, x: y + F.pad(x[:, :4], (0, 0, 0, 0, 0, 4)),
}


@pytest.mark.parametrize("way", SUMS)
def test_any_way_to_write_the_sum_is_found(way: str) -> None:
    torch.manual_seed(0)
    block = Sum(SUMS[way])
    original, net, x = copy.deepcopy(block), nn.ModuleDict({"block": block}), noise(8, 1)
    on_norm, on_skip = add_dropblock(net, where="block", block_size=3, keep_prob=0.6, seed=1)
    torch.manual_seed(2)
    result = block(x)
    torch.manual_seed(2)
    skip = F.pad(x[:, :4], (0, 0, 0, 0, 0, 4)) if way == "padded" else x
    expected = F.dropout(on_norm(original.bn(original.conv(x))) + on_skip(skip), 0.5)
    assert torch.equal(result, expected)
    assert torch.equal(block.eval()(x), original.eval()(x))  # evaluation is not that of the traced training


def test_a_sum_of_equals_is_no_skip_connection() -> None:
    class Inception(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.bn = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

        def forward(self, x: Tensor) -> Tensor:
            return self.bn(self.a(x) + self.b(x))

    net = nn.Sequential(Inception())
    with pytest.raises(ValueError, match=r"^skip=True, but model has at 0 a Inception without a skip connection: pass"):
        add_dropblock(net, where="0")
    assert len(add_dropblock(net, where=Where("0", skip=False))) == 1
