"""One subject in a process of its own, which runs one check after another: both ends of the pipe, a line of JSON each.

Keras has one backend a process, two frameworks may not bear each other, and a subject that dies takes only its process.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, Any

from dropblock_conformance.judging.check import PROFILES, all_checks, find
from dropblock_conformance.pipe.protocol import last_words, pipes
from dropblock_conformance.result import Outcome, Report, Result
from dropblock_conformance.running.run import CHECK_THREAD, Run, command_to_repeat, versions
from dropblock_conformance.subjects import BUILT_IN, WORKER, load

GRACE = 10.0  # seconds to end, for a process that no longer answers


@dataclass(frozen=True)
class Order:
    """What is asked of one subject; `name` as :func:`load` takes it, the rest as in :class:`Run`."""

    name: str
    profile: str = "standard"
    seed: int = 0
    checks: tuple[str, ...] | None = None
    subjects_in_run: int = 1
    timeout: float | None = None

    def validate(self) -> None:
        """Refuse what can be refused without loading a built-in's framework.

        Raises:
            ValueError: the message says what is wrong.
        """
        if self.name in BUILT_IN or self.name.startswith(WORKER):
            find(self.checks or ())
        else:
            self.run()

    def run(self) -> Run:
        """The run in this process.

        Raises:
            ValueError: the subject cannot be had, or what it declares is wrong.
        """
        candidate = load(self.name)
        options = {key: value for key, value in asdict(self).items() if key != "name"}
        return Run(candidate.subject, expect=candidate.expect, repeat=candidate.repeat, **options)

    @property
    def patience(self) -> float:
        """Seconds for a check, tried twice at most: after these a process has hung where nothing interrupts it."""
        return 2 * (PROFILES[self.profile].timeout if self.timeout is None else self.timeout) + 60


class UnavailableError(Exception):
    """The subject cannot be had here; the message says why."""


def unavailable(order: Order, reason: str) -> Report:
    """The report of a subject that cannot be had."""
    return Report(order.name, None, order.profile, order.seed, 0.0, [], [], 0.0, versions(), reason)


class Isolated:
    """A process for one subject. It is started anew when a check killed it, or hung and was left behind.

    Both methods raise UnavailableError where the subject cannot be had.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self._opening: Report | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped, self._lock = False, threading.Lock()
        # Unbuffered: the process moves the same place in the file.
        self._noise = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the process

    def opening(self) -> Report:
        """What is known before the subject is called."""
        if self._opening is None:
            self._start()
        assert self._opening is not None
        return self._opening

    def result(self, check_id: str) -> Result:
        """The result of a check; of a subject that dies with its process, that it crashed."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        answer = self._ask({"check": check_id})
        if answer is None:
            return self._died(check_id)
        if answer["leaves"]:
            self._end()
        return Result.from_json(answer["result"])

    def stop(self) -> None:
        """Kill the process, from any thread, and start none any more: who waits for its answer waits no longer."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.poll() is None:
                _kill(self._process)

    def close(self) -> None:
        """End the process, whatever it does."""
        self.stop()
        self._end()
        self._noise.close()

    def _start(self) -> None:
        self._end()
        self._noise.seek(0)
        self._noise.truncate()
        # Not by PYTHONPATH, which a --worker in another environment would inherit.
        path = [str(folder) for folder in sys.path]
        program = f"import sys; sys.path[:] = {path!a}; from dropblock_conformance.running.process import main; main()"
        with self._lock:
            if self._stopped:
                raise UnavailableError("the run was stopped")
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._noise,
                # One thread a process where several run at once: more would only wait for one another.
                env={"OMP_NUM_THREADS": "1", **os.environ},
                start_new_session=True,  # an interrupt is for the process that waits for this one
            )
        answer = self._ask(asdict(self.order))
        if answer is None:
            self._end()
            raise UnavailableError(f"its process ended while it was loaded: {last_words(self._noise)}")
        if "unavailable" in answer:
            self._end()
            raise UnavailableError(answer["unavailable"])
        self._opening = Report.from_json(answer["opening"])

    def _ask(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """The process's answer; None if it died, or answers nothing and is killed."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        impatience = threading.Timer(self.order.patience, _kill, [self._process])
        impatience.start()
        try:
            _send(self._process.stdin, question)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = b""
        finally:
            impatience.cancel()
        # Half a line is the answer of a process that died over it.
        answer: dict[str, Any] | None = json.loads(line) if line.endswith(b"\n") else None
        return answer

    def _end(self, patience: float = 0.0) -> int:
        """The exit status of the process, which has `patience` seconds to end by itself, and is then killed."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
        _kill(process)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        return process.wait()

    def _died(self, check_id: str) -> Result:
        check, status = all_checks()[check_id], self._end(GRACE)
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        summary = f"the subject's process ended with {how}, or was ended after {self.order.patience:g} s"
        return Result(
            id=check_id,
            outcome=Outcome.CRASHED,
            rule=check.rule,
            evidence={"summary": summary, "traceback": last_words(self._noise).splitlines(), "attempts": []},
            title=check.title,
            effect=None,
            seconds=0.0,
            repeat=command_to_repeat(
                self.order.name, self.order.profile, self.order.seed, self.order.subjects_in_run, check_id
            ),
        )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and whatever it started: a --worker that hangs would stay."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _send(pipe: IO[bytes], message: dict[str, Any]) -> None:
    pipe.write(json.dumps(message).encode() + b"\n")
    pipe.flush()


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """The process's end: an order first, then the id of one check after another."""
    order = json.loads(questions.readline())
    if order["checks"] is not None:
        order["checks"] = tuple(order["checks"])
    try:
        run = Order(**order).run()
    except ValueError as error:
        return _send(answers, {"unavailable": str(error)})
    _send(answers, {"opening": run.opening().as_json()})
    checks = {check.id: check for check in run.checks}
    for question in questions:
        result = run.result(checks[json.loads(question)["check"]])
        hung = any(thread.name == CHECK_THREAD for thread in threading.enumerate())
        _send(answers, {"result": asdict(result), "leaves": hung})
        if hung:
            return None
    return None


def main() -> None:
    questions, answers = pipes()
    serve(questions, answers)
    os._exit(0)  # past threads that hang, and past a framework's own way out
