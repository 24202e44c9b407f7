"""What add_dropblock refuses, in words, leaving the model as it was."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from dropblock_torch import DropBlock2d, Where
from dropblock_torch.placement import add_dropblock

from .resnets import network, timm


def state(net: nn.Module) -> list[Any]:
    """All that placing could change: modules, attributes and hooks."""
    return [
        (name, module, dict(vars(module)), list(module._forward_hooks), list(module._forward_pre_hooks))
        for name, module in net.named_modules()
    ]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"groups": "34"}, TypeError, r"^groups='34' is not a sequence of ints: .* as in groups=\(3, 4\)$"),
        ({"groups": 3}, TypeError, r"^groups=3 is not a sequence"),
        ({"groups": ()}, ValueError, r"^groups=\(\): groups are the numbers"),
        ({"groups": (0, 4)}, ValueError, r"^groups=\(0, 4\): groups are"),
        ({"groups": (4, 5)}, ValueError, r"^groups=\(4, 5\): groups are"),
        ({"groups": (4, 4)}, ValueError, r"^groups=\(4, 4\): .* each once"),
        ({"groups": (3.0,)}, TypeError, r"^groups=3\.0 is not an integer"),
        (
            {"groups": (2, 3)},
            ValueError,
            r"^model is a Sequential without blocks in a layer2: .* where=; it has layer3, layer4$",
        ),
        ({"where": 3}, TypeError, r"^where=3 is none: where is a name such as 'cell_\*', a Where, or a sequence"),
        ({"where": []}, TypeError, r"^where=\[\]: where is a name"),
        ({"where": ["layer3", 4]}, TypeError, r"^where=\['layer3', 4\]: where is a name"),
        (
            {"where": "layer3.7"},
            ValueError,
            r"^where names 'layer3\.7', .* no such module; it has layer3\.0, layer3\.1$",
        ),
        ({"where": "stage*"}, ValueError, r"^where names 'stage\*', and model, a Sequential, .* has layer3, layer4$"),
        ({"where": ["layer3", "layer3.*"]}, ValueError, r"^where means layer3 and layer3\.0: .* do not overlap$"),
        ({"where": "layer3.0.conv1"}, ValueError, r"^model has at layer3\.0\.conv1 a Conv2d without a norm .*'conv'$"),
        ({"where": "layer3.0.bn1"}, ValueError, r"^skip=True, but model has at layer3\.0\.bn1 a BatchNorm2d without"),
        ({"keep_prob": 1.5}, ValueError, r"^keep_prob=1\.5 is outside"),
        ({"block_size": 0}, ValueError, r"^block_size=0 is below 1"),
        ({"gamma_scale": -1}, ValueError, r"^gamma_scale=-1 is not"),
        ({"gamma_scale": 2, "calibrated": True, "groups": [4]}, ValueError, r"^gamma_scale=2\.0 with calibrated=True"),
        ({"calibrated": True}, ValueError, r"^calibrated=True with groups=\(3, 4\): .* groups=\(4,\)"),
        ({"seed": -1}, ValueError, r"^seed=-1 is outside"),
        ({"stream": "a"}, TypeError, r"^stream='a' is not an integer"),
        ({"stream": 2**32 - 2}, ValueError, r"^stream=4294967296 does not fit in 32 bits"),
        ({"drop_prob": 0.1}, TypeError, r"pass keep_prob=0\.9 for drop_prob=0\.1$"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_bad_arguments_are_refused_and_the_model_stays(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    net = network()
    before = state(net)
    with pytest.raises(error, match=message):
        add_dropblock(net, **arguments)
    assert state(net) == before


REFUSED: list[tuple[str, Callable[[Any], Any], str]] = [
    (
        "ours already",
        lambda b: add_dropblock(nn.ModuleDict({"layer4": nn.Sequential(b)}), [4]),
        r"DropBlock2d at layer",
    ),
    ("ours of one's own", lambda b: b.add_module("drop", DropBlock2d()), r"a DropBlock2d at layer4\.1\.drop: .*once"),
    (
        "timm's own",
        lambda b: b.add_module("drop_block", timm.layers.DropBlock2d()),
        r"a timm\.layers\.drop\.DropBlock2d at layer4\.1\.drop_block: .*drop_block_rate=0\), or use replace_dropblock",
    ),
    ("no downsample", lambda b: delattr(b, "downsample"), r"^skip=True, but model has at layer4\.1 .* pass skip=False"),
]


@pytest.mark.parametrize(("spoil", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_models_that_do_not_fit_are_refused_and_stay(spoil: Callable[[Any], None], message: str) -> None:
    net = network()
    spoil(net.get_submodule("layer4.1"))
    before = state(net)
    with pytest.raises(ValueError, match=message):
        add_dropblock(net)
    assert state(net) == before


def test_a_group_without_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"without blocks in a layer4"):
        add_dropblock(nn.ModuleDict({"layer4": nn.Sequential()}), groups=[4])
    with pytest.raises(
        ValueError, match=r"^model has at layer4 a Sequential without a norm for DropBlock to follow: .*activation"
    ):
        add_dropblock(nn.ModuleDict({"layer4": nn.Sequential(nn.ReLU())}), groups=[4])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"names": ""}, ValueError, r"^names='': name modules"),
        ({"names": ()}, ValueError, r"^names=\(\): name modules"),
        ({"names": 5}, ValueError, r"^names=5: .* from 1 to 4"),
        ({"names": True}, ValueError, r"^names=True: "),
        ({"names": "a", "last": 0}, ValueError, r"^last=0: last is a fraction in \(0, 1\]"),
        ({"names": "a", "last": 1.5}, ValueError, r"^last=1\.5: "),
        ({"names": "a", "last": "half"}, TypeError, r"^last='half' is not a real number: last is a fraction"),
        (
            {"names": "a", "after": "relu"},
            ValueError,
            r"^after='relu' is unknown: choose one of norm, conv, activation",
        ),
        ({"names": "a", "skip": 1}, TypeError, r"^skip=1 is not a bool"),
        ({"names": "a", "share": -1}, ValueError, r"^gamma_scale=-1 is not finite"),
    ],
    ids=str,
)
def test_where_refuses_what_it_does_not_know(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Where(**arguments)


class Secret(nn.Module):
    """A block that no tracer can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)

    def forward(self, x: Any) -> Any:
        return self.bn1(self.conv1(x)) + x if x.sum() > 0 else x


def test_a_block_that_cannot_be_traced_is_refused_or_has_no_skip() -> None:
    net = nn.Sequential(OrderedDict(layer4=nn.Sequential(Secret())))
    before = state(net)
    with pytest.raises(
        ValueError, match=r"^skip=True, but model has at layer4\.0 a Secret whose .* cannot be found, .*TraceError"
    ):
        add_dropblock(net, groups=[4])
    assert state(net) == before
    assert len(add_dropblock(net, groups=[4], skip=False)) == 1
