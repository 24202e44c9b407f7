# SPDX-License-Identifier: Apache-2.0
"""One subject in a process of its own, which runs one check after another: both ends of the pipe.

Keras has one backend a process, some frameworks cannot be loaded together, and a subject that dies takes only its own
process with it. A message is a line of JSON.
"""

import json
import os
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from dropblock_conformance.checks import all_checks
from dropblock_conformance.judging.attempt import Attempt
from dropblock_conformance.pipe.child import GRACE, ChildProcess
from dropblock_conformance.pipe.protocol import pipes
from dropblock_conformance.result import Outcome, Report, Result
from dropblock_conformance.running.order import Order, UnavailableError
from dropblock_conformance.running.source import sources
from dropblock_conformance.running.tampering import parts, replaced
from dropblock_conformance.subject import Deviation, from_json


class Isolated:
    """A process for one subject. It is started anew when a check killed it, or hung and was left behind.

    Both methods raise UnavailableError where the subject cannot be had.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        self._opening: Report | None = None
        self._child: ChildProcess | None = None
        self._stopped, self._lock = False, threading.Lock()

    def opening(self) -> Report:
        """What is known before the subject is called."""
        if self._opening is None:
            self._start()
        assert self._opening is not None
        return self._opening

    def result(self, check_id: str) -> Result:
        """The result of a check; of a subject that dies with its process, that it crashed."""
        if self._child is None or not self._child.is_running:
            self._start()
        answer = self._ask({"check": check_id})
        try:
            result = None if answer is None else Result.from_json(answer["result"])
        except (LookupError, TypeError, ValueError):  # not of this suite
            result = None
        if answer is None or result is None or result.id != check_id:
            return self._died(check_id)
        if answer.get("leaves"):
            self._end()
        return result

    def stop(self) -> None:
        """Kill the process, from any thread, and start none any more: who waits for its answer waits no longer."""
        with self._lock:
            self._stopped = True
            if self._child is not None and self._child.is_running:
                self._child.kill()

    def close(self) -> None:
        """End the process, whatever it does."""
        self.stop()
        self._end()

    def _start(self) -> None:
        self._end()
        # Not by PYTHONPATH, which a --worker in another environment would inherit.
        path = [str(folder) for folder in dict.fromkeys((*sys.path, str(Path.cwd())))]
        program = f"import sys; sys.path[:] = {path!a}; from dropblock_conformance.running.process import main; main()"
        # One thread a process where several run at once: more would only wait for one another.
        threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
        with self._lock:
            if self._stopped:
                raise UnavailableError("the run was stopped")
            # In a session of its own: an interrupt is for the process that waits for this one, and a --worker that
            # hangs is killed with it.
            self._child = ChildProcess([sys.executable, "-c", program], environment=threads, own_session=True)
        answer = self._ask(asdict(self.order))
        if answer is None:
            raise UnavailableError(f"its process ended while it was loaded: {self._end()[1]}")
        if "unavailable" in answer:
            self._end()
            raise UnavailableError(answer["unavailable"])
        self._opening = Report.from_json(answer["opening"])

    def _ask(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """The process's answer; None if it died, or answers nothing and is killed."""
        child = self._child
        assert child is not None
        impatience = threading.Timer(self.order.patience, child.kill)
        impatience.start()
        try:
            _send(child.questions, question)
            line = child.answers.readline()
        except BrokenPipeError:
            line = b""
        finally:
            impatience.cancel()
        # Half a line is the answer of a process that died over it, and another one that of somebody else.
        try:
            answer = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            answer = None
        if not (isinstance(answer, dict) and {"opening", "unavailable", "result"} & set(answer)):
            child.kill()
            return None
        return answer

    def _end(self, patience: float = 0.0) -> tuple[int, str]:
        """The exit status of the process, and its last words."""
        child, self._child = self._child, None
        return (0, "") if child is None else (child.end(patience), child.last_words)

    def _died(self, check_id: str) -> Result:
        check, (status, last_words) = all_checks()[check_id], self._end(GRACE)
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        summary = f"the subject's process ended with {how}, or was ended after {self.order.patience:g} s"
        return Result(
            id=check_id,
            outcome=Outcome.CRASHED,
            rule=check.rule,
            evidence={"summary": summary, "traceback": last_words.splitlines(), "attempts": [], "died": how},
            title=check.title,
            effect=None,
            seconds=0.0,
            repeat=self.order.repeat(check_id),
            level=check.level,
            severity=check.severity,
        )


def _send(pipe: IO[bytes], message: dict[str, Any]) -> None:
    pipe.write(json.dumps(message).encode() + b"\n")
    pipe.flush()


def serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    """The process's end: an order first, then the id of one check after another."""
    order = json.loads(questions.readline())
    if order["checks"] is not None:
        order["checks"] = tuple(order["checks"])
    order["expect"] = tuple(Deviation(**from_json(one)) for one in order.get("expect", ()))
    suite = parts()
    try:
        run = Order(**order).run()
    except ValueError as error:
        return _send(answers, {"unavailable": str(error)})
    if changed := replaced(suite):
        return _send(answers, {"unavailable": f"it replaces parts of the suite: {', '.join(changed[:5])}"})
    _send(answers, {"opening": replace(run.opening(), sources=sources(order["name"])).as_json()})
    checks = {check.id: check for check in run.checks}
    for question in questions:
        check = checks[json.loads(question)["check"]]
        result = run.result(check)
        if changed := replaced(suite):
            evidence = {"summary": f"the subject replaced parts of the suite: {', '.join(changed[:5])}", "attempts": []}
            result = replace(result, outcome=Outcome.CRASHED, evidence=evidence, severity=check.severity)
        hung = any(isinstance(thread, Attempt) for thread in threading.enumerate())
        _send(answers, {"result": asdict(result), "leaves": hung})
        if hung:
            return None
    return None


def main() -> None:
    questions, answers = pipes()
    serve(questions, answers)
    os._exit(0)  # past threads that hang, and past a framework's own way out
