"""Keras chooses its backend when it is imported, so each one has its tests in a process of its own."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

if importlib.util.find_spec("keras") is None:  # to import it takes seconds, and no test does so in this process
    pytest.skip("keras is not installed", allow_module_level=True)
NAMES = ("backend", "placement", "placement_refusals", "remat")
SUITES = [str(Path(__file__).with_name(f"{name}_suite.py")) for name in NAMES]


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_the_layers_on_each_backend(backend: str, pytestconfig: pytest.Config) -> None:
    environment = {**os.environ, "KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"}
    # Not through this run's plugins: it is one process, and its coverage would be lost with it.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-cov", *SUITES]
    command += ["-m", pytestconfig.getoption("markexpr")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
