"""Try what `make dist` built: the wheel's contents, the source archive's, and imports in a clean environment."""

import re
import subprocess
import tarfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLEAN = ROOT / "build" / "dist-check"
BIN = CLEAN / "bin"

IMPORT_CORE = """
import importlib.metadata, sys
import dropblock_core
loaded = {"torch", "jax", "tensorflow", "keras", "scipy"} & set(sys.modules)
assert not loaded, f"importing dropblock_core imported {loaded}"
assert dropblock_core.__file__.startswith(sys.prefix), dropblock_core.__file__
print("dropblock-core", importlib.metadata.version("dropblock-core"), "imports alone")
"""


def install(requirement: str) -> None:
    """Install into the clean environment, from here: make's PIP_CONSTRAINT is a relative path."""
    subprocess.run([BIN / "pip", "install", "--quiet", requirement], cwd=ROOT, check=True)


def run(*command: str | Path) -> None:
    """Run a command away from the source tree, which Python would otherwise import from."""
    subprocess.run(command, cwd=CLEAN, check=True)


def first_example() -> str:
    """The first Python that README.md shows."""
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert example is not None, "README.md has no example"
    return example[1]


def check_wheel(wheel: Path) -> None:
    homes = (ROOT, ROOT / "adapters", ROOT / "conformance")
    packages = {init.parent.name for home in homes for init in home.glob("dropblock_*/__init__.py")}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    top = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert top == packages, f"the wheel holds {sorted(top)}, not {sorted(packages)}"
    is_pure = wheel.stem.endswith("-py3-none-any")
    assert ("dropblock_core/native/libdropblock.so" in names) != is_pure, f"{wheel.name}: is the C library in it?"
    untyped = {package for package in packages if f"{package}/py.typed" not in names}
    assert not untyped, f"no py.typed in {untyped}"


def check_sdist(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"LICENSE", "Makefile", "README.md", "constraints.txt", ".ci/run", "docs/spec.md", "tests/dist_check.py"}
    assert wanted <= names, f"the source archive lacks {sorted(wanted - names)}"
    stray = {name for name in names if name.startswith((".venv", "build/", "dist/"))}
    assert not stray, f"the source archive holds {stray}"


def check_installed(wheel: Path) -> None:
    venv.create(CLEAN, clear=True, with_pip=True)
    install(str(wheel))
    run(BIN / "python", "-W", "error", "-c", IMPORT_CORE)
    run(BIN / "python", "-W", "error", "-c", first_example())
    wanted = "off" if wheel.stem.endswith("-py3-none-any") else "on"
    status = f"import dropblock_core as d; print(d.native_status()); assert d.native_status().startswith('{wanted}: ')"
    run(BIN / "python", "-c", status)


def main() -> None:
    wheels = sorted((ROOT / "dist").glob("*.whl"))
    (sdist,) = (ROOT / "dist").glob("*.tar.gz")
    assert len(wheels) == 2, f"one wheel for this platform and one for all others, not {wheels}"
    check_sdist(sdist)
    for wheel in wheels:
        check_wheel(wheel)
        check_installed(wheel)

    install(f"{wheels[-1]}[conformance]")
    run(BIN / "python", "-W", "error", "-c", "import dropblock_conformance")
    run(BIN / "dropblock-conformance", "list")
    print(f"{', '.join(file.name for file in (*wheels, sdist))}: good")


if __name__ == "__main__":
    main()
