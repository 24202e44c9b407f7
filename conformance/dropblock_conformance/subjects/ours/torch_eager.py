# SPDX-License-Identifier: Apache-2.0
"""This project's PyTorch adapter, as it runs without a compiler; and what its other ways of running share."""

from collections.abc import Callable, Iterator

from torch import Tensor

from dropblock_conformance.subject import DTYPES, Claims, Subject
from dropblock_conformance.subjects.bridges import torch as bridge
from dropblock_core import LinearSchedule
from dropblock_torch import DropBlock2d, KeepProbScheduler, drop_block

CLAIMS = Claims(spatial=(1, 2, 3), dtypes=DTYPES)


def schedule(keep_prob: float, steps: int) -> Iterator[float]:
    layer = DropBlock2d()
    scheduler = KeepProbScheduler([layer], LinearSchedule(keep_prob, steps))
    yield layer.keep_prob
    for _ in range(steps):
        scheduler.step()
        yield layer.keep_prob


def subject(name: str, layer: Callable[..., Tensor], claims: Claims = CLAIMS, device: str = "cpu") -> Subject:
    """`layer` has the signature of :func:`dropblock_torch.drop_block`."""
    return bridge.subject(name, layer, claims, schedule, device)


def candidate() -> Subject:
    return subject("torch", drop_block)
