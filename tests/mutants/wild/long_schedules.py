"""Schedules that are wrong at some steps, for some numbers of steps, or after some calls only."""

from collections.abc import Iterator
from functools import cache
from math import isqrt, sin
from typing import Any

import numpy as np

from tests.mutants.honest import Array, Honest
from tests.mutants.register import wild
from tests.mutants.wild.hooks import line, scheduled

WHAT = "schedules"


@scheduled("for an odd number of steps the schedule is half a step late in between")
def odd_late(keep_prob: float, steps: int, step: int) -> float:
    return line(keep_prob, steps, step - 0.5) if steps % 2 and 0 < step < steps else line(keep_prob, steps, step)


@scheduled("for a power of two of steps the schedule is a step early in between")
def powers_of_two_early(keep_prob: float, steps: int, step: int) -> float:
    is_power = steps > 1 and steps.bit_count() == 1
    return line(keep_prob, steps, step + 1) if is_power and 0 < step < steps - 1 else line(keep_prob, steps, step)


@scheduled("for a prime number of steps the schedule ends a step before the last")
def primes_end_early(keep_prob: float, steps: int, step: int) -> float:
    is_prime = steps > 2 and all(steps % d for d in range(2, isqrt(steps) + 1))
    return keep_prob if is_prime and step == steps - 1 else line(keep_prob, steps, step)


@scheduled("steps are added up in float16")
def added_in_float16(keep_prob: float, steps: int, step: int) -> float:
    return added(keep_prob, steps, np.float16)[step] if 0 < step < steps else line(keep_prob, steps, step)


@scheduled("steps are added up in float32, and their errors too")
def added_in_float32(keep_prob: float, steps: int, step: int) -> float:
    return added(keep_prob, steps, np.float32)[step] if 0 < step < steps else line(keep_prob, steps, step)


@cache
def added(keep_prob: float, steps: int, dtype: Any) -> list[float]:
    values = [dtype(1)]
    for _ in range(steps):
        values.append(values[-1] - dtype((1 - keep_prob) / steps))
    return [float(value) for value in values]


@scheduled("the 101st step repeats the hundredth")
def repeats_the_hundredth(keep_prob: float, steps: int, step: int) -> float:
    return line(keep_prob, steps, 100 if step == 101 != steps else step)


@scheduled("the schedule stands still from step 60 on, until its end")
def stands_still_at_60(keep_prob: float, steps: int, step: int) -> float:
    return line(keep_prob, steps, min(step, 60) if step < steps else step)


