"""Decorators that make a mutant of a function: of Honest's steps, the one that is wrong.

The function's name becomes the mutant's: ``sample_seventeen`` enlists `SampleSeventeen`. Whatever the function does not
touch stays Honest's, bit for bit.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from dropblock_conformance import Claims
from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild

Sizes = tuple[int, ...]
Rng = np.random.Generator
ALL = Honest.claims


def enlist(function: Callable[..., Any], fault: str, cause: str, base: type[Honest], **attributes: Any) -> None:
    name = "".join(part.capitalize() for part in function.__name__.split("_"))
    wild(fault, cause)(type(name, (base,), {**attributes, "__module__": function.__module__}))


class Seeing(Honest):
    """Knows the input and the block of the call that it is in."""

    input: Array
    size: Sizes

    def dropped(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        self.input, self.size = x, self.block(block_size, x.shape[2:])
        return super().dropped(x, keep_prob, block_size, seed)


def kept(fault: str, claims: Claims = ALL) -> Callable[[Callable[[Array, Array], Array]], None]:
    """``change(x, y)`` gives what the kept units become."""

    def make(change: Callable[[Array, Array], Array]) -> None:
        def train(self: Honest, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
            if keep_prob == 1:
                return x
            dropped = self.dropped(x, keep_prob, block_size, seed)
            y = self.apply(x, dropped, self.scale(dropped, keep_prob, x))
            with np.errstate(all="ignore"):
                return np.where(dropped, y, change(x, y.copy()).astype(y.dtype))

        enlist(change, fault, "values", Honest, claims=claims, train=train)

    return make


def left(fault: str, claims: Claims = ALL) -> Callable[[Callable[[Array, Array], Array]], None]:
    """``change(x, y)`` gives what is left at the dropped units, where y is 0."""

    def make(change: Callable[[Array, Array], Array]) -> None:
        def train(self: Honest, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
            if keep_prob == 1:
                return x
            dropped = self.dropped(x, keep_prob, block_size, seed)
            y = self.apply(x, dropped, self.scale(dropped, keep_prob, x))
            with np.errstate(all="ignore"):
                return np.where(dropped, change(x, y.copy()).astype(y.dtype), y)

        enlist(change, fault, "values", Honest, claims=claims, train=train)

    return make


Scaling = Callable[[Array, float, Array, Any], Any]


def scaled(fault: str, claims: Claims = ALL, base: type[Honest] = Honest) -> Callable[[Scaling], None]:
    """``change(dropped, keep_prob, x, right)`` gives the scale."""

    def make(change: Scaling) -> None:
        def scale(self: Honest, dropped: Array, keep_prob: float, x: Array) -> Any:
            right = base.scale(self, dropped, keep_prob, x)
            with np.errstate(all="ignore"):
                return change(dropped, keep_prob, x, right)

        enlist(change, fault, "values", base, claims=claims, scale=scale)

    return make


def off(fault: str, factor: float, claims: Claims = ALL) -> Callable[[Callable[[Array, float, Sizes], bool]], None]:
    """Gamma is off by a factor where ``when(x, keep_prob, block)``."""

    def make(when: Callable[[Array, float, Sizes], bool]) -> None:
        def gamma(self: Seeing, keep_prob: float, block: Sizes, feat: Sizes) -> float:
            right = Seeing.gamma(self, keep_prob, block, feat)
            return min(1.0, factor * right) if when(self.input, keep_prob, block) else right

        enlist(when, fault, "law", Seeing, claims=claims, gamma=gamma)

    return make


Law = Callable[[float, float, Sizes, Sizes], float]


def law(fault: str, claims: Claims = ALL) -> Callable[[Law], None]:
    """``change(right, keep_prob, block, feat)`` gives gamma."""

    def make(change: Law) -> None:
        def gamma(self: Honest, keep_prob: float, block: Sizes, feat: Sizes) -> float:
            return float(min(1.0, max(0.0, change(Honest.gamma(self, keep_prob, block, feat), keep_prob, block, feat))))

        enlist(change, fault, "law", Honest, claims=claims, gamma=gamma)

    return make


Placing = Callable[[Array, Rng, float, Array], Array]


def placed(fault: str, cause: str = "law", claims: Claims = ALL) -> Callable[[Placing], None]:
    """``change(seeds, rng, gamma, x)`` gives where seeds are, ``[samples, channels, *valid]``."""

    def make(change: Placing) -> None:
        def seeds(self: Honest, rng: Rng, shape: Sizes, gamma: float, x: Array) -> Array:
            return change(Honest.seeds(self, rng, shape, gamma, x), rng, gamma, x)

        enlist(change, fault, cause, Honest, claims=claims, seeds=seeds)

    return make


Growing = Callable[[Array, Array, Sizes], Array]


def grown(fault: str, claims: Claims = ALL) -> Callable[[Growing], None]:
    """``change(whole, seeds, block)`` gives what is dropped, where whole is what is to be."""

    def make(change: Growing) -> None:
        def grow(self: Honest, seeds: Array, block: Sizes, feat: Sizes) -> Array:
            return change(Honest.grow(self, seeds, block, feat), seeds, block)

        enlist(change, fault, "law", Honest, claims=claims, grow=grow)

    return make


def seeded(fault: str, claims: Claims = ALL) -> Callable[[Callable[[int], Any]], None]:
    """``change(seed)`` gives what is drawn from."""

    def make(change: Callable[[int], Any]) -> None:
        def rng(self: Honest, seed: int) -> Rng:
            return np.random.default_rng(change(seed))

        enlist(change, fault, "seeds", Honest, claims=claims, rng=rng)

    return make


Backward = Callable[[Array, Array, Array, Array], Array]


def backward(fault: str, claims: Claims = ALL) -> Callable[[Backward], None]:
    """``change(x, dy, y, dx)`` gives the gradient."""

    def make(change: Backward) -> None:
        def grad(self: Honest, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
            y, dx = Honest.grad(self, x, dy, **arguments)
            with np.errstate(all="ignore"):
                return y, change(x, dy, y, dx.copy()).astype(dx.dtype)

        enlist(change, fault, "gradients", Honest, claims=claims, grad=grad)

    return make


def inferring(fault: str, claims: Claims = ALL) -> Callable[[Callable[[Array, float, int], Array]], None]:
    """``change(x, keep_prob, block_size)`` gives what inference returns."""

    def make(change: Callable[[Array, float, int], Array]) -> None:
        def infer(self: Honest, x: Array, keep_prob: float, block_size: int, _: int) -> Array:
            with np.errstate(all="ignore"):
                return change(x, keep_prob, block_size).astype(x.dtype)

        enlist(change, fault, "inference", Honest, claims=claims, infer=infer)

    return make


def at_one(fault: str, claims: Claims = ALL) -> Callable[[Callable[[Array, int], Array]], None]:
    """``change(x, block_size)`` gives what training with keep_prob 1 returns."""

    def make(change: Callable[[Array, int], Array]) -> None:
        def train(self: Honest, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
            if keep_prob < 1:
                return Honest.train(self, x, keep_prob, block_size, seed)
            with np.errstate(all="ignore"):
                return change(x, block_size).astype(x.dtype)

        enlist(change, fault, "inference", Honest, claims=claims, train=train)

    return make


def line(keep_prob: float, steps: int, step: float) -> float:
    """The right schedule."""
    return 1 - step / steps * (1 - keep_prob) if step < steps else keep_prob


def scheduled(fault: str) -> Callable[[Callable[[float, int, int], float]], None]:
    """``change(keep_prob, steps, step)`` gives the value in use."""

    def make(change: Callable[[float, int, int], float]) -> None:
        def value(_: Honest, keep_prob: float, steps: int, step: int) -> float:
            return change(keep_prob, steps, step)

        enlist(change, fault, "schedules", Honest, value=value)

    return make
