"""A plain NumPy DropBlock, independent of the reference, a step a method: what every mutant gets one step of wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from dropblock_conformance import Claims, Subject
from dropblock_conformance.subject import DTYPES

Array = np.ndarray[Any, Any]


class Honest:
    """The paper's DropBlock, a step a method, with a schedule object as frameworks have them."""

    claims = Claims(spatial=(1, 2, 3), dtypes=DTYPES)

    def __init__(self) -> None:
        self.schedules: list[Ticker] = []

    def rng(self, seed: int) -> np.random.Generator:
        return np.random.default_rng(seed)

    def block(self, block_size: int, feat: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(min(block_size, f) for f in feat)

    def gamma(self, keep_prob: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
        valid = prod(f - b + 1 for f, b in zip(feat, block, strict=True))
        return min(1.0, (1 - keep_prob) * prod(feat) / (prod(block) * valid))

    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        return rng.random(shape, np.float32) < gamma

    def grow(self, seeds: Array, block: tuple[int, ...], feat: tuple[int, ...]) -> Array:
        for axis, (b, f) in enumerate(zip(block, feat, strict=True), start=2):  # a block grows an axis at a time
            grown = np.zeros((*seeds.shape[:axis], f, *seeds.shape[axis + 1 :]), bool)
            for offset in range(b):
                grown[(*(slice(None),) * axis, slice(offset, offset + seeds.shape[axis]))] |= seeds
            seeds = grown
        return seeds

    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        feat = x.shape[2:]
        block = self.block(block_size, feat)
        valid = tuple(f - b + 1 for f, b in zip(feat, block, strict=True))
        seeds = self.seeds(self.rng(seed), (*x.shape[:2], *valid), self.gamma(keep_prob, block, feat), x)
        return self.grow(seeds, block, feat)

    def scale(self, dropped: Array, keep_prob: float, x: Array) -> Any:
        ones = np.count_nonzero(~dropped)
        return dropped.size / ones if ones else 0.0

    def apply(self, x: Array, dropped: Array, scale: Any) -> Array:
        wide = np.float64 if x.dtype == np.float64 else np.float32
        with np.errstate(over="ignore", invalid="ignore"):  # a fault may make infinity of a scale
            return (np.where(dropped, 0, x).astype(wide) * np.asarray(scale, wide)).astype(x.dtype)

    def train(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        if keep_prob == 1:
            return x
        dropped = self.dropped(x, keep_prob, block_size, seed)
        return self.apply(x, dropped, self.scale(dropped, keep_prob, x))

    def infer(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        return x

    def call(self, x: Array, *, keep_prob: float, block_size: int, training: bool, seed: int) -> Array:
        return (self.train if training else self.infer)(x, keep_prob, block_size, seed)

    def grad(self, x: Array, dy: Array, *, keep_prob: float, block_size: int, seed: int) -> tuple[Array, Array]:
        dropped = self.dropped(x, keep_prob, block_size, seed)
        scale = self.scale(dropped, keep_prob, x)
        return self.apply(x, dropped, scale), self.apply(dy, dropped, scale)

    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return 1 - step / steps * (1 - keep_prob) if step < steps else keep_prob

    def schedule(self, keep_prob: float, steps: int) -> Iterator[float]:
        ticker = Ticker()
        self.schedules.append(ticker)
        for _ in range(steps + 1):
            yield self.value(keep_prob, steps, ticker.step)
            ticker.step += 1
        self.schedules.remove(ticker)

    def subject(self, name: str) -> Subject:
        return Subject(name, self.call, self.claims, self.grad, self.schedule)


@dataclass(eq=False)  # two schedules at the same step are two
class Ticker:
    step: int = 0
