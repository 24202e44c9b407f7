"""Faults of gradients, of inference, and of schedules at some steps only."""

from math import cos, pi
from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant


class ChangingGradient(Honest):
    """Its gradient is changed on the way out."""

    def change(self, x: Array, dy: Array, y: Array, dx: Array) -> Array:
        raise NotImplementedError

    def grad(self, x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = super().grad(x, dy, **arguments)
        with np.errstate(all="ignore"):
            return y, self.change(x, dy, y, dx).astype(dx.dtype)


@mutant("the gradient is that of y / x, which is nothing at 0", "gradient.every_unit")
class GradientByDivision(ChangingGradient):
    def change(self, x: Array, dy: Array, y: Array, dx: Array) -> Array:
        return np.where(x == 0, np.zeros_like(dx), dx)


@mutant("the gradient of channels past the 64th is not scaled", "gradient.every_unit")
class GradientOfSixtyFourChannels(ChangingGradient):
    def change(self, x: Array, dy: Array, y: Array, dx: Array) -> Array:
        dx[:, 64:] = np.where(dx[:, 64:] == 0, dx[:, 64:], dy[:, 64:])
        return dx


@mutant("the gradient is scaled twice in large batches", "gradient.every_unit")
class GradientScaledTwice(ChangingGradient):
    def change(self, x: Array, dy: Array, y: Array, dx: Array) -> Array:
        return np.where(dy == 0, dx, dx * (dx / dy)) if len(x) >= 32 else dx


@mutant("the gradient depends on the sign of the activation", "gradient.scale")
class GradientBySign(ChangingGradient):
    def change(self, x: Array, dy: Array, y: Array, dx: Array) -> Array:
        return np.where(x < 0, -dx, dx)


@mutant("a NaN gradient at a kept unit becomes 0", "gradient.edges")
class GradientErasesNan(ChangingGradient):
    def change(self, x: Array, dy: Array, y: Array, dx: Array) -> Array:
        return np.where(np.isnan(dx), np.zeros_like(dx), dx)


@mutant("infinite gradients are cut off", "gradient.edges")
class GradientCutOff(ChangingGradient):
    def change(self, x: Array, dy: Array, y: Array, dx: Array) -> Array:
        return np.where(np.isinf(dx) & (dx.dtype == np.float32), np.sign(dx) * np.asarray(3e38, np.float32), dx)


class ChangingInference(Honest):
    def change(self, x: Array) -> Array:
        raise NotImplementedError

    def infer(self, x: Array, *_: Any) -> Array:
        with np.errstate(all="ignore"):
            return self.change(x).astype(x.dtype)


@mutant("inference adds 0, so -0 becomes +0", "mode.inference")
class InferenceAddsZero(ChangingInference):
    def change(self, x: Array) -> Array:
        return x + np.zeros((), x.dtype)


@mutant("inference loses subnormal numbers", "mode.inference")
class InferenceLosesSubnormals(ChangingInference):
    def change(self, x: Array) -> Array:
        return np.where(np.abs(x) < 1.2e-38, np.zeros_like(x), x) if x.dtype == np.float32 else x


@mutant("inference takes float32 through bfloat16", "mode.inference")
class InferenceInBfloat16(ChangingInference):
    def change(self, x: Array) -> Array:
        if x.dtype != np.float32:
            return x
        return (np.ascontiguousarray(x).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


@mutant("inference cuts infinity off", "mode.inference")
class InferenceCutsOff(ChangingInference):
    def change(self, x: Array) -> Array:
        return np.where(np.isinf(x) & (x.dtype == np.float32), np.sign(x) * np.asarray(3e38, np.float32), x)


@mutant("inference scales batches of 64", "mode.inference")
class InferenceScalesLarge(ChangingInference):
    def change(self, x: Array) -> Array:
        return x * np.asarray(0.9, x.dtype) if len(x) >= 64 else x


@mutant("at keep_prob 1 NaN becomes 0", "mode.keep_prob_one")
class KeepProbOneErasesNan(Honest):
    def train(self, x: Array, keep_prob: float, block_size: int, seed: int) -> Array:
        y = super().train(x, keep_prob, block_size, seed)
        return np.where(np.isnan(y), np.zeros_like(y), y) if keep_prob == 1 else y


@mutant("step 13 repeats step 12", "schedule.linear")
class ThirteenthStep(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return super().value(keep_prob, steps, 12 if step == 13 != steps else step)


@mutant("the schedule stands still after a thousand steps", "schedule.linear")
class StopsAfterAThousand(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return super().value(keep_prob, steps, min(step, 1000) if step < steps else step)


@mutant("long schedules are a step late", "schedule.linear")
class LateWhenLong(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return super().value(keep_prob, steps, max(0, step - 1) if 100 < steps != step else step)


@mutant("the schedule is a cosine", "schedule.linear")
class Cosine(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return 1 - (1 - cos(pi * step / steps)) / 2 * (1 - keep_prob) if step < steps else keep_prob


@mutant("the schedule is quadratic", "schedule.linear")
class Quadratic(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return 1 - (step / steps) ** 2 * (1 - keep_prob) if step < steps else keep_prob


@mutant("the schedule moves every second step", "schedule.linear")
class EverySecondStep(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return super().value(keep_prob, steps, step // 2 * 2 if step < steps else step)


@mutant("the schedule is kept in float16", "schedule.linear")
class ScheduleInHalf(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return float(np.float16(super().value(keep_prob, steps, step)))


@mutant("a schedule without steps starts at 1", "schedule.ends")
class NoStepsIsOne(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return super().value(keep_prob, steps, step) if steps else 1.0
