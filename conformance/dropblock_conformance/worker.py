# SPDX-License-Identifier: Apache-2.0
"""Answer for a subject over a pipe: ``python -m dropblock_conformance.worker SUBJECT``, in any environment."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import IO, Any

from dropblock_conformance.pipe.protocol import PROTOCOL, Message, encoded, pipes, receive
from dropblock_conformance.subject import Array
from dropblock_conformance.subjects import Candidate, load


def serve(candidate: Candidate, questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until the questions end. An exception of the subject is an answer too."""
    subject = candidate.subject
    call, grad, schedule = subject.call, subject.grad, subject.schedule
    values: Iterator[float] = iter(())

    def answer(do: str, options: dict[str, Any], arrays: list[Array]) -> Message:
        nonlocal values
        match do:
            case "hello":
                return _about(candidate), []
            case "call":
                return {}, [call(*arrays, **options)]
            case "grad" if grad is not None:
                return {}, list(grad(*arrays, **options))
            case "schedule" if schedule is not None:
                found = schedule(options["keep_prob"], options["steps"])
                if not isinstance(found, Iterator):  # finished: no call can come between two of them
                    return {"values": [float(value) for value in islice(found, options["steps"] + 2)]}, []
                values = found
                return {}, []
            case "next":
                value = next(values, None)
                return {"value": None if value is None else float(value)}, []
        raise ValueError(f"{subject.name} does not know how to {do!r}")

    while (message := receive(questions)) is not None:
        options, arrays = message
        try:
            parts = encoded(*answer(options.pop("do"), options, arrays))
        except Exception as error:
            parts = encoded({"error": {"type": type(error).__name__, "message": str(error)}})
        answers.writelines(parts)
        answers.flush()


def _about(candidate: Candidate) -> dict[str, Any]:
    subject = candidate.subject
    expect = [asdict(deviation) for deviation in candidate.expect]
    for one in expect:
        if isinstance(one["raises"], type):
            one["raises"] = one["raises"].__name__
    return {
        "protocol": PROTOCOL,
        "name": subject.name,
        "claims": asdict(subject.claims),
        "grad": subject.grad is not None,
        "schedule": subject.schedule is not None,
        "compiles": subject.compiles,
        "expect": expect,
    }


def main() -> None:
    questions, answers = pipes()
    try:
        candidate = load(sys.argv[1])
    except (IndexError, ValueError) as error:
        sys.exit(f"python -m dropblock_conformance.worker SUBJECT: {error}")
    serve(candidate, questions, answers)


if __name__ == "__main__":
    main()
