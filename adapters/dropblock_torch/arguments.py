# SPDX-License-Identifier: Apache-2.0
"""The arguments of drop_block that PyTorch's own types make special."""

from typing import Any

import torch
from torch import Tensor

from dropblock_core import validate


def activations(x: Any) -> list[int]:
    """The spatial sizes of `x`; TypeError or ValueError unless it is a tensor of activations in this process."""
    if not isinstance(x, Tensor):
        raise TypeError(f"x is a {type(x).__name__}: pass a torch.Tensor, e.g. torch.as_tensor(x)")
    if hasattr(x, "device_mesh"):
        raise TypeError(
            "x is a DTensor: masks are drawn for one process's samples; pass x.to_local(), with sample_offset= the "
            "number of its first sample in the batch, and process_group= to count over all processes"
        )
    if x.is_nested:  # it has no shape
        raise TypeError("x is a nested tensor: activations are one dense batch; pass x.to_padded_tensor(0.0)")
    if x.layout is not torch.strided:
        raise TypeError(f"x has layout {x.layout}: activations are dense; pass x.to_dense()")
    _, _, *feat = validate.activations(x.shape, x.dtype)
    return feat


def probability(keep_prob: Any, renorm: Any, calibrated: bool, device: torch.device) -> float | Tensor:
    """keep_prob as a number where the host may know it, and else as it is; raises unless it is a probability."""
    if isinstance(keep_prob, Tensor):
        if keep_prob.is_nested or keep_prob.layout is not torch.strided:
            raise TypeError("keep_prob is a nested or a sparse tensor: keep_prob is one number; pass a float")
        if keep_prob.numel() != 1 or not keep_prob.dtype.is_floating_point:
            raise TypeError(
                f"keep_prob is a tensor of shape {tuple(keep_prob.shape)} and dtype {keep_prob.dtype}: "
                "keep_prob is one number, as a tensor of one element and of a floating dtype"
            )
        if keep_prob.device.type != "cpu":
            if keep_prob.device != device:
                raise ValueError(
                    f"keep_prob is on {keep_prob.device} and x on {device}: as a tensor, keep_prob is on the CPU or "
                    "where x is; move it, as by keep_prob.to(x.device), or pass a float"
                )
            if calibrated or renorm == "expected":
                option = "calibrated=True" if calibrated else 'renorm="expected"'
                raise ValueError(
                    f"keep_prob is on {keep_prob.device} with {option}: that is solved on the host, and fetching "
                    "keep_prob would wait for the device; pass it as a float"
                )
            return keep_prob
    if torch.compiler.is_compiling() and isinstance(keep_prob, (float, Tensor)):  # these may have no value yet
        return keep_prob
    return validate.probability("keep_prob", keep_prob.item() if isinstance(keep_prob, Tensor) else keep_prob)


def no_frozen_mask() -> None:
    """TypeError inside ``torch.jit.trace``."""
    if torch.jit.is_tracing():  # type: ignore[attr-defined]  # public, but missing from its __all__
        raise TypeError("torch.jit.trace would freeze one mask into the program: use torch.compile or torch.export")
