# SPDX-License-Identifier: Apache-2.0
"""Scheduled DropBlock as a hook of MMEngine, in its registry."""

from collections.abc import Callable, Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS, HOOKS

from dropblock_core import LinearSchedule
from dropblock_torch.trainers.following import FollowsTrainer

FUNCTIONS.register_module(module=LinearSchedule)


@HOOKS.register_module()
class KeepProbHook(FollowsTrainer, Hook):
    """Sets keep_prob of the model's DropBlock layers to what the schedule says of the finished optimizer steps.

    MMEngine counts iterations and restores their count with a checkpoint. A step takes ``accumulative_counts`` of them;
    with an ``OptimWrapperDict`` a step is an iteration. Steps that a gradient scaler skips count.

    Args:
        schedule: function of the number of finished optimizer steps, e.g. ``dropblock_core.LinearSchedule``; or a
            configuration of one in the registry FUNCTIONS, such as
            ``dict(type="LinearSchedule", keep_prob=0.9, steps=10_000)``.

    Raises:
        TypeError: `schedule` cannot be called.
        ValueError: training starts, and the model has no DropBlock layer.

    Warns:
        UserWarning: the steps of a LinearSchedule are more than the runner plans.
    """

    def __init__(self, schedule: Callable[[int], float] | Mapping[str, Any]) -> None:
        super().__init__(FUNCTIONS.build(schedule) if isinstance(schedule, Mapping) else schedule)

    def before_train(self, runner: Any) -> None:
        self._begin(runner.model, _steps(runner, runner.iter), _steps(runner, runner.max_iters))

    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        self._follow(_steps(runner, runner.iter + 1))  # MMEngine counts this one after its hooks

    def after_train(self, runner: Any) -> None:
        self._end()


def _steps(runner: Any, iters: int) -> int:
    """Optimizer steps in so many iterations; the run's last one steps with the gradients it has."""
    counts = getattr(runner.optim_wrapper, "_accumulative_counts", 1)
    return iters // counts + (iters == runner.max_iters and iters % counts > 0)
