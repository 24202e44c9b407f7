# SPDX-License-Identifier: Apache-2.0
"""Scheduled DropBlock as a callback of Lightning, imported as ``lightning.pytorch``."""

from lightning.pytorch import Callback

from dropblock_torch.trainers.lightning_hooks import LightningHooks


class KeepProbCallback(LightningHooks, Callback):
    __doc__ = LightningHooks.__doc__
