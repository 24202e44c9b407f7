"""Try what `make dist` built: the wheels' contents, the source archive's, and each extra in a clean environment."""

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLEAN = ROOT / "build" / "dist-check"
# The source tree may be on the caller's path, and would be imported in place of what was installed.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

IMPORT_CORE = """
import importlib.metadata, sys
import dropblock_core
loaded = {"torch", "jax", "tensorflow", "keras", "scipy"} & set(sys.modules)
assert not loaded, f"importing dropblock_core imported {loaded}"
assert dropblock_core.__file__.startswith(sys.prefix), dropblock_core.__file__
print("dropblock-core", importlib.metadata.version("dropblock-core"), "imports alone")
"""
TORCH_AS_NUMPY = """
import numpy as np, torch
from dropblock_core import drop_block
from dropblock_torch import DropBlock2d, drop_block as torch_drop_block
x = np.ones((2, 3, 14, 14), np.float32)
assert np.array_equal(torch_drop_block(torch.from_numpy(x), 0.9, 7, seed=1).numpy(), drop_block(x, 0.9, 7, seed=1))
assert DropBlock2d(0.9, 7)(torch.from_numpy(x)).shape == x.shape
"""


def installed(requirement: str) -> Path:
    """The folder of programs of a new environment with the requirement alone, put there by this environment's pip."""
    venv.create(CLEAN, clear=True)
    pip = [sys.executable, "-m", "pip", "--python", CLEAN / "bin" / "python"]
    # From the project's folder: make's PIP_CONSTRAINT is a relative path.
    subprocess.run([*pip, "install", "--quiet", "--no-compile", requirement], cwd=ROOT, env=ENVIRONMENT, check=True)
    return CLEAN / "bin"


def run(*command: str | Path) -> None:
    """Run a command away from the source tree, which Python would otherwise import from."""
    subprocess.run(command, cwd=CLEAN, env=ENVIRONMENT, check=True)


def example_of(package: str) -> str:
    """The Python that README.md shows for one of the packages."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    [example] = (block for block in blocks if f"from {package} import" in block)
    return str(example)


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


def check_core(wheel: Path) -> None:
    python = installed(str(wheel)) / "python"
    run(python, "-W", "error", "-c", IMPORT_CORE)
    run(python, "-W", "error", "-c", example_of("dropblock_core"))
    wanted = "off" if wheel.stem.endswith("-py3-none-any") else "on"
    status = f"import dropblock_core as d; print(d.native_status()); assert d.native_status().startswith('{wanted}: ')"
    run(python, "-c", status)


def check_torch(wheel: Path) -> None:
    python = installed(f"{wheel}[torch]") / "python"
    run(python, "-c", example_of("dropblock_torch"))
    run(python, "-c", TORCH_AS_NUMPY)


def check_conformance(wheel: Path) -> None:
    programs = installed(f"{wheel}[conformance]")
    run(programs / "python", "-W", "error", "-c", example_of("dropblock_core"))
    run(programs / "python", "-W", "error", "-c", "import dropblock_conformance")
    # It judges in a process of its own, and writes by a template that the wheel must hold.
    command = programs / "dropblock-conformance"
    run(command, "run", "numpy", "--profile", "quick", "--check", "mode.inference", "--html", "report.html")


def main() -> None:
    wheels = sorted((ROOT / "dist").glob("*.whl"))
    (sdist,) = (ROOT / "dist").glob("*.tar.gz")
    assert len(wheels) == 2, f"one wheel for this platform and one for all others, not {wheels}"
    check_sdist(sdist)
    for wheel in wheels:
        check_wheel(wheel)
        check_core(wheel)
    any_platform, this_platform = wheels
    check_torch(this_platform)
    check_conformance(any_platform)
    print(f"{', '.join(file.name for file in (*wheels, sdist))}: good")


if __name__ == "__main__":
    main()
