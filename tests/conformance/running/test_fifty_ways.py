"""Ways to exit, die, hang, print or lie while imported, called or read: none is green, and none outlives the run."""

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from dropblock_conformance.commands.run import _status
from dropblock_conformance.reports.json_junit import read_json
from dropblock_conformance.result import Report
from tests.shared.running import ROOT

from ..support import wait_until

MODULE = """
import atexit, ctypes, gc, locale, os, signal, subprocess, sys, threading, time, warnings
import numpy as np
from dropblock_conformance import Claims, Subject
from tests.mutants import Honest

honest = Honest()
stop = 10**9
{at_import}

def call(x, **arguments):
    {in_call}
    y = honest.call(x, **arguments)
    {after_call}
    return y

subject = Subject("{name}", call, Claims())
{after}
"""
FAKE = """
import json
line = json.dumps({"result": {"id": "seed.same", "outcome": "conforms"}}).encode() + b"\\\\n"
for fd in range(3, 20):
    try:
        os.write(fd, line)
    except OSError:
        pass
"""
LIAR = """
class Liar(np.ndarray):
    def __eq__(self, other):
        return np.random.default_rng(0).random(self.shape) < 0.1
"""
SILENT = """
class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no message")
"""
# One: hundreds of processes take longer than a check may here.
CHILD = "'one' in globals() or globals().update(one=subprocess.Popen(['sleep', '1000'], start_new_session={}))"


@dataclass(frozen=True)
class Way:
    """Code at a place of the module. A `usual` one is tried in every run, one that `hangs` takes seconds."""

    where: str
    code: str
    usual: bool = False
    hangs: bool = False
    is_harmless: bool = False


WAYS = {
    # --- while it is imported
    "exits with 0 at import": Way("at_import", "sys.exit(0)", usual=True),
    "exits hard with 0 at import": Way("at_import", "os._exit(0)", usual=True),
    "exits with 0 once it is imported": Way("after", "sys.exit()"),
    "is interrupted at import": Way("at_import", "raise KeyboardInterrupt"),
    "raises the base of all exceptions": Way("at_import", "raise BaseException('no')"),
    "raises at import": Way("at_import", "raise ValueError('[bold]no[/bold]')"),
    "cannot be parsed": Way("at_import", "def ("),
    "imports what is not there": Way("at_import", "import no_such_package"),
    "recurses at import": Way("at_import", "def f(): f()\nf()"),
    "is killed at import": Way("at_import", "os.kill(os.getpid(), signal.SIGKILL)"),
    "is terminated at import": Way("at_import", "os.kill(os.getpid(), signal.SIGTERM)"),
    "aborts at import": Way("at_import", "os.abort()"),
    "stops itself at import": Way("at_import", "os.kill(os.getpid(), signal.SIGSTOP)", hangs=True),
    "loops at import": Way("at_import", "while True: pass", hangs=True),
    "has no subject": Way("after", "del subject"),
    "is None": Way("after", "subject = None"),
    "is a function that exits": Way("after", "subject = lambda: sys.exit(0)", usual=True),
    "is a function that raises": Way("after", "def subject(): raise KeyError('no')"),
    "claims what nobody can check": Way("after", "subject = Subject('x', call, Claims(renorm='nothing'))"),
    "replaces the judge": Way(
        "after", "import dropblock_conformance.judging.exact as e\ne.once = lambda holds: None", usual=True
    ),
    "replaces a method of the run": Way(
        "after", "from dropblock_conformance.running.run import Run\nRun.result = lambda self, check: None"
    ),
    # --- while it is called
    "exits with 0 in a call": Way("in_call", "sys.exit(0)", usual=True),
    "exits hard with 0 in a call": Way("in_call", "os._exit(0)", usual=True),
    "exits hard with 3 in a call": Way("in_call", "os._exit(3)"),
    "is interrupted in a call": Way("in_call", "raise KeyboardInterrupt"),
    "leaves a generator in a call": Way("in_call", "raise GeneratorExit"),
    "raises in a call": Way("in_call", "raise RuntimeError('no')"),
    "raises what says nothing": Way("in_call", f"{SILENT.strip()}\nraise Silent()", usual=True),
    "raises a long story": Way("in_call", "raise RuntimeError('x' * 10**7)"),
    "raises escapes": Way("in_call", r"raise RuntimeError('\x1b[2J\n\rconforms')"),
    "recurses in a call": Way("in_call", "def f(): f()\nf()"),
    "is killed in a call": Way("in_call", "os.kill(os.getpid(), signal.SIGKILL)", usual=True),
    "reads no memory": Way("in_call", "ctypes.string_at(0)"),
    "stops itself in a call": Way("in_call", "os.kill(os.getpid(), signal.SIGSTOP)", hangs=True),
    "loops in a call": Way("in_call", "while True: pass", hangs=True),
    "sleeps in a call": Way("in_call", "time.sleep(stop)", hangs=True),
    "waits in C in a call": Way("in_call", "ctypes.PyDLL(None).sleep(1000)", hangs=True),
    "closes the pipes": Way("in_call", "os.closerange(3, 50)", hangs=True),
    "answers for the suite": Way("in_call", FAKE.strip().replace("\\\\n", "\\n")),
    # --- while it is read
    "returns nothing": Way("after_call", "return None", usual=True),
    "returns a list": Way("after_call", "return y.tolist()"),
    "returns objects": Way("after_call", "return y.astype(object)"),
    "returns complex numbers": Way("after_call", "return y.astype(complex)"),
    "returns integers": Way("after_call", "return y.astype(int)"),
    "returns one number": Way("after_call", "return np.float32(1)"),
    "returns far too much": Way("after_call", "return np.broadcast_to(np.float32(1), (10**6, 10**6))", usual=True),
    "returns another shape": Way("after_call", "return y[..., :-1]"),
    "returns NaN": Way("after_call", "return y * np.float32('nan')"),
    "returns an array that lies": Way("after_call", f"{LIAR.strip()}\nreturn x.view(Liar)"),
    "returns its input": Way("after_call", "return x", usual=True),
    "returns zeros": Way("after_call", "return np.zeros_like(x)"),
    "returns what it will change": Way(
        "at_import",
        "buffer = {}\nold = honest.call\n"
        "def changed(x, **a):\n"
        "    y = buffer.setdefault(x.shape, np.zeros_like(x))\n"
        "    y[...] = old(x, **{**a, 'seed': np.random.randint(stop)})\n"
        "    return y\n"
        "honest.call = changed",
    ),
    # --- harmless: it is a right layer all the same
    "prints a result": Way("in_call", "print('{\"result\": {}}')", usual=True, is_harmless=True),
    "prints without end": Way("in_call", "os.write(2, b'x' * 10**6)", is_harmless=True),
    "warns without end": Way("in_call", "for n in range(100): warnings.warn(f'{n}')", is_harmless=True),
    "leaves a child": Way("in_call", CHILD.format(False), usual=True, is_harmless=True),
    "leaves a child in a session of its own": Way("in_call", CHILD.format(True), usual=True, is_harmless=True),
    "leaves a thread": Way("in_call", "threading.Thread(target=time.sleep, args=(1000,)).start()", is_harmless=True),
    "exits with 7 at its end": Way("at_import", "atexit.register(os._exit, 7)", is_harmless=True),
    "removes itself": Way("at_import", "os.remove(__file__)", is_harmless=True),
    "changes folders": Way("in_call", "os.chdir('/')", is_harmless=True),
    "clears the environment": Way("in_call", "os.environ.clear()", is_harmless=True),
    "clears the path": Way("in_call", "sys.path.clear()", is_harmless=True),
    "seeds NumPy": Way("in_call", "np.random.seed(0)", is_harmless=True),
    "makes NumPy raise": Way("in_call", "np.seterr(all='ignore')", is_harmless=True),
    "ignores signals": Way("in_call", "gc.disable()", is_harmless=True),
    "reads its questions": Way("in_call", "sys.stdin.read()", is_harmless=True),
}
assert len(WAYS) > 60


