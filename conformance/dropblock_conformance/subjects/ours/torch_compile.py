# SPDX-License-Identifier: Apache-2.0
"""This project's PyTorch adapter inside ``torch.compile``, one graph a call; keep_prob and seed enter as tensors."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dropblock_conformance.subject import Subject
from dropblock_conformance.subjects.ours.torch_eager import subject
from dropblock_torch import drop_block


def compiled(x: Tensor, keep_prob: float, block_size: int, *, training: bool, seed: int) -> Tensor:
    """One compiled function, again for each new rank, dtype and block; sizes are dynamic."""
    operands = torch.tensor([keep_prob], dtype=torch.float64), torch.tensor(seed)
    # Each kind of call is compiled once and kept, where by default the ninth would be refused. The limit is set here,
    # since the settings are a thread's own and the suite calls from several.
    with torch._dynamo.config.patch(recompile_limit=1024, accumulated_recompile_limit=4096):
        y: Tensor = _program(x, *operands, block_size, training)
    return y


@torch.compile(fullgraph=True, dynamic=True)
def _program(x: Tensor, keep_prob: Tensor, seed: Tensor, block_size: int, training: bool) -> Any:
    return drop_block(x, keep_prob=keep_prob, block_size=block_size, training=training, seed=seed)


def candidate() -> Subject:
    return replace(subject("torch-compile", compiled), compiles=True)
