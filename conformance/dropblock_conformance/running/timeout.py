# SPDX-License-Identifier: Apache-2.0
"""A check that takes too long is given up."""

import sys
import traceback
from collections.abc import Callable

from dropblock_conformance.judging.answers import SubjectError, described
from dropblock_conformance.judging.attempt import Attempt
from dropblock_conformance.judging.check import Finding

DAY = 86_400.0


def checked(timeout: float) -> float:
    """Seconds that a clock can wait for; ValueError for any others, infinity and NaN among them."""
    if not 0 < timeout <= DAY:
        raise ValueError(
            f"timeout={timeout:g} is not above 0 and at most {DAY:g}: it is a number of seconds, up to a day"
        )
    return timeout


class TimeoutExceededError(Exception):
    """A check took longer than its profile allows: the subject hangs, or is far too slow."""


def run_within(seconds: float, work: Callable[[], Finding]) -> Finding:
    """`work` in a thread of its own, given up after `seconds`."""
    attempt = Attempt(work)
    attempt.start()
    attempt.join(seconds)
    if not attempt.finished:
        assert attempt.ident is not None
        hung = TimeoutExceededError(f"no answer within {seconds:g} s")
        if (frame := sys._current_frames().get(attempt.ident)) is not None:
            hung.add_note("it was at:\n" + "".join(traceback.format_stack(frame)[-2:]))
        attempt.give_up()
        raise hung
    match attempt.finished[0]:
        case Finding() as finding:
            return finding
        case Exception() as error:
            raise error
        case leaving:  # SystemExit and its like end the check, not the run
            raise SubjectError(described(leaving)) from leaving