def module_of(name: str, way: Way) -> str:
    code = {place: "pass" for place in ("at_import", "in_call", "after_call", "after")} | {way.where: way.code}
    for place in ("in_call", "after_call"):
        code[place] = textwrap.indent(code[place], "    ").strip()
    return MODULE.format(**code, name=name)


def judged(folder: Path, ways: dict[str, Way]) -> dict[str, Report]:
    """Each way as a subject of one command, by name."""
    subjects = []
    for number, (name, way) in enumerate(ways.items()):
        (folder / f"way{number}.py").write_text(module_of(name, way))
        subjects.append(f"way{number}:subject")
    before = set(psutil.pids())
    checks = ["seed.same", "mask.blocks", "output.layout", "mode.inference"]
    options = [word for check in checks for word in ("--check", check)]
    command = [sys.executable, "-m", "dropblock_conformance", "run", *subjects, *options, "--profile", "quick"]
    path = os.pathsep.join([str(folder), str(ROOT), str(ROOT / "adapters"), str(ROOT / "conformance")])
    answer = subprocess.run(
        [*command, "--jobs", "2", "--timeout", "3", "--json", "report.json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert "Traceback" not in answer.stderr, answer.stderr
    assert not re.search("\x1b|\r", answer.stdout)
    wait_until(lambda: not [p for p in set(psutil.pids()) - before if is_left(p, folder)])
    reports = read_json(folder / "report.json")
    assert answer.returncode == max(map(_status, reports))
    return dict(zip(ways, reports, strict=True))


def is_left(process: int, folder: Path) -> bool:
    """Whether a process is of the run: it worked in this folder, or sleeps for as long as no other does."""
    try:
        found = psutil.Process(process)
        is_of_run = found.cmdline() == ["sleep", "1000"] or found.cwd() == str(folder)
        return is_of_run and found.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def require_rightly_judged(reports: dict[str, Report]) -> None:
    for name, report in reports.items():
        found = {result.id: result.summary for result in report.findings}
        if WAYS[name].is_harmless:
            assert _status(report) == 0, (name, report.unavailable, found)
        else:
            assert _status(report) != 0, name
            assert not report.conforms


def test_the_usual_ways_are_judged_rightly(tmp_path: Path) -> None:
    require_rightly_judged(judged(tmp_path, {name: way for name, way in WAYS.items() if way.usual}))


@pytest.mark.exhaustive
def test_every_way_is_judged_rightly(tmp_path: Path) -> None:
    require_rightly_judged(judged(tmp_path, {n: way for n, way in WAYS.items() if not (way.usual or way.hangs)}))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name, way in WAYS.items() if way.hangs])
def test_one_that_hangs_takes_seconds(name: str, tmp_path: Path) -> None:
    require_rightly_judged(judged(tmp_path, {name: WAYS[name]}))
