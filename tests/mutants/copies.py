"""Faults of maps that know of one another, far apart or moved."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant

SAMPLES, CHANNELS = 0, 1
KILLERS = {SAMPLES: "independence.all_samples", CHANNELS: "independence.all_channels"}


def copying(name: str, fault: str, axis: int, source: Callable[[Array, int], Array], move: Any = None) -> None:
    """A mutant whose maps along an axis are those at the indices that `source` gives, moved where it is another's."""

    def seeds(self: Honest, *args: Any) -> Array:
        drawn = Honest.seeds(self, *args)
        number = np.arange(drawn.shape[axis])
        other = source(number, len(number))
        copied = drawn.take(other, axis)
        if move is not None:
            is_own = np.expand_dims(number == other, tuple(set(range(drawn.ndim)) - {axis}))
            copied = np.where(is_own, copied, move(copied))
        return copied

    mutant(fault, KILLERS[axis])(type(name, (Honest,), {"seeds": seeds, "__module__": __name__}))


def mirrored(seeds: Array) -> Array:
    return seeds[..., ::-1]


def turned(seeds: Array) -> Array:
    return np.flip(seeds, axis=tuple(range(2, seeds.ndim)))


def shifted(seeds: Array) -> Array:
    return np.roll(seeds, 3, axis=-1)


for axis, what in ((SAMPLES, "Samples"), (CHANNELS, "Channels")):
    kind = what.lower()
    for apart in (3, 5, 16, 37, 64, 100):
        copying(
            f"{what}{apart}Apart",
            f"{kind} {apart} apart share a mask",
            axis,
            lambda n, size, apart=apart: n // (2 * apart) * 2 * apart + n % apart,  # type: ignore[misc]
        )
    for name, fault, source, move in (
        (
            "FirstAndLast",
            f"the first and the last {what} share a mask",
            lambda n, size: n % (size - 1 or 1),
            None,
        ),
        ("BothEnds", f"{kind} as far from either end share a mask", lambda n, size: np.minimum(n, size - 1 - n), None),
        ("Mirrored", f"odd {kind} are the mirror image of even ones", lambda n, size: n // 2 * 2, mirrored),
        ("Turned", f"{kind} 9 apart are one another, turned", lambda n, size: n // 18 * 18 + n % 9, turned),
        ("Shifted", f"{kind} 7 apart are one another, shifted", lambda n, size: n // 14 * 14 + n % 7, shifted),
    ):
        copying(name + what, fault, axis, source, move)


class SharedWhere(Honest):
    """All samples have the first one's mask where `is_special` says so."""

    def is_special(self, x: Array) -> bool:
        raise NotImplementedError

    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        seeds = super().seeds(rng, shape, gamma, x)
        return np.broadcast_to(seeds[:1], shape).copy() if self.is_special(x) else seeds


@mutant("samples of a sequence, and of nothing else, share a mask", "mask.distinct")
class SequencesAlike(SharedWhere):
    def is_special(self, x: Array) -> bool:
        return x.ndim == 3


@mutant("samples share a mask where a map has more than 2,000 units", "mask.distinct")
class LargeMapsAlike(SharedWhere):
    def is_special(self, x: Array) -> bool:
        return x.ndim == 4 and x.shape[2] * x.shape[3] > 2000


class Antithetic(Honest):
    """Every second map along an axis is seeded where the one before has its largest numbers."""

    axis = SAMPLES

    def seeds(self, rng: np.random.Generator, shape: tuple[int, ...], gamma: float, x: Array) -> Array:
        u = np.moveaxis(rng.random(shape, np.float32), self.axis, 0)
        u[1::2] = 1 - u[: len(u) // 2 * 2 : 2]
        return np.moveaxis(u, 0, self.axis) < gamma


@mutant("odd samples have seeds where even ones have their largest numbers", "independence.samples")
class AntitheticSamples(Antithetic):
    pass


@mutant("odd channels have seeds where even ones have their largest numbers", "independence.channels")
class AntitheticChannels(Antithetic):
    axis = CHANNELS


@mutant("a third of the samples are the first one", "independence.all_samples")
class AThirdAlike(Honest):
    def seeds(self, *args: Any) -> Array:
        seeds = super().seeds(*args)
        seeds[1::3] = seeds[0]
        return seeds


@mutant("channel c of seed s is channel 0 of seed s + c", "independence.all_calls")
class ChannelsAreSeeds(Honest):
    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        honest = super().dropped
        each = [honest(x[:, c : c + 1], keep_prob, block_size, seed + c) for c in range(x.shape[1])]
        return np.concatenate(each, axis=1) if each else np.zeros(x.shape, bool)
