"""Several processes (rules R8, R13): masks of their own, shards of one batch, and a count they share."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.flop_counter import FlopCounterMode

from dropblock_core import LinearSchedule
from dropblock_torch import DropBlock2d, KeepProbScheduler, drop_block

Ranks = Callable[..., list[Any]]

WORLD, BATCH = 2, 3
X = torch.randn(WORLD * BATCH, 4, 9, 9, generator=torch.Generator().manual_seed(0))


def shard(rank: int) -> Tensor:
    return X[rank * BATCH : (rank + 1) * BATCH]


def unseeded(rank: int) -> Tensor:
    return drop_block(torch.ones(BATCH, 4, 9, 9), 0.7, 3)


def own_generator(rank: int) -> Tensor:
    return drop_block(torch.ones(BATCH, 4, 9, 9), 0.7, 3, generator=torch.Generator().manual_seed(5))


def sharded(rank: int) -> Tensor:
    return drop_block(shard(rank), 0.7, 3, seed=7, sample_offset=rank * BATCH, renorm="none")


def counted_together(rank: int) -> tuple[Tensor, Tensor]:
    x = shard(rank).clone().requires_grad_()
    y = drop_block(x, 0.7, 3, seed=7, sample_offset=rank * BATCH, process_group=dist.group.WORLD)
    (dx,) = torch.autograd.grad(y.sum(), x)
    return y.detach(), dx


def counted_alone(rank: int) -> Tensor:
    return drop_block(shard(rank), 0.7, 3, seed=7, sample_offset=rank * BATCH)


def uneven(rank: int) -> Tensor:
    start, end = [(0, 1), (1, len(X))][rank]
    return drop_block(X[start:end], 0.7, 3, seed=7, sample_offset=start, process_group=dist.group.WORLD)


def shard_is_empty(rank: int) -> Tensor:
    start, end = [(0, 0), (0, len(X))][rank]
    return drop_block(X[start:end], 0.7, 3, seed=7, process_group=dist.group.WORLD)


def shard_is_empty_under_a_mode(rank: int) -> Tensor:
    with FlopCounterMode(display=False):  # which has to see the operators
        return shard_is_empty(rank)


def shard_is_empty_when_compiled(rank: int) -> Tensor:
    return torch.compile(shard_is_empty, backend="aot_eager", fullgraph=True)(rank)


def all_kept(rank: int) -> Tensor:
    keep_prob, offset = [1.0, 0.7][rank], rank * BATCH
    return drop_block(shard(rank), keep_prob, 3, seed=7, sample_offset=offset, process_group=dist.group.WORLD)


def all_kept_when_compiled(rank: int) -> Tensor:
    return torch.compile(all_kept, backend="aot_eager", fullgraph=True)(rank)


def evaluated_alone(rank: int) -> Tensor:
    if rank:  # the others are elsewhere, as where one process evaluates
        return shard(rank)
    return drop_block(shard(rank), 0.7, 3, training=False, process_group=dist.group.WORLD)


def compiled_together(rank: int) -> Tensor:
    def program(x: Tensor) -> Tensor:
        return drop_block(x, 0.7, 3, seed=7, sample_offset=rank * BATCH, process_group=dist.group.WORLD)

    return torch.compile(program, backend="aot_eager", fullgraph=True)(shard(rank))


def trained(rank: int) -> tuple[float, list[Tensor], list[str]]:
    net = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), DropBlock2d(block_size=3), nn.ReLU())
    model = DistributedDataParallel(net)
    scheduler = KeepProbScheduler(model, LinearSchedule(0.6, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    outputs = []
    for _ in range(3):
        y = model(shard(rank))
        optimizer.zero_grad()
        y.square().mean().backward()
        optimizer.step()
        scheduler.step()
        outputs.append(y.detach() == 0)
    return net[1].keep_prob, [p.detach() for p in net.parameters()], list(model.state_dict())


def sharded_parameters(rank: int) -> tuple[Tensor, Tensor]:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    net = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), DropBlock2d(0.7, 3, seed=1))
    reference = net(shard(rank)).detach()
    fully_shard(net, mesh=init_device_mesh("cpu", (WORLD,)))
    y = net(shard(rank))
    y.square().mean().backward()
    return reference, y.detach()


def dtensor(rank: int) -> str:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    batch = distribute_tensor(X, init_device_mesh("cpu", (WORLD,)), [Shard(0)])
    with pytest.raises(TypeError) as error:
        drop_block(batch, 0.7, 3)
    return str(error.value)


TASKS = (unseeded, own_generator, sharded, counted_together, counted_alone, uneven, shard_is_empty,
         shard_is_empty_under_a_mode, shard_is_empty_when_compiled, all_kept, all_kept_when_compiled, evaluated_alone,
         compiled_together, trained, sharded_parameters, dtensor)  # fmt: skip


def _process(rank: int, folder: str) -> None:
    meet = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=WORLD, timeout=timedelta(seconds=60))
    for task in TASKS:
        torch.manual_seed(0)  # as a training script does, alike on every rank
        torch.save(task(rank), f"{folder}/{task.__name__}-{rank}")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks() -> Iterator[Ranks]:
    """What a task returned in each of WORLD processes, which did all of them: they take seconds to start."""
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_process, (folder,), nprocs=WORLD)
        yield lambda task: [torch.load(Path(folder) / f"{task.__name__}-{rank}") for rank in range(WORLD)]


def test_r13_ranks_that_are_seeded_alike_draw_masks_of_their_own(ranks: Ranks) -> None:
    first, second = ranks(unseeded)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(unseeded(0), first)  # rank 0 draws what a single process does


def test_r13_a_generator_of_the_users_own_is_taken_at_its_word(ranks: Ranks) -> None:
    first, second = ranks(own_generator)
    assert torch.equal(first, second)


def test_r13_sample_offset_gives_the_masks_of_the_single_process(ranks: Ranks) -> None:
    assert torch.equal(torch.cat(ranks(sharded)), drop_block(X, 0.7, 3, seed=7, renorm="none"))


def test_r08_a_process_group_counts_line_8_over_all_ranks(ranks: Ranks) -> None:
    x = X.clone().requires_grad_()
    y = drop_block(x, 0.7, 3, seed=7)
    (dx,) = torch.autograd.grad(y.sum(), x)
    outputs, gradients = zip(*ranks(counted_together), strict=True)
    assert torch.equal(torch.cat(outputs), y)
    assert torch.equal(torch.cat(gradients), dx)
    assert torch.equal(torch.cat(ranks(uneven)), y)


@pytest.mark.parametrize(
    "task", [shard_is_empty, shard_is_empty_under_a_mode, shard_is_empty_when_compiled], ids=lambda task: task.__name__
)
def test_r08_a_rank_without_samples_lets_nobody_wait(ranks: Ranks, task: Callable[[int], Tensor]) -> None:
    nothing, y = ranks(task)
    assert nothing.shape == (0, *X.shape[1:])
    assert torch.equal(y, drop_block(X, 0.7, 3, seed=7))


def test_r08_a_rank_that_keeps_all_is_counted_and_gets_its_activations_back(ranks: Ranks) -> None:
    kept, y = ranks(all_kept)
    assert torch.equal(kept, shard(0))
    factor = X.numel() / ((y != 0).sum() + kept.numel())
    assert torch.equal(y[y != 0], (shard(1) * factor)[y != 0])
    scaled, compiled = ranks(all_kept_when_compiled)
    assert torch.equal(compiled, y)
    assert torch.equal(scaled, shard(0) * factor)


def test_a_rank_in_evaluation_waits_for_nobody(ranks: Ranks) -> None:
    assert torch.equal(torch.cat(ranks(evaluated_alone)), X)


def test_r08_without_a_group_every_rank_counts_alone(ranks: Ranks) -> None:
    alone = torch.cat(ranks(counted_alone))
    assert not torch.equal(alone, drop_block(X, 0.7, 3, seed=7))
    assert torch.equal(alone[:BATCH], drop_block(X[:BATCH], 0.7, 3, seed=7))


def test_a_group_counts_inside_a_compiled_program(ranks: Ranks) -> None:
    assert torch.equal(torch.cat(ranks(compiled_together)), drop_block(X, 0.7, 3, seed=7))


def test_distributed_data_parallel_trains_with_a_schedule(ranks: Ranks) -> None:
    (keep_prob, parameters, names), (other_keep_prob, others, _) = ranks(trained)
    assert keep_prob == other_keep_prob == 0.6
    assert all(torch.equal(p, q) for p, q in zip(parameters, others, strict=True))
    assert names == ["module.0.weight", "module.0.bias"]


def test_fully_sharded_parameters_change_no_mask(ranks: Ranks) -> None:
    for reference, y in ranks(sharded_parameters):
        assert torch.equal(reference == 0, y == 0)
        torch.testing.assert_close(y, reference)


def test_a_dtensor_is_refused_with_the_remedy(ranks: Ranks) -> None:
    for message in ranks(dtensor):
        assert "to_local()" in message
        assert "sample_offset" in message


@pytest.mark.parametrize("renorm", ["sample", "map", "expected", "none"])
def test_r14_a_group_with_another_scope_is_refused(renorm: str) -> None:
    with pytest.raises(ValueError, match=r"process_group=.* with renorm="):
        drop_block(X, 0.7, 3, renorm=renorm, process_group=object())
