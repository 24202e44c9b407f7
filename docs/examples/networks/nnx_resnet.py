"""A ResNet of Flax NNX with DropBlock at the authors' four places in each block of groups 3 and 4.

Ghiasi, Lin and Le, "DropBlock" (2018), section 4.1.1: after every convolution with its norm and on every skip
connection, block 7, keep_prob 0.9; gamma divided by 4 in group 3.
"""

from collections.abc import Sequence
from typing import Any

from flax import nnx
from jax import Array

from dropblock_jax.flax import DropBlock

SHARES = {3: 1 / 4, 4: 1.0}  # of gamma, by the number of the group


class Dropped(nnx.Module):
    """DropBlock in the groups that get it; in the others nothing."""

    def __init__(self, group: int, block_size: int, rngs: nnx.Rngs) -> None:
        self.drop = DropBlock(0.9, block_size, gamma_scale=SHARES[group], rngs=rngs) if group in SHARES else None

    def __call__(self, x: Array, keep_prob: Any) -> Array:
        return x if self.drop is None else self.drop(x, keep_prob=keep_prob)


class Unit(nnx.Module):
    """A convolution with its norm, and DropBlock."""

    def __init__(self, inside: int, outside: int, kernel: int, strides: int, drop: Dropped, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(inside, outside, (kernel, kernel), strides, use_bias=False, rngs=rngs)
        self.norm, self.drop = nnx.BatchNorm(outside, rngs=rngs), drop

    def __call__(self, x: Array, keep_prob: Any) -> Array:
        return self.drop(self.norm(self.conv(x)), keep_prob)


class Bottleneck(nnx.Module):
    def __init__(self, inside: int, width: int, strides: int, group: int, block_size: int, rngs: nnx.Rngs) -> None:
        def drop() -> Dropped:
            return Dropped(group, block_size, rngs)

        self.first = Unit(inside, width, 1, 1, drop(), rngs)
        self.second = Unit(width, width, 3, strides, drop(), rngs)
        self.third = Unit(width, 4 * width, 1, 1, drop(), rngs)
        is_identity = strides == 1 and inside == 4 * width
        self.skip = drop() if is_identity else Unit(inside, 4 * width, 1, strides, drop(), rngs)

    def __call__(self, x: Array, keep_prob: Any) -> Array:
        y = nnx.relu(self.first(x, keep_prob))
        y = nnx.relu(self.second(y, keep_prob))
        return nnx.relu(self.third(y, keep_prob) + self.skip(x, keep_prob))


class ResNet(nnx.Module):
    """Of bottleneck blocks, ResNet-50 by default; `keep_prob` is handed through the calls, and may be traced."""

    def __init__(
        self,
        classes: int = 1000,
        blocks: Sequence[int] = (3, 4, 6, 3),
        width: int = 64,
        block_size: int = 7,
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.stem = nnx.Conv(3, width, (7, 7), 2, use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(width, rngs=rngs)
        channels, groups = width, []
        for group, count in enumerate(blocks, 1):
            for number in range(count):
                strides = 2 if group > 1 and number == 0 else 1
                groups.append(Bottleneck(channels, width, strides, group, block_size, rngs))
                channels = 4 * width
            width *= 2
        self.blocks = nnx.List(groups)
        self.head = nnx.Linear(channels, classes, rngs=rngs)

    def __call__(self, images: Array, keep_prob: Any = None) -> Array:
        x = nnx.relu(self.norm(self.stem(images)))
        x = nnx.max_pool(x, (3, 3), (2, 2), "SAME")
        for block in self.blocks:
            x = block(x, keep_prob)
        return self.head(x.mean((1, 2)))
