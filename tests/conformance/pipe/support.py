"""What the tests of the pipe share: messages in bytes, a module of subjects, and the commands of workers."""

import io
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

from dropblock_conformance.pipe.protocol import send
from dropblock_conformance.subject import Array

X = np.arange(1.0, 17.0, dtype=np.float32).reshape(1, 1, 4, 4)


def sent(header: dict[str, Any], *arrays: Array) -> bytes:
    pipe = io.BytesIO()
    send(pipe, header, arrays)
    return pipe.getvalue()


MODULE = """
import os, sys
from dropblock_conformance import Deviation, Subject
from tests.mutants import MUTANTS, Honest

print("hello from the module")
wrong = MUTANTS["ScaleByKeepProb"].build().subject("wrong")
honest = Honest()

def schedule(keep_prob, steps):  # of finished values
    return [1 - step / steps * (1 - keep_prob) for step in range(steps)] + [keep_prob]

habit = Subject("wrong", wrong.call, wrong.claims, schedule=schedule)
known = habit, [Deviation("scale.claimed", "an old habit", effect=(0, 5))]

def fails(x, *, training, **arguments):
    if not training:
        raise ZeroDivisionError("in there")
    return honest.call(x, training=training, **arguments)

raising = Subject("raising", fails), [Deviation("mode.inference", "known", raises=ZeroDivisionError)]

def dies(x, *, training, **arguments):
    if not training:
        print("the last words", file=sys.stderr, flush=True)
        os._exit(4)
    print(os.getpid())
    assert sys.stdin.read() == "", "questions are no input"
    return honest.call(x, training=training, **arguments)

dying = Subject("dying", dies)
"""
# In place of PYTHONPATH, which the interpreter of a worker need not share.
SERVE = "import sys; sys.path[:] = {path!r}; from dropblock_conformance.worker import main; main()"


def worker(name: str) -> str:
    """The command of a worker for a subject by name."""
    return shlex.join([sys.executable, "-c", SERVE.format(path=sys.path), name])


def script(tmp_path: Path, text: str) -> str:
    """The command of a worker of some lines of Python."""
    file = tmp_path / "worker.py"
    file.write_text(text)
    return shlex.join([sys.executable, str(file)])
