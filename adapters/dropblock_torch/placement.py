# SPDX-License-Identifier: Apache-2.0
"""The paper's placement (section 4.1): DropBlock in the residual blocks of a ResNet that exists already."""

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from torch import Tensor, nn

from dropblock_core import validate
from dropblock_torch.modules import DropBlock2d
from dropblock_torch.replacement import class_name, is_foreign

# A block's own name for the layer behind its child `host`: drop_block_bn1, ..., drop_block_downsample.
_OWNED = "drop_block_"


def add_dropblock(
    model: nn.Module,
    groups: Iterable[int] = (3, 4),
    block_size: int | tuple[int, int] = 7,
    keep_prob: float = 0.9,
    skip: bool = True,
    **options: Any,
) -> list[DropBlock2d]:
    """Put DropBlock where the paper has it in a ResNet of torchvision or timm, in place.

    In each residual block of `groups`, one layer after every convolution's batch norm and one on the skip connection
    (section 4.1: "DropBlock after every convolution layer and skip connection"): on an identity skip too, on a
    projection after its batch norm. Group g drops ``(1 - keep_prob) / 4^(4 - g)``, in group 3 a quarter, by means of
    `gamma_scale`: one keep_prob, and so one :class:`KeepProbScheduler`, serves all layers.

    Inside a block the authors' DropBlock follows the ReLU; here it precedes the ReLU. The result is the same, since
    DropBlock multiplies by 0 or by a positive scale.

    The layers have no parameters, and no key of the state dict changes. A norm runs its layer in a forward hook. The
    hook is lost when something replaces the norm, so call ``SyncBatchNorm.convert_sync_batchnorm`` and the like before
    this. In the wrong order the next training step raises; it never trains without DropBlock.

    Args:
        model: a network with groups ``layer1`` to ``layer4`` (those asked for), whose blocks have convolutions
            ``conv*``, a norm ``bn*`` for each, and a ``downsample``, None for an identity skip: ResNet, ResNeXt, Wide
            ResNet, SE-ResNet and others, of basic or bottleneck blocks.
        groups: which of the groups 1 to 4 of residual blocks; the paper's best is (3, 4).
        block_size: side of the dropped block, or one per spatial axis, the same in every group.
        keep_prob: probability of keeping a unit in group 4.
        skip: whether skip connections get a layer too.
        options: as :class:`DropBlock2d` takes them. `gamma_scale` multiplies the group's. With `seed` every layer draws
            masks of its own: their streams count up from `stream`, past the layers that the model has already.
            ``inplace=True`` spares identity skips, whose input the block's first convolution needs unchanged.

    Returns:
        The new layers, for a scheduler to take, in the order in which a forward pass comes to them; in a block the
        skip's is the last. Each is in training mode if its block is.

    Raises:
        ValueError, TypeError: an argument breaks rule R14, or the model does not fit; the message names it and the
            remedy, and the model is as it was.

    >>> import torch
    >>> class Block(nn.Module):
    ...     def __init__(self, downsample=None):
    ...         super().__init__()
    ...         self.conv1, self.bn1 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
    ...         self.downsample = downsample
    ...
    ...     def forward(self, x):
    ...         identity = x if self.downsample is None else self.downsample(x)
    ...         return torch.relu(self.bn1(self.conv1(x)) + identity)
    >>> class Net(nn.Sequential):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer3, self.layer4 = nn.Sequential(Block()), nn.Sequential(Block())
    >>> net = Net()
    >>> [(layer.keep_prob, layer.gamma_scale) for layer in add_dropblock(net, block_size=3)]
    [(0.9, 0.25), (0.9, 0.25), (0.9, 1.0), (0.9, 1.0)]
    >>> net(torch.ones(2, 8, 7, 7)).shape
    torch.Size([2, 8, 7, 7])
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"{validate.shown('model', model)} is not a torch.nn.Module: pass the model")
    skip, inplace = validate.flag("skip", skip), validate.flag("inplace", options.pop("inplace", False))
    numbers = _group_numbers(groups)
    if options.get("calibrated") and numbers != [4]:
        raise ValueError(
            f"calibrated=True with groups={tuple(numbers)!r}: a group below 4 gets its share by gamma_scale, and a "
            "calibrated gamma leaves nothing to scale; pass groups=(4,), or calibrated=False"
        )
    sites = [
        (g, block, host) for g in numbers for name, block in _blocks(model, g) for host in _hosts(name, block, skip)
    ]
    scale = validate.gamma_scale(options.pop("gamma_scale", 1.0))
    placed = sum(isinstance(module, DropBlock2d) for module in model.modules())
    streams = count(validate.counter_word("stream", options.pop("stream", 0)) + placed)
    layers = []
    for group, block, host in sites:
        # The first convolution has the same input as an identity skip, and saves it for its backward pass.
        is_identity = getattr(block, host) is None
        layer = DropBlock2d(
            keep_prob,
            block_size,
            gamma_scale=scale * 4.0 ** (group - 4),
            stream=next(streams),
            inplace=inplace and not is_identity,
            **options,
        )
        layers.append(layer.train(block.training))
    for (_, block, host), layer in zip(sites, layers, strict=True):
        _place(block, host, layer)
    return layers


def _group_numbers(groups: Any) -> list[int]:
    """The groups in the network's order."""
    rule = "groups are the numbers of some of the groups 1 to 4 of residual blocks, each once, as in groups=(3, 4)"
    if isinstance(groups, str) or not isinstance(groups, Iterable):
        raise TypeError(f"groups={groups!r} is not a sequence of ints: {rule}")
    groups = list(groups)
    numbers = sorted({validate.integer("groups", group, rule) for group in groups})
    if not numbers or numbers[0] < 1 or numbers[-1] > 4 or len(numbers) < len(groups):
        raise ValueError(f"groups={tuple(groups)!r}: {rule}")
    return numbers


