# SPDX-License-Identifier: Apache-2.0
"""A subject that answers over a pipe: an implementation in another interpreter, environment or language."""

import shlex
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from dropblock_conformance.judging.check import NotApplicableError
from dropblock_conformance.pipe.child import GRACE, ChildProcess
from dropblock_conformance.pipe.protocol import PROTOCOL, ProtocolError, receive, send
from dropblock_conformance.subject import Array, Claims, Deviation, Subject, from_json

Candidate = tuple[Subject, list[Deviation]]


class WorkerError(Exception):
    """The worker raised (then this is a subclass of its exception's name), ended, or does not keep to the protocol."""


class WorkerClient:
    """The asking end of a process that answers, started anew when it has ended.

    The process ends with this object, or with this process.

    Args:
        command: as typed into a shell, but run without one.
    """

    def __init__(self, command: str) -> None:
        self._command = command
        self._child: ChildProcess | None = None
        self._lock = threading.Lock()  # one question, one answer, whatever thread asks

    def ask(self, header: dict[str, Any], *arrays: Array) -> tuple[dict[str, Any], list[Array]]:
        """The worker's answer. An exception of the worker is raised here, under its own name."""
        with self._lock:
            child = self._running()
            try:
                with suppress(BrokenPipeError):  # it may have said why
                    send(child.questions, header, arrays)
                answer = receive(child.answers)
            except ProtocolError as error:
                child.end()
                raise WorkerError(f"{self._command}: {error}") from error
            except BaseException:  # an interrupt, say: the answer that is on its way is to no other question
                child.end()
                raise
            if answer is None:
                how = f"the worker ended with exit status {child.end(GRACE)}: {child.last_words}"
                raise WorkerError(f"{self._command}: {how}")
        if (told := answer[0].get("error")) is not None:
            if not isinstance(told, dict):
                raise WorkerError(str(told))
            raise type(str(told.get("type", "Error")), (WorkerError,), {})(told.get("message", ""))
        return answer

    def _running(self) -> ChildProcess:
        if self._child is None or not self._child.is_running:
            try:
                self._child = ChildProcess(shlex.split(self._command))
            except (OSError, ValueError, LookupError) as error:
                raise WorkerError(f"{self._command}: the worker cannot be started: {error}") from error
            weakref.finalize(self, self._child.end)
        return self._child


def connect(command: str) -> Candidate:
    """Start a worker, and take what it says of itself.

    Raises:
        ValueError: it does not start, or its answer to "hello" is not one.
    """
    worker = WorkerClient(command)
    latest = 0  # schedule: a worker has one under way
    try:
        said, _ = worker.ask({"do": "hello", "protocol": PROTOCOL})
    except WorkerError as error:
        raise ValueError(str(error)) from error
    if said.get("protocol") != PROTOCOL:
        raise ValueError(f"{command}: the worker speaks protocol {said.get('protocol')!r}, not {PROTOCOL}")

    def call(x: Array, **arguments: Any) -> Array:
        (y,) = _arrays(worker, 1, {"do": "call", **arguments}, x)
        return y

    def grad(x: Array, dy: Array, **arguments: Any) -> tuple[Array, Array]:
        y, dx = _arrays(worker, 2, {"do": "grad", **arguments}, x, dy)
        return y, dx

    def schedule(keep_prob: float, steps: int) -> Iterable[float]:
        nonlocal latest
        latest += 1
        answer, _ = worker.ask({"do": "schedule", "keep_prob": keep_prob, "steps": steps})
        return answer["values"] if "values" in answer else following(steps, latest)

    def following(steps: int, number: int) -> Iterator[float]:
        asked = 0
        try:
            if number != latest:
                raise NotApplicableError("a worker follows one schedule at a time")
            while (value := next_value()) is not None:
                asked += 1
                yield value
        except GeneratorExit:  # left early: the worker's own is to come to its end
            while number == latest and asked <= steps + 1 and next_value() is not None:
                asked += 1
            raise

    def next_value() -> Any:
        return worker.ask({"do": "next"})[0].get("value")

    try:
        claims = Claims(**from_json(said.get("claims", {})))
        expect = [Deviation(**from_json(one)) for one in said.get("expect", [])]
        subject = Subject(
            str(said["name"]),
            call,
            claims,
            grad if said.get("grad") else None,
            schedule if said.get("schedule") else None,
            bool(said.get("compiles")),
        )
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"{command}: what the worker says of itself is wrong: {error}") from error
    return subject, expect


def _arrays(worker: WorkerClient, number: int, header: dict[str, Any], *arrays: Array) -> list[Array]:
    _, answer = worker.ask(header, *arrays)
    if len(answer) != number:
        raise WorkerError(f"the worker answered {header['do']!r} with {len(answer)} arrays, not {number}")
    return answer
