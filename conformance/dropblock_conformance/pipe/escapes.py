# SPDX-License-Identifier: Apache-2.0
"""Processes that a child started and moved out of its session: Linux tells them by what they inherited."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MARK = "DROPBLOCK_CONFORMANCE_CHILD"


def marked(mark: str) -> Iterator[int]:
    """The processes that inherited a mark in their environment. None where there is no /proc."""
    sought = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is another user's
            if sought in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def kill_marked(mark: str) -> None:
    for process in marked(mark):
        if process != os.getpid():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
