"""Programs are forgotten with the file that compiled them: each takes some of a process's 65,530 memory maps."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def forget_programs() -> Iterator[None]:
    yield
    jax.clear_caches()
