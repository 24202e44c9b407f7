# SPDX-License-Identifier: Apache-2.0
"""Scheduled DropBlock (section 3 of the paper): a schedule of the step, set on a model's layers."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn

from dropblock_core import validate
from dropblock_core.summary import PATIENCE
from dropblock_torch.modules import _DropBlock


class KeepProbScheduler:
    """Sets keep_prob of DropBlock layers to ``schedule(step)``, in the manner of ``torch.optim.lr_scheduler``.

    Call :meth:`step` once after each optimizer step, as a learning rate's scheduler; neither forward calls nor
    evaluation move it. Save :meth:`state_dict` beside the optimizer's, and a resumed run goes on where it stopped.

    Args:
        layers: a model, all of whose DropBlock layers follow the schedule, or the layers themselves, e.g. as
            :func:`add_dropblock` returns them.
        schedule: function of the number of finished training steps, e.g. ``dropblock_core.LinearSchedule``.
        last_step: the number of steps already taken, for a run that goes on without a saved state.

    Raises:
        ValueError, TypeError: no DropBlock layer is there, or an argument breaks rule R14; the message names it.

    >>> from dropblock_core import LinearSchedule
    >>> from dropblock_torch import DropBlock2d
    >>> layer = DropBlock2d(block_size=7)
    >>> scheduler = KeepProbScheduler([layer], LinearSchedule(keep_prob=0.9, steps=10))
    >>> values = [layer.keep_prob]
    >>> for _ in range(10):
    ...     scheduler.step()  # after optimizer.step()
    ...     values.append(layer.keep_prob)
    >>> values[0], values[5], values[10]
    (1.0, 0.95, 0.9)
    """

    def __init__(
        self, layers: nn.Module | Iterable[nn.Module], schedule: Callable[[int], float], last_step: int = 0
    ) -> None:
        self.schedule = function_of_the_step(schedule)
        if not isinstance(layers, (nn.Module, Iterable)):
            raise TypeError(f"layers={layers!r} is neither a model nor a list of layers: pass (layers, schedule)")
        models = [layers] if isinstance(layers, nn.Module) else list(layers)
        if junk := [model for model in models if not isinstance(model, nn.Module)]:
            raise TypeError(
                f"{validate.shown('layers', layers)} holds {junk[0]!r}, which is no module: pass layers only"
            )
        found = (layer for model in models for layer in model.modules() if isinstance(layer, _DropBlock))
        self.layers = list(dict.fromkeys(found))
        if not self.layers:
            raise ValueError("layers holds no DropBlock layer: add some first, or schedule the model that has them")
        self._steps = 0  # of this object, so that it says once where they drive nothing
        self._go_to(_step(last_step))
        for layer in self.layers:
            layer._observed.schedulers.add(self)

    def _go_to(self, step: int) -> None:
        keep_prob = validate.probability("keep_prob", self.schedule(step))
        self.last_step = step
        for layer in self.layers:
            layer.keep_prob = keep_prob

    def step(self, *, last_step: int | None = None) -> None:
        """One more training step is finished, or so many are in all, where something else counts them.

        Warns at its 100th call, once, if no layer was called in training.
        """
        self._go_to(self.last_step + 1 if last_step is None else _step(last_step))
        self._steps += 1
        if self._steps == PATIENCE and not any(layer._observed.was_called for layer in self.layers):
            warnings.warn(
                f"{PATIENCE} steps of the schedule have passed, and none of its {len(self.layers)} DropBlock layers was"
                " called in training: is the model in train(), is it this model that you train, and does its forward"
                " use them? dropblock_torch.summary(model) shows each",
                stacklevel=2,
            )

    def get_last_keep_prob(self) -> float:
        """The value in use."""
        return self.layers[0].keep_prob

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs: the step, and the value it had, for the reader."""
        return {"last_step": self.last_step, "keep_prob": self.get_last_keep_prob()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state: the layers get the schedule's value at its step."""
        if not isinstance(state, Mapping):
            raise TypeError(f"{validate.shown('state', state)} is not a dict: pass what state_dict() returned")
        if "last_step" not in state:
            raise ValueError(f"state has the keys {list(state)}, no last_step: pass what state_dict() returned")
        self._go_to(_step(state["last_step"]))


def function_of_the_step(schedule: Any) -> Callable[[int], float]:
    """`schedule`, if it can be called."""
    if not callable(schedule):
        raise TypeError(f"schedule={schedule!r} is not a function of the step: pass e.g. LinearSchedule(0.9, steps)")
    return schedule


def _step(value: Any) -> int:
    rule = "last_step is the number of finished training steps, an int of at least 0"
    return validate.at_least_0("last_step", value, rule)
