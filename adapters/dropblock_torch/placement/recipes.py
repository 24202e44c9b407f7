# SPDX-License-Identifier: Apache-2.0
"""What has to be known of a family by its names: where its groups are, and which norms DropBlock does not follow."""

import re
from collections.abc import Iterator

from torch import nn

# How families name the stages that the paper numbers as groups 1 to 4: ResNet, RegNet of timm, RegNet of torchvision.
_RESNET = re.compile(r"layer[1-4]")
_REGNETS = [{number: f"{name}{number}" for number in range(1, 5)} for name in ("s", "block")]
# ResNetV2, CSPNet and Darknet hold them in one list, which may begin with a stage that the paper's ResNet has not.
_LISTED = "stages"

# Class of the module that holds a norm, and the norm's name in it; "*" stands for all of them.
_NOT_AFTER = {
    # On maps pooled to one unit, where a block is the whole map: the attention of SKNet and ResNeSt, ASPP's pooling.
    ("SelectiveKernelAttn", "*"),
    ("SplitAttn", "bn1"),
    ("SEModule", "*"),
    ("ASPPPooling", "*"),
    # Before the first convolution of a block, where the authors' pre-activation ResNet has none either.
    ("PreActBasic", "norm1"),
    ("PreActBottleneck", "norm1"),
    ("PreBottleneck", "norm1"),
}


def is_left_out(holder: nn.Module, name: str) -> bool:
    """Whether DropBlock does not follow the norm `name` of `holder`."""
    return any({(kind.__name__, name), (kind.__name__, "*")} & _NOT_AFTER for kind in type(holder).__mro__)


def trunks(model: nn.Module) -> Iterator[tuple[str, dict[int, str]]]:
    """The parts of a model that have the paper's groups: a part's path, and the path of each group by its number."""
    for path, module in model.named_modules():
        children = dict(module.named_children())
        listed = [f"{_LISTED}.{name}" for name, _ in children.get(_LISTED, nn.Module()).named_children()]
        numbered = {int(name[-1]): name for name in children if _RESNET.fullmatch(name)}
        groups = numbered or next((names for names in _REGNETS if set(names.values()) <= set(children)), {})
        if not groups and len(listed) > 1:
            groups = dict(zip((4, 3, 2, 1), reversed(listed), strict=False))
        if groups:
            yield path, {number: f"{path}.{name}" if path else name for number, name in groups.items()}
