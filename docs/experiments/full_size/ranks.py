"""The processes that torchrun starts: which one this is, and what they do together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous


@dataclass(frozen=True)
class Ranks:
    """This process's number, how many there are, and the device it computes on."""

    rank: int
    world: int
    device: torch.device

    def sum(self, tensor: Tensor) -> Tensor:
        """Of all processes; in place."""
        dist.all_reduce(tensor)
        return tensor

    def gather(self, items: list[Any]) -> list[Any]:
        """The items of all processes."""
        parts: list[Any] = [None] * self.world
        dist.all_gather_object(parts, items)
        return [item for part in parts for item in part]

    def share_buffers(self, module: nn.Module) -> None:
        """Those of process 0 everywhere, as DistributedDataParallel does before each step: the norms' statistics."""
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)


def find() -> Ranks:
    """This process by the environment that torchrun makes, before the processes know one another."""
    if not {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= os.environ.keys():
        raise click.UsageError("start this by torchrun, for one process too: torchrun --nproc-per-node 8 -m MODULE ...")
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if on_gpu else torch.device("cpu")
    return Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), device)


@contextmanager
def together(ranks: Ranks) -> Iterator[None]:
    """While the processes know one another. It begins when all have come here."""
    if ranks.device.type == "cuda":
        torch.cuda.set_device(ranks.device)
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")
    store, *_ = next(rendezvous("env://", ranks.rank, ranks.world))
    # After a restart torchrun may hand out the same store, which has the addresses of the processes that died.
    attempt = dist.PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    backend = "cpu:gloo,cuda:nccl" if ranks.device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=attempt, rank=ranks.rank, world_size=ranks.world)
    try:
        yield
    finally:
        dist.destroy_process_group()
