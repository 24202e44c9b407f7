# SPDX-License-Identifier: Apache-2.0
"""A try at a check, in a thread that can be given up without harm to the rest of the process."""

import ctypes
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Attempt(threading.Thread):
    """Runs `work` and keeps what it returned or raised.

    One that is given up stops before it calls the subject again. In the subject's own code, a busy loop say, it is
    interrupted; anywhere else it is not, since an interrupt that lands in a callback of Python's is lost, and shows up
    in whatever runs then.
    """

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(name="a check", daemon=True)
        self._work = work
        self.finished: list[Any] = []  # what was returned, or the exception
        self.is_given_up = False
        self.is_in_subject = False

    def run(self) -> None:
        try:
            self.finished.append(self._work())
        except BaseException as error:  # for who waits for this thread
            self.finished.append(error)

    def give_up(self) -> None:
        self.is_given_up = True
        # Under a tracer (a debugger, coverage) CPython 3.11 spins for ever if the interrupted thread is blocked in C.
        if self.is_in_subject and sys.gettrace() is None:
            assert self.ident is not None
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(KeyboardInterrupt))


def in_subject(function: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Call the subject's own code.

    Raises:
        KeyboardInterrupt: this attempt was given up. Hypothesis, which would try again after any other exception, lets
            an interrupt pass.
    """
    attempt = threading.current_thread()
    if not isinstance(attempt, Attempt):
        return function(*arguments, **options)
    if attempt.is_given_up:
        raise KeyboardInterrupt
    attempt.is_in_subject = True
    try:
        return function(*arguments, **options)
    finally:
        attempt.is_in_subject = False
