# SPDX-License-Identifier: Apache-2.0
"""Scheduled DropBlock as a callback of Lightning, imported as ``pytorch_lightning``."""

from pytorch_lightning import Callback

from dropblock_torch.trainers.lightning_hooks import LightningHooks


class KeepProbCallback(LightningHooks, Callback):
    __doc__ = LightningHooks.__doc__