@scheduled("the schedule of more than 20 steps moves every third step")
def moves_every_third_step(keep_prob: float, steps: int, step: int) -> float:
    return line(keep_prob, steps, step // 3 * 3 if 20 < steps != step else step)


@scheduled("the schedule of more than 100 steps moves every tenth step")
def every_tenth_step(keep_prob: float, steps: int, step: int) -> float:
    return line(keep_prob, steps, step // 10 * 10 if 100 < steps != step else step)


@scheduled("the schedule of more than 500 steps moves every hundredth of the way")
def in_hundredths(keep_prob: float, steps: int, step: int) -> float:
    return line(keep_prob, 100, step * 100 // steps) if 500 < steps != step else line(keep_prob, steps, step)


@scheduled("the schedule of more than 20 steps is quadratic")
def quadratic_when_long(keep_prob: float, steps: int, step: int) -> float:
    return 1 - (step / steps) ** 2 * (1 - keep_prob) if step < steps > 20 else line(keep_prob, steps, step)


@scheduled("the schedule falls faster than a line by a twentieth in the middle")
def bent(keep_prob: float, steps: int, step: int) -> float:
    way = step / steps if steps else 1.0
    bow = 0.2 * way * (1 - way) * (1 - keep_prob)
    return line(keep_prob, steps, step) - bow if 0 < step < steps else line(keep_prob, steps, step)


@scheduled("the schedule is geometric: a power of keep_prob")
def geometric(keep_prob: float, steps: int, step: int) -> float:
    return float(keep_prob ** (step / steps)) if keep_prob and 0 < step < steps else line(keep_prob, steps, step)


@scheduled("the schedule wavers about the line by a five-thousandth")
def wavers(keep_prob: float, steps: int, step: int) -> float:
    return line(keep_prob, steps, step) + (2e-4 * sin(step) * (1 - keep_prob) if 0 < step < steps else 0)


@scheduled("the step before the last has the last one's value")
def last_but_one(keep_prob: float, steps: int, step: int) -> float:
    return keep_prob if step == steps - 1 > 0 else line(keep_prob, steps, step)


@scheduled("step 1 has step 0's value where there are more than 2")
def first_step_waits(keep_prob: float, steps: int, step: int) -> float:
    return 1.0 if step == 1 < steps - 1 else line(keep_prob, steps, step)


@scheduled("a schedule of no steps stays at 1")
def no_steps(keep_prob: float, steps: int, step: int) -> float:
    return line(keep_prob, steps, step) if steps else 1.0


@scheduled("a schedule of one step starts at its end")
def one_step(keep_prob: float, steps: int, step: int) -> float:
    return keep_prob if steps == 1 else line(keep_prob, steps, step)


@scheduled("a schedule of two steps has its end in the middle")
def two_steps(keep_prob: float, steps: int, step: int) -> float:
    return keep_prob if steps == 2 and step == 1 else line(keep_prob, steps, step)


@scheduled("the schedule never falls below a half")
def not_below_a_half(keep_prob: float, steps: int, step: int) -> float:
    return max(0.5, line(keep_prob, steps, step))


@scheduled("the schedule never falls below a thousandth")
def not_below_a_thousandth(keep_prob: float, steps: int, step: int) -> float:
    return max(0.001, line(keep_prob, steps, step))


@scheduled("a schedule to keep_prob 1 dips in between")
def dips_at_one(keep_prob: float, steps: int, step: int) -> float:
    return 0.999 if keep_prob == 1 and 0 < step < steps else line(keep_prob, steps, step)


@scheduled("values are rounded to three decimals in between")
def in_thousandths(keep_prob: float, steps: int, step: int) -> float:
    return round(line(keep_prob, steps, step), 3) if 0 < step < steps else line(keep_prob, steps, step)


@scheduled("values go through float16 in between")
def through_float16(keep_prob: float, steps: int, step: int) -> float:
    return float(np.float16(line(keep_prob, steps, step))) if 0 < step < steps else line(keep_prob, steps, step)


@scheduled("steps past the 255th start at 0 again")
def step_in_a_byte(keep_prob: float, steps: int, step: int) -> float:
    return line(keep_prob, steps, step % 256 if step < steps else step)


@scheduled("a step that 7 divides repeats the one before")
def sevenths_repeat(keep_prob: float, steps: int, step: int) -> float:
    return line(keep_prob, steps, step - 1 if step % 7 == 0 and 0 < step < steps else step)


@scheduled("the second half of more than 40 steps is half a step late")
def second_half_late(keep_prob: float, steps: int, step: int) -> float:
    return line(keep_prob, steps, step - 0.5 if 40 < steps != step > steps / 2 else step)


@scheduled("the last tenth of the way overshoots by a thousandth, but for its end")
def overshoots(keep_prob: float, steps: int, step: int) -> float:
    is_late = steps * 0.9 < step < steps
    return max(0.0, line(keep_prob, steps, step) - 0.001 * is_late)


@scheduled("the schedule starts at 0.999")
def starts_lower(keep_prob: float, steps: int, step: int) -> float:
    return min(0.999, line(keep_prob, steps, step)) if keep_prob < 0.999 else line(keep_prob, steps, step)


@scheduled("for keep_prob below a half the schedule is a step early")
def early_when_low(keep_prob: float, steps: int, step: int) -> float:
    return line(keep_prob, steps, step + 1 if keep_prob < 0.5 and step else step)


@scheduled("at 128 steps and multiples of it the middle step has its neighbour's value")
def middle_of_128(keep_prob: float, steps: int, step: int) -> float:
    return line(keep_prob, steps, step - 1 if steps and steps % 128 == 0 and step == steps // 2 else step)


class Advancing(Honest):
    """Something besides a training step advances, or sets back, the schedules that are under way."""

    calls = 0

    def advance(self, number: int = 1) -> None:
        for ticker in self.schedules:
            ticker.step += number


@wild("every tenth forward call advances the schedule", WHAT)
class TenthForwardAdvances(Advancing):
    def train(self, *args: Any) -> Array:
        self.calls += 1
        if self.calls % 10 == 0:
            self.advance()
        return super().train(*args)


@wild("a forward call in half precision advances the schedule", WHAT)
class HalfAdvances(Advancing):
    def train(self, x: Array, *args: Any) -> Array:
        self.advance(int(x.dtype.itemsize == 2))
        return super().train(x, *args)


@wild("a gradient advances the schedule", WHAT)
class GradientAdvances(Advancing):
    def grad(self, *args: Any, **arguments: Any) -> tuple[Array, Array]:
        self.advance()
        return super().grad(*args, **arguments)


@wild("an evaluation starts the schedule again", WHAT)
class EvaluationRestarts(Advancing):
    def infer(self, x: Array, *_: Any) -> Array:
        for ticker in self.schedules:
            ticker.step = 0
        return x


@wild("every third evaluation sets the schedule a step back", WHAT)
class EvaluationSetsBack(Advancing):
    def infer(self, x: Array, *_: Any) -> Array:
        self.calls += 1
        if self.calls % 3 == 0:
            for ticker in self.schedules:
                ticker.step = max(0, ticker.step - 1)
        return x


@wild("a second schedule goes on where the first one ended", WHAT)
class SecondGoesOn(Honest):
    ended = 0

    def schedule(self, keep_prob: float, steps: int) -> Iterator[float]:
        first, self.ended = self.ended, steps
        for step in range(steps + 1):
            yield self.value(keep_prob, steps, min(steps, step + (first if first < steps / 2 else 0)))


@wild("two schedules at a time advance one another", WHAT)
class SchedulesEntangled(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        for other in self.schedules[:-1]:
            other.step += 1
        return super().value(keep_prob, steps, step)


@wild("the value of the end is left out", WHAT)
class EndLeftOut(Honest):
    def schedule(self, keep_prob: float, steps: int) -> Iterator[float]:
        values = list(super().schedule(keep_prob, steps))
        yield from values[:-1] if steps > 50 else values
