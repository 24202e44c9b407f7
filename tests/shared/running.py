"""How tests look at a run: how often a function is traced, and what a program prints in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Traces:
    """A function that counts how often Python runs it: in a program, how often it is traced."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.count = function, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        return self.function(*args, **kwargs)


def run_python(code: str) -> str:
    """What `code` prints in an interpreter of its own, where a warning is an error."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV_")}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, check=False, cwd=ROOT, env=environment,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout
