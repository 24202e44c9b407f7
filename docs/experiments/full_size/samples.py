"""Which images a step sees, and where its random numbers come from: functions of the seed and the step, no state.

So a run that goes on from a checkpoint meets what it would have met, whatever the data loader's workers had fetched
ahead, and no checkpoint holds random states.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from docs.experiments.full_size.ranks import Ranks

ORDER, SAMPLE, STEP = range(3)  # what is drawn
Collate = Callable[[list[Any]], Any]


def words(seed: int, *place: int) -> int:
    """64 bits for one place, independent of those for any other."""
    return int(np.random.SeedSequence((seed, *place)).generate_state(1, np.uint64)[0])


def seed_step(seed: int, step: int, ranks: Ranks, part: int = 0) -> None:
    """Before a step: its masks, and what else the network draws. Each process has its own."""
    torch.manual_seed(words(seed, STEP, step, ranks.rank, part))


@dataclass(frozen=True)
class Drawn(Dataset[Any]):
    """A data set whose random transforms depend on the epoch and the image alone."""

    dataset: Any
    seed: int

    def __getitem__(self, place: tuple[int, int]) -> Any:
        epoch, index = place
        torch.manual_seed(words(self.seed, SAMPLE, epoch, index))
        return self.dataset[index]


@dataclass(frozen=True)
class Order:
    """The places in the data set of this process's batches, from step `start` on, `parts` of them a step."""

    seed: int
    images: int
    batch_size: int
    ranks: Ranks
    parts: int
    start: int
    steps: int

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        an_epoch = self.images // self.batch_size
        epoch = -1
        for step in range(self.start, self.steps):
            if epoch != step // an_epoch:
                epoch = step // an_epoch
                permutation = np.random.default_rng((self.seed, ORDER, epoch)).permutation(self.images)
            first = step % an_epoch * self.batch_size
            batch = permutation[first : first + self.batch_size].reshape(self.parts, self.ranks.world, -1)
            for part in batch[:, self.ranks.rank]:
                yield [(epoch, int(index)) for index in part]


def training_batches(dataset: Any, order: Order, workers: int, collate: Collate | None) -> Iterator[Any]:
    loader = DataLoader(
        Drawn(dataset, order.seed),
        batch_sampler=order,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=order.ranks.device.type == "cuda",
    )
    return iter(loader)


def validation_batches(
    dataset: Any, batch_size: int, ranks: Ranks, workers: int, collate: Collate | None
) -> DataLoader[Any]:
    """This process's share: each image is in one process's, none is repeated to fill a batch."""
    mine = Subset(dataset, range(ranks.rank, len(dataset), ranks.world))
    return DataLoader(mine, batch_size, num_workers=workers, collate_fn=collate)
