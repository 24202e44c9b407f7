"""A check in a thread of its own, given up when it takes too long."""

import ctypes
import sys
import threading
import traceback
from collections.abc import Callable

from dropblock_conformance.judging.answers import SubjectError
from dropblock_conformance.judging.check import Finding

CHECK_THREAD = "a check"


class TimeoutExceededError(Exception):
    """A check took longer than its profile allows: the subject hangs, or is far too slow."""


def run_within(seconds: float, work: Callable[[], Finding]) -> Finding:
    """`work` in a thread of its own, given up after `seconds`.

    A thread that is given up is interrupted at its next line of Python, so that a busy loop does not slow the rest;
    Hypothesis, which would try again after any other exception, lets an interrupt pass.
    """
    finished: list[Finding | BaseException] = []

    def target() -> None:
        try:
            finished.append(work())
        except BaseException as error:  # handed to the caller's thread below
            finished.append(error)

    thread = threading.Thread(target=target, name=CHECK_THREAD, daemon=True)
    thread.start()
    thread.join(seconds)
    if not finished:
        assert thread.ident is not None
        hung = TimeoutExceededError(f"no answer within {seconds:g} s")
        if (frame := sys._current_frames().get(thread.ident)) is not None:
            hung.add_note("it was at:\n" + "".join(traceback.format_stack(frame)[-2:]))
        # Under a tracer (a debugger, coverage) CPython 3.11 spins for ever if the interrupted thread is blocked in C.
        if sys.gettrace() is None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt)
            )
        raise hung
    match finished[0]:
        case Finding() as finding:
            return finding
        case Exception() as error:
            raise error
        case leaving:  # SystemExit and its like end the check, not the run
            raise SubjectError(f"{type(leaving).__name__}: {leaving}") from leaving
