# SPDX-License-Identifier: Apache-2.0
"""Certify a DropBlock: is it the paper's? With evidence.

>>> from dropblock_core import drop_block
>>> def call(x, *, keep_prob, block_size, training, seed):
...     return drop_block(x, keep_prob, block_size, training=training, seed=seed)
>>> report = certify(Subject("mine", call), profile="quick", checks=["mask.blocks", "seed.same"])
>>> report.conforms
True
"""

from dropblock_conformance.pytest_entry import parametrize
from dropblock_conformance.result import Outcome, Report, Result
from dropblock_conformance.running.run import certify
from dropblock_conformance.subject import Claims, Deviation, Subject

__all__ = ["Claims", "Deviation", "Outcome", "Report", "Result", "Subject", "certify", "parametrize"]
