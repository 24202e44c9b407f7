# SPDX-License-Identifier: Apache-2.0
"""A process that is asked through its stdin and answers through its stdout."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO
from uuid import uuid4

from dropblock_conformance.pipe.escapes import MARK, kill_marked

GRACE = 10.0  # seconds to end by itself, for a process that no longer answers


MOST_WORDS = 4000  # of its last ones, in bytes


def guarded(session: int) -> subprocess.Popen[bytes]:
    """A process that kills a session when this process is no more, however it ended: their pipe closes with it."""
    program = f"read _; kill -KILL -- -{session}"
    return subprocess.Popen(["/bin/sh", "-c", program], stdin=subprocess.PIPE, start_new_session=True)


class ChildProcess:
    """A process, what it is asked and answers, and what it prints to stderr, which is shown when it dies.

    Args:
        command: the program and its arguments.
        environment: variables beside those of this process.
        own_session: whatever it starts is killed with it, and an interrupt from the terminal does not reach it.

    Raises:
        OSError, ValueError: it cannot be started.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, own_session: bool = False
    ) -> None:
        self._own_session, self._mark = own_session, uuid4().hex
        self._last_words = ""
        # Unbuffered: the process moves the same place in the file.
        self._stderr = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `end`
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env={**os.environ, **(environment or {}), **({MARK: self._mark} if own_session else {})},
                start_new_session=own_session,
            )
        except BaseException:
            self._stderr.close()
            raise
        self._guard = guarded(self._process.pid) if own_session else None

    @property
    def questions(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def answers(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """Kill it, from any thread: who waits for its answer waits no longer."""
        if not self._own_session:
            self._process.kill()
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self, patience: float = 0.0) -> int:
        """Its exit status, after `patience` seconds to end by itself; then it is killed. May be called again."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self.kill()
        if self._guard is not None:
            kill_marked(self._mark)
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
        for pipe in (self.questions, self.answers):
            with suppress(BrokenPipeError):
                pipe.close()
        status = self._process.wait()
        if not self._stderr.closed:
            self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - MOST_WORDS))
            self._last_words = "\n".join(self._stderr.read().decode(errors="replace").splitlines()[-8:])
            self._stderr.close()
        return status

    @property
    def last_words(self) -> str:
        """The end of what it printed to stderr, once it has ended."""
        return self._last_words or "it said nothing"
