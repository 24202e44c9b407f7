# SPDX-License-Identifier: Apache-2.0
"""Which code was judged: digests of a subject's source and of the suite."""

import hashlib
import shlex
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import dropblock_core
from dropblock_conformance.subjects import WORKER

SUITE = Path(__file__).parents[1]
INSTALLED = ("site-packages", "dist-packages")  # known by their versions


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sources(name: str) -> dict[str, str]:
    """The files behind the subject that this process has loaded, each with its digest.

    These are all that is loaded but for Python, what is installed, and the suite; of a worker, the files that its
    command names.
    """
    if name.startswith(WORKER):
        return digests(shlex.split(shlex.split(name.removeprefix(WORKER))[0]))
    python = sysconfig.get_path("stdlib")
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    own = (
        file
        for file in files
        if isinstance(file, str)
        and not any(part in Path(file).parts for part in INSTALLED)
        and not Path(file).is_relative_to(python)
        and not Path(file).is_relative_to(SUITE)
    )
    return digests(own)


def digests(files: Iterable[str]) -> dict[str, str]:
    """The digest of each file that is there."""
    return {file: digest(Path(file).read_bytes()) for file in sorted(files) if Path(file).is_file()}


def are_unchanged(known: dict[str, str]) -> bool:
    return digests(known) == known


def digest_of_sources(known: dict[str, str]) -> str | None:
    """One digest for all, wherever they lie; None if there are none."""
    parts = sorted(f"{Path(file).name} {value}" for file, value in known.items())
    return digest("\n".join(parts).encode()) if parts else None


@cache
def digest_of_suite() -> str:
    """Of the suite's own code, and of the reference that it computes the law with."""
    folders = (SUITE, Path(dropblock_core.__file__).parent)
    files = (file for folder in folders for file in sorted(folder.rglob("*.py")))
    return digest(b"".join(f"{file.name} ".encode() + file.read_bytes() for file in files))
