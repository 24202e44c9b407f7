"""Print which tests `make check` runs: the core's, and those of the files that differ from the main branch.

Tests mirror the packages: what tests `adapters/dropblock_torch/engines/cpu.py` is called `tests/torch/**/test_cpu*.py`.
Where no test has a module's name, the whole folder tests it.
"""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALWAYS = "tests/core"


def changed(root: Path = ROOT) -> list[str]:
    """Files that differ from where the main branch was left, committed or not; without such a branch, from HEAD."""

    def git(*command: str) -> str:
        return subprocess.run(["git", *command], cwd=root, capture_output=True, text=True, check=False).stdout

    base = git("merge-base", "HEAD", "origin/main").strip() or "HEAD"
    return [
        *git("diff", "--name-only", base).splitlines(),
        *git("ls-files", "--others", "--exclude-standard").splitlines(),
    ]


def paths_for(file: str, root: Path = ROOT) -> Iterator[str]:
    """The tests of one file: paths that pytest takes."""
    path = Path(file)
    match path.parts:
        case ["tests", *_] if path.name.startswith("test_") and (root / path).exists():
            yield file
        case ["dropblock_core", *_]:
            yield ALWAYS
        case ["adapters" | "conformance", package, *_] if path.suffix == ".py":
            folder = root / "tests" / package.removeprefix("dropblock_")
            named = sorted(folder.rglob(f"test_{path.stem}*.py"))
            yield from (str(test.relative_to(root)) for test in named or [folder] if test.exists())
        case ["docs", "playground", *_]:
            yield from ("tests/docs/test_playground.py", "tests/docs/test_playground_page.py")
        case ["docs", "experiments", *parts] if path.suffix == ".py":
            kind = "full_size" if parts[0] == "full_size" else "experiments"
            yield from (str(test.relative_to(root)) for test in sorted(root.glob(f"tests/docs/test_{kind}*.py")))
        case ["docs", *_] | [_] if path.suffix == ".md":
            yield from (f"tests/docs/test_{name}.py" for name in ("docs", "readme", "site"))


def selected(files: Iterable[str], root: Path = ROOT) -> list[str]:
    """Without what lies in a folder that is named as well: pytest would run it twice."""
    found = dict.fromkeys([ALWAYS, *(test for file in files for test in paths_for(file, root))])
    return [test for test in found if not any(Path(other) in Path(test).parents for other in found)]


if __name__ == "__main__":
    print(*selected(changed()))
