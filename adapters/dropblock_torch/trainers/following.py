# SPDX-License-Identifier: Apache-2.0
"""What the callbacks of all trainers share: keep_prob follows the trainer's own count of optimizer steps."""

import warnings
from collections.abc import Callable

from torch import nn

from dropblock_core import LinearSchedule
from dropblock_torch.schedule import KeepProbScheduler, function_of_the_step


class FollowsTrainer:
    """Has a :class:`KeepProbScheduler` while a model trains. The step is the trainer's, so there is nothing to save."""

    _scheduler: KeepProbScheduler

    def __init__(self, schedule: Callable[[int], float]) -> None:
        self.schedule = function_of_the_step(schedule)

    def _begin(self, model: nn.Module, step: int, planned: float) -> None:
        """Training begins, or goes on, after `step` of the `planned` optimizer steps."""
        self._scheduler = KeepProbScheduler(model, self.schedule, last_step=step)
        if isinstance(self.schedule, LinearSchedule) and planned < self.schedule.steps:
            warnings.warn(
                f"the schedule takes {self.schedule.steps} steps, and the trainer plans {planned} optimizer steps: "
                f"training ends at keep_prob={self.schedule(planned):g}, before {self.schedule.keep_prob:g}; pass "
                f"LinearSchedule(keep_prob={self.schedule.keep_prob:g}, steps={planned}) for the paper's schedule",
                stacklevel=2,
            )

    def _follow(self, step: int) -> None:
        """`step` optimizer steps are finished. It may be said more than once: batches are not steps."""
        if step != self._scheduler.last_step:
            self._scheduler.step(last_step=step)

    def _end(self) -> None:
        # The layers keep the last value. Who trains them next brings a scheduler of their own.
        del self._scheduler
