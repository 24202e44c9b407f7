# SPDX-License-Identifier: Apache-2.0
"""Scheduled DropBlock (section 3 of the paper) as a callback."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import keras

from dropblock_core import validate
from dropblock_core.summary import PATIENCE
from dropblock_keras.layers import DropBlock


class KeepProbSchedule(keras.callbacks.Callback):
    """Sets keep_prob before each training step to what `schedule` says of the number of finished steps.

    That number is the optimizer's ``iterations``, so that a run restored by ``BackupAndRestore``, by ``load_model`` or
    by hand goes on where it was. Nothing is traced anew.

    Args:
        schedule: a function of the step, such as :class:`dropblock_core.LinearSchedule`.
        layers: the layers to set; by default all DropBlock layers of the model.
    """

    def __init__(self, schedule: Callable[[int], float], layers: Iterable[DropBlock] | None = None) -> None:
        super().__init__()
        if not callable(schedule):
            raise TypeError(
                f"{validate.shown('schedule', schedule)} is a {type(schedule).__name__}: pass a function of the step, "
                "such as LinearSchedule(keep_prob=0.9, steps=10_000)"
            )
        if layers is not None and not isinstance(layers, Iterable):
            raise TypeError(f"{validate.shown('layers', layers)} is not a list of layers: pass (schedule, layers)")
        self.schedule = schedule
        self.layers = None if layers is None else list(layers)
        if junk := [layer for layer in self.layers or () if not isinstance(layer, keras.layers.Layer)]:
            raise TypeError(f"{validate.shown('layers', self.layers)} holds {junk[0]!r}, which is no layer")
        self._scheduled: list[DropBlock] = []
        self._steps = 0  # of this training, so that it says once where they drive nothing
        self._calls_before: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:
        found = self.model._flatten_layers() if self.layers is None else self.layers
        self._scheduled = [layer for layer in found if isinstance(layer, DropBlock)]
        if not self._scheduled:
            raise ValueError("the model has no DropBlock layer, so nothing is scheduled: add one, or pass layers=")
        if fixed := [layer.name for layer in self._scheduled if layer.calibrated]:
            raise ValueError(
                f"the layers {fixed} are calibrated, so a compiled program keeps the keep_prob it was traced with: "
                "make them with calibrated=False, or pass layers= without them"
            )
        for layer in self._scheduled:
            layer._observed.schedulers.add(self)
        self._steps, self._calls_before = 0, self._calls()
        self._set()

    def on_train_end(self, logs: Any = None) -> None:
        for layer in self._scheduled:
            layer._observed.schedulers.discard(self)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._set()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # A model saved from here on starts with the next step, so it is saved with that step's keep_prob.
        self._set()
        self._steps += 1
        if self._steps == PATIENCE and self._calls() == self._calls_before:
            warnings.warn(
                f"{PATIENCE} steps of the schedule have passed, and none of its {len(self._scheduled)} DropBlock layers"
                " was called in training: does the model's call use them, and pass training on?"
                " dropblock_keras.summary(model) shows each",
                stacklevel=2,
            )

    def _calls(self) -> list[int]:
        """How often each layer has drawn."""
        return [layer._words[1] for layer in self._scheduled]

    def _set(self) -> None:
        # The model first: on JAX, asking for it brings its variables up to date.
        step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))  # a tensor, if gradients accumulate
        for layer in self._scheduled:
            layer.keep_prob = self.schedule(step)
