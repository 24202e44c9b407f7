"""The Triton kernels compile ahead of time, for GPUs that need not be here."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared.generated import read_generated

pytest.importorskip("triton")

ROOT = Path(__file__).parents[2]
APPLY = {"scale_and_drop", "scale_and_drop_across"}
KERNELS = {"draw", "grow", "grow_across", "count_maps", *APPLY}


def printed(*arguments: str) -> str:
    """What `make kernels` prints. In a process of its own: in this one Triton interprets, and cannot do otherwise."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.bench.kernels", *arguments],
        cwd=ROOT,
        env=os.environ | {"TRITON_INTERPRET": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not run.returncode, run.stderr[-2000:]
    return run.stdout


# A process takes seconds for its kernels.
@pytest.mark.parametrize(
    ("target", "dtypes"),
    [
        ("sm_90", ["float16"]),
        ("gfx942", ["bfloat16"]),
        pytest.param("sm_80", ["bfloat16", "float32", "float64"], marks=pytest.mark.exhaustive),
        pytest.param("sm_90", ["bfloat16", "float32", "float64"], marks=pytest.mark.exhaustive),
        pytest.param("gfx942", ["float16", "float32", "float64"], marks=pytest.mark.exhaustive),
    ],
)
def test_every_kernel_compiles_for(target: str, dtypes: list[str]) -> None:
    found = json.loads(printed(target, "--json", "--dtypes", *dtypes))
    assert {of["kernel"] for of in found} == KERNELS
    for of in found:
        assert of["instructions"] > 100, of
        # Of 65,536 registers, so that 24 warps of 32 threads have their own.
        assert of["registers"] <= 80, of
        assert of["spilled"] <= 16, of
        if of["kernel"] in APPLY and "of a mask" not in of["variant"]:
            # One read and one write a unit, sixteen bytes at a time.
            assert of["stores"].keys() == {"16"}, of
            assert of["loads"]["16"] >= of["stores"]["16"], of


@pytest.mark.exhaustive
def test_the_documents_table_is_of_these_kernels() -> None:
    assert read_generated(ROOT / "docs" / "performance.md", "make kernels") in printed("--print")
