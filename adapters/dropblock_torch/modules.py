# SPDX-License-Identifier: Apache-2.0
"""DropBlock as modules, in the manner of ``torch.nn.Dropout2d``."""

from typing import Any

import torch
from torch import Tensor, nn

from dropblock_core import validate
from dropblock_core.positional import LooksAtPosition
from dropblock_torch import arguments, eager
from dropblock_torch.functional import way
from dropblock_torch.observed import Observed


@torch.fx.wrap
def _drop_block_of(
    x: Tensor,
    rank: int,
    keep_prob: Tensor,
    block_size: int | tuple[int, ...],
    *,
    training: bool,
    per_channel: bool,
    renorm: str,
    gamma_scale: float,
    calibrated: bool,
    seed: int | None,
    stream: int,
    generator: torch.Generator | None,
    process_group: Any,
    inplace: bool,
    observed: Observed | None,
) -> Tensor:
    """:func:`dropblock_torch.drop_block` over `rank` spatial axes, of a batch or of one sample without its axis.

    ``torch.fx`` records this function as one call, since it cannot trace decisions that depend on a tensor's shape.
    Each option has its name here, since to hand on a dict of them takes nearly as long as the draw of a seed.
    """
    if not isinstance(x, Tensor) or x.is_nested:
        arguments.activations(x)  # which refuses it
    if x.ndim not in (rank + 1, rank + 2):
        raise ValueError(
            f"x has shape {tuple(x.shape)}: DropBlock{rank}d takes [samples, channels, *spatial] or "
            f"[channels, *spatial] with {rank} spatial axes"
        )
    batch = x if x.ndim == rank + 2 else x.unsqueeze(0)
    by = way(batch)
    # At once the host may know the number, which was checked when it was set; in a program of torch.fx that moved to a
    # device it is there, and the host must not wait.
    number = keep_prob.item() if by is eager and keep_prob.device.type == "cpu" else keep_prob
    y = by.drop_block(
        batch, number, block_size, training, per_channel, renorm, gamma_scale, calibrated, seed, 0, stream, generator,
        process_group, inplace, {}, observed,
    )  # fmt: skip
    if batch is x:
        return y
    # If nothing was dropped, or it was dropped in place, the result is `x` itself.
    return x if y is batch else y.squeeze(0)


