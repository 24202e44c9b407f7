"""A small profile by name, and a register of temporary checks."""

from collections.abc import Callable

import pytest

from dropblock_conformance import check as check_module
from dropblock_conformance.check import Check, all_checks

from .support import TINY


@pytest.fixture(autouse=True)
def tiny_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """``profile="tiny"`` is a profile in these tests."""
    monkeypatch.setitem(check_module.PROFILES, "tiny", TINY)


@pytest.fixture
def register_only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the given checks the only ones there are."""
    all_checks()  # the real checks are imported, and so registered, before the register is swapped

    def swap(*checks: Check) -> None:
        monkeypatch.setattr(check_module, "_REGISTER", {check.id: check for check in checks})

    return swap


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests come first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/conformance/test_subjects.py::"))
