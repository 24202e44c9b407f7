# SPDX-License-Identifier: Apache-2.0
"""What DropBlock follows: norms by their type, and the activation behind one where the order of the two matters."""

import re

from torch import fx, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from dropblock_torch.placement.tracing import Traces, calls

# Norms over [samples, channels, height, width] that are no class of PyTorch's: FrozenBatchNorm2d, timm's LayerNorm2d,
# RmsNormAct2d and EvoNorm2dS0. A plain LayerNorm normalises the last axis, so its maps are not channels first.
_NAMES = re.compile(r"\w*Norm(Act)?[23]d\w*")

# f(s x) = s f(x) for s >= 0, so DropBlock, which multiplies by 0 or by one positive scale, commutes with f.
_COMMUTING = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Identity)
_SMOOTH_FUNCTIONS = {"silu", "gelu", "elu", "celu", "selu", "mish", "hardswish", "relu6", "sigmoid", "tanh", "softplus"}


def is_norm(module: nn.Module) -> bool:
    if isinstance(module, (nn.BatchNorm1d, nn.InstanceNorm1d)):
        return False
    return isinstance(module, (_NormBase, nn.GroupNorm)) or any(
        _NAMES.fullmatch(kind.__name__) for kind in type(module).__mro__
    )


def is_activation(module: nn.Module) -> bool:
    """Whether a module is an elementwise function: by where it is defined, and timm defines them apart as well."""
    home = type(module).__module__
    return (home == "torch.nn.modules.activation" and not isinstance(module, nn.MultiheadAttention)) or home.startswith(
        "timm.layers.activations"
    )


def is_convolution(module: nn.Module) -> bool:
    return isinstance(module, _ConvNd)


KINDS = {"norm": is_norm, "conv": is_convolution, "activation": is_activation}


def smooth_after(model: nn.Module, path: str, traces: Traces) -> tuple[str | None, str]:
    """The activation that takes the output of the module at `path`, if DropBlock does not commute with it.

    Returns its path, None where it is no module of its own for that one place, and what it is, "" where it commutes.
    """
    parent, _, name = path.rpartition(".")
    while parent and isinstance(model.get_submodule(parent), (nn.ModuleList, nn.ModuleDict)):  # these call nothing
        parent, _, last = parent.rpartition(".")
        name = f"{last}.{name}"
    holder = model.get_submodule(parent)
    graph = traces(holder)
    if isinstance(graph, Exception) or len(found := calls(graph, name)) != 1 or len(found[0].users) != 1:
        return None, ""
    [user] = found[0].users
    if user.op == "output":
        return smooth_after(model, parent, traces) if parent else (None, "")
    if user.op != "call_module":
        function = str(getattr(user.target, "__name__", user.target))
        return None, function if function in _SMOOTH_FUNCTIONS else ""
    return _smooth(holder, str(user.target), graph, f"{parent}." if parent else "")


def _smooth(holder: nn.Module, name: str, graph: fx.Graph, prefix: str) -> tuple[str | None, str]:
    activation = holder.get_submodule(name)
    if not is_activation(activation) or isinstance(activation, _COMMUTING):
        return None, ""
    return f"{prefix}{name}" if len(calls(graph, name)) == 1 else None, type(activation).__name__
