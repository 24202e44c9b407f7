"""drop_block for PyTorch: it checks its arguments here, and `eager` or `ops` draws and applies the mask."""

from typing import Any

import torch
from torch import Tensor

from dropblock_core import validate
from dropblock_torch import distributed, eager, keys, ops
from dropblock_torch.engines.plan import is_channels_last


def drop_block(
    x: Tensor,
    keep_prob: float | Tensor = 0.9,
    block_size: int | tuple[int, ...] = 7,
    *,
    training: bool = True,
    per_channel: bool = True,
    renorm: str = "tensor",
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    seed: int | Tensor | None = None,
    sample_offset: int = 0,
    stream: int = 0,
    generator: torch.Generator | None = None,
    process_group: Any = None,
    inplace: bool = False,
    **foreign: Any,
) -> Tensor:
    """DropBlock, Algorithm 1 of the paper with gamma from Eq. (1).

    Args:
        x: activations ``[samples, channels, *spatial]`` with 1, 2 or 3 spatial axes, of a real floating dtype, on any
            device, in any memory format.
        keep_prob: probability of keeping a unit, in [0, 1], up to the overlap of blocks (see `calibrated`). As a 0-d
            tensor it changes under ``torch.compile`` without a new compilation, and on the device of `x` inside a
            captured CUDA graph too; there it is clamped to [0, 1], and NaN drops nothing.
        block_size: side of the dropped block, or one per spatial axis; clipped to the map.
        training: False returns `x` itself (line 3) and draws nothing.
        per_channel: one mask per channel ("tends to work better", section 3), or one that a sample's channels share.
        renorm: what line 8 counts over: ``"tensor"`` (this call's whole mask, as the authors' code), ``"sample"`` or
            ``"map"``; or ``"expected"`` (divide by the exact expected keep fraction), ``"none"``.
        gamma_scale: factor on Eq. (1), at least 0.
        calibrated: solve for the gamma whose expected keep fraction is exactly `keep_prob`, instead of Eq. (1).
        seed: 64 bits that fix the mask, the same on every backend: an int, or a 0-d int64 tensor, which may live on
            the device. Without it they come from `generator`.
        sample_offset: number of this call's first sample in the whole batch, for shards of one batch.
        stream: 32 bits that tell apart layers which share a seed.
        generator: ``torch.Generator`` to draw 64 bits from; by default that of the device of `x`
            (``torch.manual_seed``), mixed with the process's rank where ``torch.distributed`` is initialised.
            Activation checkpointing restores default generators alone: with your own, recomputation draws anew.
        process_group: count line 8 over this group's processes, not over this one alone (``renorm="tensor"``).
        inplace: write the result into `x` and return it.

    Returns:
        A tensor of the dtype, shape, device and memory format of `x`: a dropped unit is +0, whatever it held, and a
        kept one is ``x * count(M) / count_ones(M)``. `x` itself where nothing can be dropped (keep_prob 1, inference,
        no samples or channels).

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it, its value, the rule and the remedy.
            Under ``torch.compile`` it is raised when the compiled program runs.

    >>> x = torch.ones(1, 2, 4, 4)
    >>> drop_block(x, keep_prob=0.7, block_size=2, seed=5)[0, 0]
    tensor([[1.3333, 0.0000, 0.0000, 1.3333],
            [1.3333, 0.0000, 0.0000, 1.3333],
            [1.3333, 1.3333, 0.0000, 0.0000],
            [1.3333, 1.3333, 0.0000, 0.0000]])
    """
    try:
        validate.no_foreign_keywords(foreign)
        feat = _activations(x)
        keep_prob = _probability(keep_prob, renorm, calibrated)
        block, renorm, gamma_scale = validate.options(block_size, len(feat), renorm, gamma_scale, calibrated=calibrated)
        keys.check(seed, generator, x.device)
        # Inside a compiler sample_offset may be symbolic; then `ops.mask` checks its value.
        if not (torch.compiler.is_compiling() and type(sample_offset) is int and -(2**63) <= sample_offset < 2**63):
            sample_offset = validate.counter_word("sample_offset", sample_offset, span=x.shape[0])
        stream = validate.counter_word("stream", stream)
        distributed.check(process_group, renorm)
    except (TypeError, ValueError) as error:
        if not torch.compiler.is_compiling():
            raise
        anything = x if isinstance(x, Tensor) else torch.empty(())
        return ops.refuse(anything, isinstance(error, TypeError), str(error))
    if not training or _drops_nothing(x, keep_prob):
        return x
    if torch.jit.is_tracing():  # type: ignore[attr-defined]  # public, but missing from its __all__
        raise TypeError("torch.jit.trace would freeze one mask into the program: use torch.compile or torch.export")
    key = keys.words_of(seed, generator, x.device)
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    layout = is_channels_last(x)
    settings = block, per_channel, renorm
    others = gamma_scale, calibrated, sample_offset, stream, layout, dtype
    is_eager = eager.takes(x)
    mask, operand = (eager.mask, keep_prob) if is_eager else (ops.mask, _operand(keep_prob))
    state, scale, dropped = mask(key, operand, x.shape, *settings, *others)
    if process_group is not None:
        count = x.numel() if per_channel else x.numel() // x.shape[1]
        scale = distributed.shared_factor(dropped, count, process_group, dtype)
    apply = eager.apply if is_eager else ops.apply if torch.compiler.is_compiling() else ops.Apply.apply
    y = apply(x, state, scale, *settings, layout)
    return x.copy_(y) if inplace else y


