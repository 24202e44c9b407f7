"""The networks of docs/networks.md: where they drop, what trains, and that a resumed run ends in the same bits."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from dropblock_core import LinearSchedule  # noqa: E402  # after the skip
from dropblock_torch import DropBlock2d, DropBlock3d, KeepProbScheduler  # noqa: E402
from tests.docs.example_support import EXAMPLES, imported  # noqa: E402

PAGE = (EXAMPLES.parent / "networks.md").read_text()
# What a network is given here: small, and with maps that are larger than its blocks.
INPUTS = {
    "resnet12": lambda: torch.rand(2, 3, 84, 84),
    "ppyolo_neck": lambda: [torch.rand(2, c, 2 * s, 2 * s) for c, s in ((4, 8), (8, 4), (16, 2))],
    "sa_unet": lambda: torch.rand(2, 3, 64, 64),
    "monai_unet": lambda: torch.rand(2, 1, 16, 16, 16),
}
SMALL: dict[str, Callable[[Any], Any]] = {
    "resnet12": lambda module: module.ResNet12((4, 4, 8, 8)),
    "ppyolo_neck": lambda module: module.Neck((4, 8, 16), channels=8),
    "sa_unet": lambda module: module.SAUNet(channels=2),
    "monai_unet": lambda module: module.unet(in_channels=1, out_channels=2, channels=(4, 8), strides=(2,)),
}


def module_named(name: str) -> Any:
    if name == "monai_unet":
        pytest.importorskip("monai")
    return imported(EXAMPLES / "networks" / f"{name}.py")


def made(name: str) -> Any:
    torch.manual_seed(0)
    return SMALL[name](module_named(name))


def drops(network: Any) -> list[Any]:
    return [module for module in network.modules() if isinstance(module, (DropBlock2d, DropBlock3d))]


def maps(network: Any, x: Any) -> list[tuple[Any, tuple[int, ...]]]:
    """Each DropBlock layer with the size of its map, in the order of the calls."""
    found: list[tuple[Any, tuple[int, ...]]] = []
    hooks = [
        layer.register_forward_pre_hook(lambda layer, inputs: found.append((layer, tuple(inputs[0].shape[2:]))))
        for layer in drops(network)
    ]
    network(x)
    for hook in hooks:
        hook.remove()
    return found


class Run:
    """A network in training, with all that a checkpoint has to hold."""

    def __init__(self, name: str) -> None:
        self.name, self.network = name, made(name)
        self.parts = {
            "network": self.network,
            "optimizer": torch.optim.SGD(self.network.parameters(), lr=0.01, momentum=0.9),
            "keep_prob": KeepProbScheduler(self.network, LinearSchedule(0.8, 4)),
        }

    def step(self, number: int) -> None:
        torch.manual_seed(number)  # for the input and the masks
        y = self.network(INPUTS[self.name]())
        loss = sum(part.square().mean() for part in (y if isinstance(y, list) else [y]))
        self.parts["optimizer"].zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in self.network.parameters())
        self.parts["optimizer"].step()
        self.parts["keep_prob"].step()


@pytest.mark.parametrize("name", SMALL)
def test_a_network_trains_on_a_schedule_and_resumes_in_the_same_bits(name: str, tmp_path: Path) -> None:
    whole = Run(name)
    for number in range(4):
        whole.step(number)
        if number == 1:
            torch.save({key: part.state_dict() for key, part in whole.parts.items()}, tmp_path / "last.pt")
    resumed = Run(name)
    for key, state in torch.load(tmp_path / "last.pt", weights_only=True).items():
        resumed.parts[key].load_state_dict(state)
    assert {layer.keep_prob for layer in drops(resumed.network)} == {0.9}
    for number in (2, 3):
        resumed.step(number)
    ours, theirs = resumed.network.state_dict(), whole.network.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert all(layer.dropped_fraction > 0 for layer in drops(resumed.network))

    network, x = resumed.network.eval(), INPUTS[name]()
    for one, other in zip(network(x), network(x), strict=True):
        assert torch.equal(one, other), "evaluation drops nothing"


def test_resnet12_drops_at_the_end_of_each_block() -> None:
    network = made("resnet12")
    found = maps(network, INPUTS["resnet12"]())
    assert [(layer.block_size, layer.keep_prob, feat) for layer, feat in found] == [
        (1, 0.9, (42, 42)),
        (1, 0.9, (21, 21)),
        (5, 0.9, (10, 10)),
        (5, 0.9, (5, 5)),
    ]
    assert network(INPUTS["resnet12"]()).shape == (2, 8 * 5 * 5)
    assert [type(module).__name__ for module in list(network)[-1:]] == ["Flatten"]


def test_ppyolo_drops_once_a_level_and_the_next_one_is_twice_as_large() -> None:
    network, x = made("ppyolo_neck"), INPUTS["ppyolo_neck"]()
    found = maps(network, x)
    assert [(layer.block_size, layer.keep_prob, feat) for layer, feat in found] == [
        (3, 0.9, (4, 4)),
        (3, 0.9, (8, 8)),
        (3, 0.9, (16, 16)),
    ]
    assert [list(y.shape) for y in network(x)] == [[2, 16, 4, 4], [2, 8, 8, 8], [2, 4, 16, 16]]
    # Behind four convolutions in the first level, behind two in the others.
    assert [[isinstance(m, DropBlock2d) for m in level.route].index(True) for level in network.levels] == [4, 2, 2]


def test_sa_unet_drops_between_each_convolution_and_its_norm() -> None:
    network, x = made("sa_unet"), INPUTS["sa_unet"]()
    found = maps(network, x)
    assert len(found) == 14  # two in each of the encoder's three levels, the middle and the decoder's three
    assert {(layer.block_size, layer.keep_prob) for layer, _ in found} == {(7, 0.82)}
    assert [feat[0] for _, feat in found] == [64, 64, 32, 32, 16, 16, 8, 8, 16, 16, 32, 32, 64, 64]
    blocks = [block for block in network.modules() if isinstance(block, torch.nn.Sequential) and len(block) == 4]
    order = ["Conv2d", "DropBlock2d", "BatchNorm2d", "ReLU"]
    assert [[type(m).__name__ for m in block] for block in blocks] == [order] * 14
    assert network(x).shape == (2, 1, 64, 64)


def test_monai_s_units_drop_between_norm_and_activation() -> None:
    module = module_named("monai_unet")
    options = {"in_channels": 1, "out_channels": 2, "channels": (4, 8), "strides": (2,), "num_res_units": 2}
    network = module.unet(**options)
    from monai.networks.blocks.acti_norm import ADN

    units = [unit for unit in network.modules() if isinstance(unit, ADN)]
    assert len(units) == len(drops(network)) > 0
    assert {(layer.block_size, layer.keep_prob) for layer in drops(network)} == {(5, 0.9)}
    assert {tuple(dict(unit.named_children())) for unit in units} == {("N", "D", "A")}
    assert network(INPUTS["monai_unet"]()).shape == (2, 2, 16, 16, 16)
    assert {type(layer).__name__ for layer in drops(module.unet(rank=2, **options))} == {"DropBlock2d"}


def test_the_page_shows_each_network_whole_and_says_its_numbers() -> None:
    names = sorted(path.stem for path in (EXAMPLES / "networks").glob("*.py"))
    assert sorted(re.findall(r"^:::\{literalinclude\} examples/networks/(\w+)\.py$", PAGE, re.MULTILINE)) == names
    assert set(names) == {*SMALL, "nnx_resnet"}  # that one has tests of its own
    rows = re.findall(r"^\| \[([\w-]+).*?\]\(.*?\) \| .*? \| ([\d, ]+) \| ([\d.]+) \|", PAGE, re.MULTILINE)
    said = {row: ([int(side) for side in sides.split(", ")], float(keep_prob)) for row, sides, keep_prob in rows}
    for row, name in (
        ("ResNet-12", "resnet12"),
        ("PP-YOLO", "ppyolo_neck"),
        ("SA-UNet", "sa_unet"),
        ("U-Net", "monai_unet"),
    ):
        layers, (sides, keep_prob) = drops(made(name)), said[row]
        assert [layer.block_size for layer in layers] == (sides if len(sides) > 1 else sides * len(layers))
        assert {layer.keep_prob for layer in layers} == {keep_prob}
