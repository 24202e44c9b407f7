"""What the tests of the core share: the array libraries, and the golden values."""

from types import ModuleType

import pytest

from tests.shared.golden import golden_params

from .support import LIBRARIES


# Session scope lets Hypothesis use it: the library does not change between examples.
@pytest.fixture(scope="session", params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> ModuleType:
    """Each array library in turn: its namespace, of which the tests use `asarray` and the dtypes."""
    return pytest.importorskip(request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `golden_seeds` or `golden_thresholds` runs once for each case of the file."""
    for argument, name in {"golden_seeds": "seeds.json", "golden_thresholds": "thresholds.json"}.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, golden_params(name))