def _activations(x: Any) -> list[int]:
    """The spatial sizes of `x`; TypeError or ValueError unless it is a tensor of activations in this process."""
    if not isinstance(x, Tensor):
        raise TypeError(f"x is a {type(x).__name__}: pass a torch.Tensor, e.g. torch.as_tensor(x)")
    if hasattr(x, "device_mesh"):
        raise TypeError(
            "x is a DTensor: masks are drawn for one process's samples; pass x.to_local(), with sample_offset= the "
            "number of its first sample in the batch, and process_group= to count over all processes"
        )
    _, _, *feat = validate.activations(x.shape, x.dtype)
    if x.element_size() < 2:
        raise TypeError(f"x has dtype {x.dtype}, in which PyTorch does not multiply: convert it, as to torch.bfloat16")
    if x.layout is not torch.strided:
        raise TypeError(f"x has layout {x.layout}: activations are dense; pass x.to_dense()")
    return feat


def _probability(keep_prob: Any, renorm: Any, calibrated: bool) -> float | Tensor:
    """keep_prob as a number where the host may know it, and else as it is; raises unless it is a probability."""
    if isinstance(keep_prob, Tensor):
        if keep_prob.numel() != 1 or not keep_prob.dtype.is_floating_point:
            raise TypeError(
                f"keep_prob is a tensor of shape {tuple(keep_prob.shape)} and dtype {keep_prob.dtype}: "
                "keep_prob is one number, as a tensor of one element and of a floating dtype"
            )
        if keep_prob.device.type != "cpu":
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


def _operand(keep_prob: float | Tensor) -> Tensor:
    """keep_prob as a 0-d tensor, which a compiler takes as an operand: it would compile again for each new float."""
    if isinstance(keep_prob, Tensor):
        return keep_prob.detach().reshape(1)
    # The product keeps a symbolic float symbolic; torch.tensor would make the compiler ask for its value.
    return torch.ones((), dtype=torch.float64, device="cpu") * keep_prob


def _drops_nothing(x: Tensor, keep_prob: float | Tensor) -> bool:
    """Whether `x` itself is the answer, as far as the host may know (rule R1)."""
    if torch.compiler.is_compiling():
        return False
    return x.numel() == 0 or (not isinstance(keep_prob, Tensor) and keep_prob == 1.0)
