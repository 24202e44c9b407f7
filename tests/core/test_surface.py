"""The public surface: names, docstrings, and what importing the package loads."""

import inspect
import subprocess
import sys
from types import ModuleType

import pytest

import dropblock_core

FRAMEWORKS = {"torch", "jax", "tensorflow", "keras", "scipy", "hypothesis"}


def test_all_lists_exactly_the_public_names() -> None:
    public = {
        name
        for name, value in vars(dropblock_core).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert sorted(dropblock_core.__all__) == sorted(public)


def test_the_names_of_the_contract_are_there() -> None:
    contract = {"gamma", "keep_map", "expected_keep", "sample_seeds", "block_mask", "algorithm1", "drop_block"}
    assert contract | {"LinearSchedule"} <= set(dropblock_core.__all__)


def test_drop_block_has_the_signature_of_the_contract() -> None:
    parameters = inspect.signature(dropblock_core.drop_block).parameters
    contract = {
        "x": inspect.Parameter.empty,
        "keep_prob": 0.9,
        "block_size": 7,
        "training": True,
        "per_channel": True,
        "renorm": "tensor",
        "gamma_scale": 1.0,
        "calibrated": False,
        "seed": None,
        "sample_offset": 0,
        "stream": 0,
        "rng": None,
    }
    assert {name: p.default for name, p in parameters.items() if name != "foreign"} == contract
    keyword_only = [name for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    assert keyword_only == list(contract)[3:]


@pytest.mark.parametrize("name", dropblock_core.__all__)
def test_docstrings_say_what_they_raise_and_show_an_example(name: str) -> None:
    doc = inspect.getdoc(getattr(dropblock_core, name)) or ""
    assert "Raises:" in doc or "errors" in doc
    assert ">>>" in doc


def test_importing_it_imports_no_framework() -> None:
    code = f"import sys, dropblock_core; print(*sorted({FRAMEWORKS!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
