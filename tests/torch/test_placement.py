"""add_dropblock: the paper's layers, at the paper's places, and nothing else about the model changed."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropblock_core import gamma
from dropblock_torch import DropBlock2d, drop_block
from dropblock_torch.placement import add_dropblock
from tests.shared.comparing import RENORMS
from tests.shared.grid import grid

from .resnets import BASIC, BOTTLENECK, Block, any_block, blocks_of, calls, images, network, timm, torchvision
from .support import DTYPES

# --- where, and how much --------------------------------------------------------------------------------------------


def by_hand(net: nn.Module, x: Tensor, drop: Callable[[Tensor, int, int], Tensor]) -> Tensor:
    """The network as the authors wrote it: DropBlock after the ReLU, and on the skip connection."""
    number = 0
    for group, block in zip([3, 3, 4, 4], blocks_of(net), strict=True):
        skip = x if block.downsample is None else block.downsample(x)
        norms = [name for name, _ in block.named_children() if name.startswith("bn")]
        for name in norms:
            x = getattr(block, name)(getattr(block, name.replace("bn", "conv"))(x))
            x = drop(x if name == norms[-1] else F.relu(x), group, number)
            number += 1
        x = F.relu(x + drop(skip, group, number))
        number += 1
    return x


@any_block
def test_the_placed_network_is_the_authors_written_by_hand_bit_for_bit(block: Block) -> None:
    original, placed = network(block), network(block)
    add_dropblock(placed, block_size=3, keep_prob=0.8, seed=5, stream=7)

    def drop(x: Tensor, group: int, number: int) -> Tensor:
        scale = {3: 0.25, 4: 1.0}[group]
        return drop_block(x, 0.8, 3, gamma_scale=scale, seed=5, stream=7 + number)

    expected, result = by_hand(original, images(), drop), placed(images())
    assert torch.equal(result, expected)
    expected.square().sum().backward()
    result.square().sum().backward()
    for (name, theirs), ours in zip(original.named_parameters(), placed.parameters(), strict=True):
        assert torch.equal(theirs.grad, ours.grad), name


@pytest.mark.parametrize(
    ("create", "layers"),
    [
        (torchvision.models.resnet18, (2 + 2) * 3),
        (torchvision.models.resnet50, (6 + 3) * 4),
        (torchvision.models.resnext50_32x4d, (6 + 3) * 4),
        (torchvision.models.wide_resnet50_2, (6 + 3) * 4),
        (timm.models.resnet18, (2 + 2) * 3),
        (timm.models.resnet50, (6 + 3) * 4),
        (timm.models.resnet50d, (6 + 3) * 4),  # a projection of three modules
        (timm.models.seresnet50, (6 + 3) * 4),  # convolutions inside the attention, which the paper has not
        (timm.models.resnet50_gn, (6 + 3) * 4),  # another norm
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_every_convolution_and_every_skip_of_groups_3_and_4_has_a_layer(create: Any, layers: int) -> None:
    with torch.device("meta"):  # no weights: only the structure counts
        model = create()
    placed = add_dropblock(model)
    assert len(placed) == layers
    assert {module for module in model.modules() if isinstance(module, DropBlock2d)} == set(placed)


@any_block
def test_layers_come_in_the_order_of_the_forward_pass(block: Block) -> None:
    net = network(block)
    layers = add_dropblock(net, groups=(4, 3))
    assert [layer for layer, _ in calls(net, layers, images())] == layers


@pytest.mark.parametrize(
    ("block", "sizes"),
    [(BASIC[0], [12, 12, 12]), (BOTTLENECK[0], [24, 12, 12, 12]), (BOTTLENECK[1], [24, 12, 12, 12])],
)
def test_before_the_strided_convolution_maps_have_the_resolution_of_the_input(block: Block, sizes: list[int]) -> None:
    net = network(block)
    layers = add_dropblock(net, groups=[3])
    assert [size for _, size in calls(net, layers, images())][: len(sizes)] == [(size, size) for size in sizes]


def test_group_g_drops_a_4_to_the_4_minus_g_th_of_the_rate() -> None:
    with torch.device("meta"):
        layers = add_dropblock(torchvision.models.resnet18(), groups=(1, 2, 3, 4), keep_prob=0.9)
    scales = [layer.gamma_scale for layer in layers]
    assert scales == [1 / 64] * 6 + [1 / 16] * 6 + [1 / 4] * 6 + [1.0] * 6
    assert {layer.keep_prob for layer in layers} == {0.9}
    for group, scale in enumerate(scales[::6], start=1):
        authors = 1 - (1 - 0.9) / 4 ** (4 - group)
        # The authors round 1 - keep_prob once more, at 2^-53, of which 0.1 / 64 holds 7e-14 at most.
        assert gamma(0.9, 7, 14, gamma_scale=scale) == pytest.approx(gamma(authors, 7, 14), rel=1e-13)


def test_options_reach_every_layer_and_gamma_scale_multiplies_the_group_s() -> None:
    generator = torch.Generator()
    layers = add_dropblock(
        network(), block_size=(3, 5), gamma_scale=2, per_channel=False, renorm="sample", generator=generator
    )
    assert [layer.gamma_scale for layer in layers] == [0.5] * 8 + [2.0] * 8
    kept = {(layer.block_size, layer.per_channel, layer.renorm, layer.generator) for layer in layers}
    assert kept == {((3, 5), False, "sample", generator)}


def test_calibrated_serves_group_4() -> None:
    assert all(layer.calibrated for layer in add_dropblock(network(), groups=(4,), calibrated=True))


def test_without_skip_the_skip_connections_are_left_alone() -> None:
    net = network()
    layers = add_dropblock(net, skip=False)
    assert len(layers) == 4 * 3
    assert [block.downsample is None for block in blocks_of(net)] == [False, True, False, True]
    assert [layer for layer, _ in calls(net, layers, images())] == layers


def test_without_skip_a_block_needs_no_attribute_downsample() -> None:
    block = nn.Sequential(OrderedDict(conv1=nn.Conv2d(8, 8, 1), bn1=nn.BatchNorm2d(8)))
    net = nn.Sequential(OrderedDict(layer4=nn.Sequential(block)))
    assert len(add_dropblock(net, groups=[4], skip=False)) == 1


def test_layers_that_share_a_seed_have_a_stream_each_over_several_calls_too() -> None:
    net = network()
    layers = add_dropblock(net, groups=[4], block_size=3, seed=1, stream=10)
    layers += add_dropblock(net, groups=[3], block_size=5, seed=1, stream=10)
    assert [layer.stream for layer in layers] == list(range(10, 26))


@grid(dtype=DTYPES, renorm=RENORMS)
def test_dropblock_commutes_with_relu_bit_for_bit(renorm: str, dtype: torch.dtype) -> None:
    x = torch.randn(2, 8, 9, 9, generator=torch.Generator().manual_seed(0)).mul_(3).to(dtype)
    x[:, :2, ::2] = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, torch.nan, 6e4, -6e4, 1e-7, -1e-7], dtype=dtype)

    def drop(x: Tensor) -> Tensor:
        return drop_block(x, 0.7, 3, renorm=renorm, seed=3)

    torch.testing.assert_close(drop(F.relu(x)), F.relu(drop(x)), rtol=0, atol=0, equal_nan=True)


# --- what stays as it was -------------------------------------------------------------------------------------------


@any_block
def test_evaluation_is_that_of_the_original_bit_for_bit(block: Block) -> None:
    original, placed = network(block), network(block)
    add_dropblock(placed, block_size=3)
    assert torch.equal(placed.eval()(images()), original.eval()(images()))


@any_block
def test_training_drops_and_every_parameter_has_a_gradient(block: Block) -> None:
    original, placed = network(block), network(block)
    add_dropblock(placed, block_size=3)
    y = placed(images())
    assert not torch.equal(y, original(images()))
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in placed.parameters())


@any_block
def test_the_state_dict_keeps_its_keys_both_ways(block: Block) -> None:
    original, placed = network(block), network(block)
    add_dropblock(placed)
    assert list(placed.state_dict()) == list(original.state_dict())
    placed.load_state_dict(original.state_dict(), strict=True)
    original.load_state_dict(placed.state_dict(), strict=True)


def test_layers_of_a_model_in_evaluation_are_in_evaluation() -> None:
    original, placed = network().eval(), network().eval()
    layers = add_dropblock(placed, block_size=3)
    assert torch.equal(placed(images()), original(images()))
    placed.train()
    assert all(layer.training for layer in layers)


def test_overwriting_in_place_spares_what_the_first_convolution_has_saved() -> None:
    nets = [network(), network()]
    for net, inplace in zip(nets, [False, True], strict=True):
        layers = add_dropblock(net, block_size=3, seed=1, inplace=inplace)
        assert [layer.inplace for layer in layers] == [inplace and number not in (7, 15) for number in range(16)]
        net(images()).square().sum().backward()
    for plain, overwriting in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(plain.grad, overwriting.grad)
