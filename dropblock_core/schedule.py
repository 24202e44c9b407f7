# SPDX-License-Identifier: Apache-2.0
"""Scheduled DropBlock (section 3 of the paper, "Scheduled DropBlock"): keep_prob as a function of the training step."""

from dataclasses import dataclass
from typing import Any

from dropblock_core import arrays, validate


@dataclass(frozen=True)
class LinearSchedule:
    """keep_prob going linearly from `start` to `keep_prob` over `steps` training steps (rule R12).

    ============================  =======================================================
    step                          value
    ============================  =======================================================
    ``steps == 0``                ``keep_prob``
    ``step == 0``                 ``start``, exactly
    ``0 < step < steps``          ``start - (step / steps) * (start - keep_prob)``
    ``step >= steps``             ``keep_prob``, exactly
    ============================  =======================================================

    It holds no state: the value depends on the step alone, so it resumes wherever the training loop's step does, and
    neither evaluation nor an extra forward call can move it.

    Args:
        keep_prob: the value at the end, in [0, 1].
        steps: the number of training steps to get there, at least 0.
        start: the value at step 0, in [0, 1]; the paper starts at 1.

    Raises:
        ValueError, TypeError: an argument breaks rule R14; the message names it.

    >>> schedule = LinearSchedule(keep_prob=0.9, steps=1000)
    >>> [schedule(step) for step in (0, 500, 1000, 5000)]
    [1.0, 0.95, 0.9, 0.9]
    """

    keep_prob: float
    steps: int
    start: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "keep_prob", validate.probability("keep_prob", self.keep_prob))
        object.__setattr__(self, "steps", validate.steps(self.steps))
        object.__setattr__(self, "start", validate.probability("start", self.start))

    def __call__(self, step: Any) -> Any:
        """keep_prob at `step`, a number of finished training steps, at least 0 (fractions count).

        A float; or, for a step that is traced by ``jax.jit``, a float32 scalar there.
        """
        if arrays.is_traced(step):
            return self._traced(step)
        rule = "a schedule is a function of the number of finished training steps, which is at least 0"
        step = validate.real("step", step, rule)
        if not step >= 0:
            raise ValueError(f"{validate.shown('step', step)} is not at least 0: {rule}")
        if step >= self.steps:
            return self.keep_prob
        if step == 0:
            return self.start
        value = self.start - (step / self.steps) * (self.start - self.keep_prob)
        # Rounding may step over the end by one unit in the last place.
        low, high = sorted((self.start, self.keep_prob))
        return min(max(value, low), high)

    def _traced(self, step: Any) -> Any:
        xp = arrays.compat.array_namespace(step)
        done = xp.astype(step, xp.float32) / max(self.steps, 1)
        value = self.start - done * (self.start - self.keep_prob)
        value = xp.clip(value, *sorted((self.start, self.keep_prob)))  # rounding may step over an end
        value = xp.where(step <= 0, self.start, value)
        return xp.where(step >= self.steps, self.keep_prob, value)
