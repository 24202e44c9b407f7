"""Faults of the shape of a block."""

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant


@mutant("a hole in the middle of the block", "mask.blocks")
class HoleInTheBlock(Honest):
    def grow(self, seeds: Array, block: tuple[int, ...], feat: tuple[int, ...]) -> Array:
        whole = super().grow(seeds, block, feat)
        if min(block) >= 3:
            middle = tuple(slice(b // 2, b // 2 + v) for b, v in zip(block, seeds.shape[2:], strict=True))
            whole[(..., *middle)] &= ~seeds
        return whole


@mutant("the block is one row short", "mask.blocks")
class BlockOneRowShort(Honest):
    def grow(self, seeds: Array, block: tuple[int, ...], feat: tuple[int, ...]) -> Array:
        return super().grow(seeds, (max(1, block[0] - 1), *block[1:]), feat)


@mutant("an even block is dropped as the next odd one", "law.even_block")
class EvenBlocksGrow(Honest):
    def block(self, block_size: int, feat: tuple[int, ...]) -> tuple[int, ...]:
        odd = block_size + (block_size % 2 == 0)
        return tuple(min(odd if odd <= min(feat) else block_size, f) for f in feat)

    def gamma(self, keep_prob: float, block: tuple[int, ...], feat: tuple[int, ...]) -> float:
        return super().gamma(keep_prob, tuple(b - (b == 5) for b in block), feat)


@mutant("a block larger than the map is clipped to a square", "mask.clipped")
class ClippedToASquare(Honest):
    def block(self, block_size: int, feat: tuple[int, ...]) -> tuple[int, ...]:
        return (min(block_size, *feat),) * len(feat)


@mutant("block 1 drops whole maps", "law.dropout")
class BlockOneIsSpatial(Honest):
    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        if shape[2:] != x.shape[2:]:
            return super().seeds(rng, shape, gamma, x)
        return np.broadcast_to(rng.random((*shape[:2], *(1,) * (x.ndim - 2))) < gamma, shape)
