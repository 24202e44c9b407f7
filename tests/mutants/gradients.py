"""Faults of gradients."""

from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant


@mutant("the gradient goes through another mask", "gradient.mask")
class GradientOfAnotherMask(Honest):
    def grad(self, x: Array, dy: Array, *, seed: int, **arguments: Any) -> tuple[Array, Array]:
        return super().grad(x, dy, seed=seed, **arguments)[0], super().grad(x, dy, seed=seed + 1, **arguments)[1]


@mutant("the gradient is not scaled", "gradient.scale")
class GradientUnscaled(Honest):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        return y, np.where(dx == 0, dx, dy)


@mutant("the gradient is multiplied by the mask, so infinity becomes NaN", "gradient.nonfinite")
class GradientMultiplied(Honest):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        with np.errstate(invalid="ignore"):
            return y, np.where(y == 0, dy * np.zeros_like(dy), dx)


@mutant("the gradient is NaN where nothing is kept", "gradient.nothing_kept")
class GradientNanWhereNothingKept(Honest):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        return y, dx if y.any() else np.full_like(dx, np.nan)


@mutant("no gradient flows where the output is 0, though its unit was kept", "gradient.every_unit")
class NoGradientAtZero(Honest):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        return y, np.where(y == 0, np.zeros_like(dx), dx)


@mutant("gradients are clipped at a thousand", "gradient.edges")
class ClipsGradients(Honest):
    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        bound = np.asarray(1000, dx.dtype)
        return y, np.where(np.abs(dx) > bound, np.sign(dx) * bound, dx)
