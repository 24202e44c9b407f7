"""Compiled programs serve every file, until they take too many of a process's 65,530 memory maps."""

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

MAPS = Path("/proc/self/maps")


@pytest.fixture(scope="module", autouse=True)
def forget_programs_in_time() -> Iterator[None]:
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > 30_000:
        jax.clear_caches()