class _DropBlock(LooksAtPosition, nn.Module):
    """DropBlock (Ghiasi, Lin, Le 2018) over {rank} spatial axes; the identity in evaluation.

    Args:
        keep_prob: probability of keeping a unit, in [0, 1]. A plain attribute: set it at any time, by hand or by a
            :class:`KeepProbScheduler`; under ``torch.compile`` too, nothing is compiled again.
        block_size: side of the dropped block, or one per spatial axis; clipped to the map.
        per_channel, renorm, gamma_scale, calibrated, seed, stream, generator, process_group, inplace: as in
            :func:`drop_block`. With `seed` every call draws the same mask; to reproduce a run, seed PyTorch instead.

    Shape:
        ``[samples, channels, *spatial]`` or, without the batch, ``[channels, *spatial]``; the output is the same.

    Raises:
        ValueError, TypeError: an argument breaks rule R14, now, at a call or as keep_prob is set; the message names it.
    """

    rank: int
    _keep_prob: Tensor
    _keep_prob_on_gpu: Tensor | None = None

    def __init__(
        self,
        keep_prob: float = 0.9,
        block_size: int | tuple[int, ...] = 7,
        *,
        per_channel: bool = True,
        renorm: str = "tensor",
        gamma_scale: float = 1.0,
        calibrated: bool = False,
        seed: int | None = None,
        stream: int = 0,
        generator: torch.Generator | None = None,
        process_group: Any = None,
        inplace: bool = False,
        **foreign: Any,
    ) -> None:
        super().__init__()
        validate.no_foreign_keywords(foreign, type(self).__name__)
        self.keep_prob = keep_prob
        _, self.renorm, self.gamma_scale = validate.options(
            block_size, self.rank, renorm, gamma_scale, calibrated=calibrated
        )
        self.block_size = validate.block_size(block_size, self.rank)
        self.per_channel = validate.flag("per_channel", per_channel)
        self.calibrated = validate.flag("calibrated", calibrated)
        self.seed = None if seed is None else validate.seed_word(seed)
        self.stream = validate.counter_word("stream", stream)
        self.generator = generator
        self.process_group = process_group
        self._observed = Observed()
        self.inplace = validate.flag("inplace", inplace)

    @property
    def keep_prob(self) -> float:
        return self._keep_prob.item()

    @keep_prob.setter
    def keep_prob(self, value: float) -> None:
        # A tensor, since a compiler takes its value as an operand. It is no buffer: a schedule sets it, so it is not
        # saved in checkpoints or copied to replicas, and it stays on the host wherever the module moves.
        number = validate.probability("keep_prob", value)
        if "_keep_prob" in self.__dict__:
            for tensor in (self._keep_prob, self._keep_prob_on_gpu):
                if tensor is not None:
                    tensor.fill_(number)  # the same tensor, which a traced graph may hold
            return
        with torch.inference_mode(False):  # a tensor made in inference mode could never change
            # One element and not 0-d: a compiler would first take a 0-d tensor for a number, and then start again.
            self._keep_prob = torch.tensor([number], dtype=torch.float64, device="cpu")
        self._go_to(torch.get_default_device())

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """What PyTorch moves a module by."""
        there = self._keep_prob_on_gpu
        # Where it already is: half() and the like move nothing.
        probe = torch.empty(0, device="cpu") if there is None else there.new_empty(0, dtype=torch.float32)
        self._go_to(fn(probe).device)
        return super()._apply(fn, recurse)

    def _go_to(self, device: torch.device) -> None:
        """Have keep_prob on a GPU as well, for compiled programs: there a tensor of the host's splits CUDA graphs."""
        if self._keep_prob_on_gpu is not None and self._keep_prob_on_gpu.device == device:
            return  # the same tensor, which a traced graph may hold
        self._keep_prob_on_gpu = None
        if device.type == "cuda":
            with torch.inference_mode(False):
                self._keep_prob_on_gpu = torch.full((1,), self.keep_prob, dtype=torch.float64, device=device)

    def _operand(self, x: Any) -> Tensor:
        """keep_prob where the way that `x` takes has it from. What is solved from it is solved on the host."""
        there = self._keep_prob_on_gpu
        if there is None or not torch.compiler.is_compiling() or there.device != x.device:
            return self._keep_prob
        return self._keep_prob if self.calibrated or self.renorm == "expected" else there

    @property
    def dropped_fraction(self) -> Tensor | None:
        """The share of the units that the last call in training dropped, 0-d, on the device of its input.

        Nothing waits for the device until you read it. None before the first call, and after one in a compiled program,
        in a transform of ``torch.func`` or in a mode such as that of selective checkpointing, where nobody counts. With
        a `process_group` it is the share of this process.
        """
        return self._observed.dropped_fraction

    @property
    def expected_dropped_fraction(self) -> float | None:
        """What the exact law expects of :attr:`dropped_fraction`; a call's own share differs from it by chance."""
        return self._observed.expected_dropped_fraction

    def forward(self, x: Tensor) -> Tensor:
        """`x` with blocks dropped, in training; `x` itself in evaluation."""
        is_traced = isinstance(x, torch.fx.Proxy)  # into a graph, which runs without this module
        if is_traced and self.training:
            self._observed.in_program = True
        return _drop_block_of(
            x,
            self.rank,
            self._operand(x),
            self.block_size,
            training=self.training,
            per_channel=self.per_channel,
            renorm=self.renorm,
            gamma_scale=self.gamma_scale,
            calibrated=self.calibrated,
            seed=self.seed,
            stream=self.stream,
            generator=self.generator,
            process_group=self.process_group,
            inplace=self.inplace,
            observed=None if is_traced else self._observed,
        )

    def extra_repr(self) -> str:
        defaults = {
            "per_channel": True, "renorm": "tensor", "gamma_scale": 1.0, "calibrated": False, "seed": None,
            "stream": 0, "generator": None, "process_group": None, "inplace": False,
        }  # fmt: skip
        changed = [
            f"{name}={getattr(self, name)!r}" for name, value in defaults.items() if getattr(self, name) != value
        ]
        return ", ".join([f"keep_prob={self.keep_prob:g}", f"block_size={self.block_size}", *changed])

    def __prepare_scriptable__(self) -> Any:
        """What ``torch.jit.script`` asks a module for."""
        raise TypeError(
            f"torch.jit does not support {type(self).__name__}: use torch.compile, or torch.export in evaluation"
        )


class DropBlock1d(_DropBlock):
    __doc__ = (_DropBlock.__doc__ or "").format(rank=1)
    rank = 1


class DropBlock2d(_DropBlock):
    __doc__ = (_DropBlock.__doc__ or "").format(rank=2)
    rank = 2


class DropBlock3d(_DropBlock):
    __doc__ = (_DropBlock.__doc__ or "").format(rank=3)
    rank = 3
