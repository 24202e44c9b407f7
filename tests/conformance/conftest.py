"""A small profile by name, a list of temporary checks, and modules for processes of their own to load."""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dropblock_conformance import checks as listed
from dropblock_conformance.judging.attempt import Attempt
from dropblock_conformance.judging.check import Check
from dropblock_conformance.judging.profile import PROFILES

from .support import PROFILES_OF_TESTS


@pytest.fixture(autouse=True, scope="session")
def profiles_of_tests() -> Iterator[None]:
    """``profile="tiny"`` is a profile in these tests, and so are the others of support.py."""
    with pytest.MonkeyPatch.context() as patch:
        for name, profile in PROFILES_OF_TESTS.items():
            patch.setitem(PROFILES, name, profile)
        yield


@pytest.fixture(autouse=True)
def no_check_outlasts_its_test() -> Iterator[None]:
    """A check that hung ends with its test: another test asks whether one hangs in this process."""
    yield
    for thread in threading.enumerate():
        if isinstance(thread, Attempt):
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def only_checks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the given checks the only ones there are."""

    def swap(*checks: Check) -> None:
        monkeypatch.setattr(listed, "ALL", checks)

    return swap


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[[str], str]]:
    """Make a module of a text, for this process and those that it starts; how to name an attribute as a SUBJECT."""

    def make(text: str, name: str = "their_dropblock") -> Callable[[str], str]:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, name, raising=False)
        return lambda attribute: f"{name}:{attribute}"

    return make