def _blocks(model: nn.Module, group: int) -> Iterator[tuple[str, nn.Module]]:
    """The residual blocks of a group, with their names."""
    stage = getattr(model, f"layer{group}", None)
    if not isinstance(stage, nn.Module) or not any(True for _ in stage.children()):
        raise ValueError(
            f"model is a {type(model).__name__} without blocks in a layer{group}: pass the part that has the groups of "
            "residual blocks (model.module of a wrapped network, model.backbone.body of a detector), or other groups"
        )
    for name, module in stage.named_modules(prefix=f"layer{group}"):
        if isinstance(module, DropBlock2d):
            raise ValueError(
                f"model has a DropBlock2d at {name}: call add_dropblock() once a group, before adding others"
            )
        if is_foreign(module):
            raise ValueError(
                f"model has a {class_name(type(module))} at {name}: create the model without it (timm's with "
                "drop_block_rate=0), or use replace_dropblock() instead, which leaves the layers where they are"
            )
    for name, block in stage.named_children():
        yield f"layer{group}.{name}", block


def _hosts(name: str, block: nn.Module, skip: bool) -> list[str]:
    """The names of a block's children that a layer comes behind."""
    children = dict(block.named_children())
    convolutions = sorted(child for child in children if child.startswith("conv"))
    norms = [child.replace("conv", "bn", 1) for child in convolutions]
    # Other modules go by these names too: split attention has more norms inside, and a fused norm leaves none.
    if (
        not norms
        or norms != sorted(child for child in children if child.startswith("bn"))
        or not all(isinstance(children[child], nn.Conv2d) for child in convolutions)
        or any(isinstance(children[child], nn.Identity) for child in norms)
    ):
        raise ValueError(
            f"model has at {name} a {type(block).__name__} with the children {', '.join(children) or 'none'}: a block "
            "needs a norm bn* for each Conv2d conv*, and no others; write DropBlock2d into this one's forward instead"
        )
    if skip and not hasattr(block, "downsample"):
        raise ValueError(
            f"skip=True, but model has at {name} a {type(block).__name__} without the attribute downsample, which is "
            "the skip connection; pass skip=False, or write DropBlock2d into its forward instead"
        )
    return norms + ["downsample"] * bool(skip)


def _place(block: Any, host: str, layer: DropBlock2d) -> None:
    """Have `layer` run behind a child of `block`."""
    module = getattr(block, host)
    if module is None:  # an identity skip: the block calls `downsample` if there is one
        setattr(block, host, layer)
        return
    # The block owns the layer and the norm only refers to it, so the layer still drops if only the norm is in eval().
    block.add_module(_OWNED + host, layer)
    object.__setattr__(module, "drop_block", layer)
    module.register_forward_hook(_drop)
    if _require_hosts not in block._forward_pre_hooks.values():
        block.register_forward_pre_hook(_require_hosts)


# The hooks are functions of a module, not closures, so that a copied or unpickled model uses layers of its own.


def _drop(module: Any, inputs: Any, output: Tensor) -> Tensor:
    """Forward hook of a host."""
    dropped: Tensor = module.drop_block(output)
    return dropped


def _require_hosts(block: nn.Module, inputs: Any) -> None:
    """Forward pre-hook of a block: raise where a host has lost its hook, as it does when a norm is rebuilt."""
    for name in block._modules if block.training else ():
        host = name.removeprefix(_OWNED)
        if host != name and _drop not in getattr(block, host)._forward_hooks.values():
            raise RuntimeError(
                f"{host} of a {type(block).__name__} was replaced, or its hooks were cleared, after add_dropblock(): "
                "its DropBlock2d would not run; convert norms (to SyncBatchNorm, say) first, then call add_dropblock()"
            )
