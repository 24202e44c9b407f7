# SPDX-License-Identifier: Apache-2.0
"""Certify a DropBlock: is it the paper's? With evidence.

>>> from dropblock_conformance import Subject, certify
>>> from dropblock_core import drop_block
>>> def call(x, *, keep_prob, block_size, training, seed):
...     return drop_block(x, keep_prob=keep_prob, block_size=block_size, training=training, seed=seed)
>>> report = certify(Subject("mine", call), profile="quick", checks=["mask.blocks", "seed.same"])
>>> report.conforms
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dropblock_conformance.pytest_entry import parametrize
    from dropblock_conformance.result import Outcome, Report, Result
    from dropblock_conformance.running.run import certify
    from dropblock_conformance.subject import Claims, Deviation, Subject

__all__ = ["Claims", "Deviation", "Outcome", "Report", "Result", "Subject", "certify", "parametrize"]

_HOMES = {
    "Claims": "subject",
    "Deviation": "subject",
    "Outcome": "result",
    "Report": "result",
    "Result": "result",
    "Subject": "subject",
    "certify": "running.run",
    "parametrize": "pytest_entry",
}


def __getattr__(name: str) -> Any:
    """Imported as it is asked for, so that the command can say which package it lacks."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
