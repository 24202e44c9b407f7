# SPDX-License-Identifier: Apache-2.0
"""Scheduled DropBlock as a callback of Hugging Face's Trainer."""

from typing import Any

from transformers import TrainerCallback

from dropblock_torch.trainers.following import FollowsTrainer


class KeepProbCallback(FollowsTrainer, TrainerCallback):
    """Sets keep_prob of the model's DropBlock layers to ``schedule(state.global_step)``, after each optimizer step.

    The trainer counts optimizer steps, those that a gradient scaler skips too, and restores the count with a
    checkpoint.

    Args:
        schedule: function of the number of finished optimizer steps, e.g. ``dropblock_core.LinearSchedule``.

    Raises:
        TypeError: `schedule` cannot be called.
        ValueError: training starts, and the model has no DropBlock layer.

    Warns:
        UserWarning: the steps of a LinearSchedule are more than the trainer plans.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, *, model: Any, **_: Any) -> None:
        self._begin(model, state.global_step, state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._follow(state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._end()
