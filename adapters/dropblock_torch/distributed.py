# SPDX-License-Identifier: Apache-2.0
"""Several processes: this one's number, and line 8's count over all of them."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from dropblock_core import validate
from dropblock_torch.engines.plan import factor


def rank() -> int:
    """This process's number in the default group; 0 where there is none."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def shared_factor(dropped: Tensor, count: int, group: Any, dtype: torch.dtype) -> Tensor:
    """Line 8's factor over the masks of a whole process group, whose shards may differ in size."""
    from torch.distributed._functional_collectives import all_reduce

    both = all_reduce(torch.cat([dropped, torch.full_like(dropped, count)]), "sum", group)
    return factor(both[:1], both[1:], dtype)


def count_kept(x: Tensor, count: int, group: Any) -> None:
    """Have `count` units of `x`, all kept, counted by the group, whose other processes wait for this one."""
    none = torch.zeros(1, dtype=torch.int64, device=x.device)
    shared_factor(none, count, group, torch.float32)


def check(group: Any, renorm: str) -> None:
    """Raise where there is a group to count over, but line 8 does not count over the tensor, or no group can be."""
    if group is None:
        return
    if renorm != "tensor":
        raise ValueError(
            f"{validate.shown('process_group', group)} with renorm={renorm!r}: a group shares the count of the "
            'whole tensor; use renorm="tensor", or leave process_group out'
        )
    if not (dist.is_available() and dist.is_initialized()):
        raise ValueError(
            f"{validate.shown('process_group', group)}, but no process group is there to count over: call "
            "torch.distributed.init_process_group() first, or leave process_group out"
        )
