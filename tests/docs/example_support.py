"""What the tests of the training examples share: all three have the same options, checkpoints and refusals."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
FEW = ["--data", "digits", "--limit", "130", "--batch-size", "32", "--epochs", "2"]  # four steps an epoch, and a rest
# What is no checkpoint, whatever the format: writers that take the path and the bytes of one.
NO_CHECKPOINTS = {
    "text": lambda path, whole: path.write_text("no checkpoint\n"),
    "empty": lambda path, whole: path.write_bytes(b""),
    "half": lambda path, whole: path.write_bytes(whole[: len(whole) // 2]),
}


# An example as a program: its module, and options that end in a checkpoint. It runs to the end, keeping the checkpoint
# after one epoch, which is that of a run stopped there; goes on from a copy of that; and is asked to go on once more.
WHOLE = """
import importlib, pathlib, shutil, sys

example = importlib.import_module(sys.argv.pop(1))
save, last = example.save, pathlib.Path(sys.argv[-1])
first, resumed = last.with_stem("first"), last.with_stem("resumed")

def kept(path, epoch, *rest):
    save(path, epoch, *rest)
    if epoch == 1:
        shutil.copy(path, first)

example.save = kept
example.main(standalone_mode=False)
shutil.copy(first, resumed)
for path in (resumed, last):
    example.main([*sys.argv[1:-1], str(path), "--resume"], standalone_mode=False)
"""


def run(*command: str, **environment: str) -> list[str]:
    """Run Python as a user does, the examples where it looks for modules, and return the lines it prints."""
    path = os.pathsep.join(filter(None, (str(EXAMPLES), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path, **environment}
    done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def imported(path: Path) -> Any:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)  # as for a script, which finds images.py beside it
        spec.loader.exec_module(module)
    return module


def refusal(example: Any, *options: str) -> str:
    """The message, on one line, of a call that must fail by saying what is wrong."""
    result = CliRunner().invoke(example.main, options)
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code in (1, 2)
    return " ".join(result.output.split())


def refusals(suffix: str) -> list[tuple[list[str], str]]:
    """Wrong options for any example, whose checkpoints end in `suffix`, and what is said of each."""
    return [
        (["--data", "no"], "--data no cannot be read ([Errno 2] No such file or directory: "),
        (["--resume"], "--resume and --stop-after need a --checkpoint"),
        (["--stop-after", "1"], "--resume and --stop-after need a --checkpoint"),
        (["--checkpoint", f"no/run{suffix}"], f"--checkpoint no/run{suffix}: there is no folder no"),
        (
            ["--checkpoint", f"no{suffix}", "--resume"],
            f"--checkpoint no{suffix} is not there: --resume has nothing to go on from",
        ),
        (["--batch-size", "131"], "130 images are less than one batch: pass a smaller --batch-size"),
        (["--keep-prob", "1.1"], "1.1 is not in the range 0<=x<=1"),
    ]


def refuses_what_is_there(example: Any, path: Path) -> None:
    """A new run does not overwrite a checkpoint, and other settings than a checkpoint's do not go on from it."""
    before = path.read_bytes()
    message = refusal(example, *FEW, "--checkpoint", str(path))
    assert f"--checkpoint {path} is there already: go on from it with --resume, or remove it" in message
    message = refusal(example, *FEW, "--keep-prob", "0.8", "--block-size", "5", "--checkpoint", str(path), "--resume")
    assert f"{path} was made with --keep-prob 0.9 and --block-size 7" in message
    assert path.read_bytes() == before


def documented_options_exist(example: Any, path: Path, document: str) -> None:
    """What `path` and a document say to type names options that there are."""
    options = {option for parameter in example.main.params for option in parameter.opts}
    texts = [path.read_text(), (EXAMPLES.parent / document).read_text()]
    commands = [line for text in texts for line in text.splitlines() if f"python docs/examples/{path.name}" in line]
    assert len(commands) >= 4
    for command in commands:
        assert {word for word in command.split() if word.startswith("--")} <= options, command
