"""What the tests of the core share: the array libraries, and the golden values."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

GOLDEN = Path(__file__).parent.parent / "golden"


# Session scope lets Hypothesis use it: the library does not change between examples.
@pytest.fixture(scope="session", params=["numpy", "array_api_strict", "torch", "jax.numpy"])
def library(request: pytest.FixtureRequest) -> ModuleType:
    """Each array library in turn: its namespace, of which the tests use `asarray` and the dtypes."""
    return pytest.importorskip(request.param)


def golden_params(name: str) -> list[Any]:
    cases = json.loads((GOLDEN / name).read_text())
    return [pytest.param(case, id=f"{i}-gamma-{float.fromhex(case['gamma']):.3g}") for i, case in enumerate(cases)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `golden_seeds` or `golden_thresholds` runs once for each case of the file."""
    for argument, name in {"golden_seeds": "seeds.json", "golden_thresholds": "thresholds.json"}.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, golden_params(name))
