# SPDX-License-Identifier: Apache-2.0
"""What a callback of Lightning does, under either of the library's names, neither of which is imported here."""

import math
from typing import Any

from dropblock_torch.trainers.following import FollowsTrainer


class LightningHooks(FollowsTrainer):
    """Sets keep_prob of the module's DropBlock layers to ``schedule(trainer.global_step)``, after each batch.

    Lightning counts optimizer steps, those that a gradient scaler skips too, and restores the count with a checkpoint.
    In manual optimization it counts the steps of all optimizers; all steps of one batch have the keep_prob that the
    batch began with.

    Args:
        schedule: function of the number of finished optimizer steps, e.g. ``dropblock_core.LinearSchedule``.

    Raises:
        TypeError: `schedule` cannot be called.
        ValueError: training starts, and the module has no DropBlock layer.

    Warns:
        UserWarning: the steps of a LinearSchedule are more than the trainer plans.
    """

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        planned = trainer.estimated_stepping_batches if pl_module.automatic_optimization else math.inf
        self._begin(pl_module, trainer.global_step, math.inf if planned < 0 else planned)  # -1 has no end

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        self._follow(trainer.global_step)

    def on_train_end(self, *_: Any) -> None:
        self._end()
