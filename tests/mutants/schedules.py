"""Faults of schedules."""

from typing import Any

from tests.mutants.honest import Array, Honest
from tests.mutants.register import mutant


@mutant("the schedule is one step early", "schedule.ends")
class ScheduleEarly(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return super().value(keep_prob, steps, step + 1)


@mutant("the schedule has steps values in place of steps + 1", "schedule.linear")
class ScheduleOffByOne(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return super().value(keep_prob, max(steps - 1, min(steps, 1)), step)


@mutant("the schedule never quite arrives", "schedule.ends")
class ScheduleNeverArrives(Honest):
    def value(self, keep_prob: float, steps: int, step: int) -> float:
        return 1 - step / (steps + 1) * (1 - keep_prob) if steps else keep_prob


@mutant("an evaluation advances the schedule", "schedule.evaluation")
class EvaluationAdvances(Honest):
    def infer(self, x: Array, *args: Any) -> Array:
        for ticker in self.schedules:
            ticker.step += 1
        return x


@mutant("every forward call advances the schedule", "schedule.training_calls")
class ForwardAdvances(Honest):
    def train(self, x: Array, *args: Any) -> Array:
        for ticker in self.schedules:
            ticker.step += 1
        return super().train(x, *args)
