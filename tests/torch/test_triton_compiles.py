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
KERNELS = {"draw", "grow", "grow_across", *APPLY}


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


SASS = """
        /*0000*/                   S2R R0, SR_TID.X ;
        /*0010*/               @P1 BRA `(.L_x_3) ;
.L_x_1:
        /*0020*/              @!P1 LDG.E.128.CONSTANT R8, desc[UR4][R6.64] ;
        /*0030*/                   LDG.E.U16 R8, desc[UR4][R6.64+0x80] ;
        /*0040*/                   REDUX.SUM UR5, R4 ;
        /*0050*/               @P0 BRA `(.L_x_1) ;
.L_x_2:
        /*0060*/                   STG.E [R2.64], R8 ;
        /*0070*/                   EXIT ;
.L_x_3:
        /*0080*/                   RED.E.ADD.64.STRONG.GPU [R2.64], R8 ;
        /*0090*/                   BRA `(.L_x_2) ;
.L_x_4:
        /*00a0*/                   BRA `(.L_x_4);
        /*00b0*/                   NOP;
"""
AMDGCN = """
\ts_load_dword s2, s[8:9], 0x0
\ts_cbranch_execz .LBB0_3
.LBB0_1:
\tglobal_load_dwordx4 v[0:3], v[0:1], off
\tglobal_load_ushort v[0:3], v[0:1], off
\ts_nop 0
\ts_cbranch_scc1 .LBB0_1
.LBB0_2:
\tglobal_store_dword v[4:5], v0, off
\ts_endpgm
.LBB0_3:
\tglobal_atomic_add_x2 v[4:5], v0, off
\ts_branch .LBB0_2
"""


@pytest.mark.parametrize(("name", "listing"), [("SASS", SASS), ("AMDGCN", AMDGCN)])
def test_instructions_loops_and_accesses_are_counted_in_a_listing(name: str, listing: str) -> None:
    from tests.bench import kernels

    assembly = getattr(kernels, name)
    code = kernels.Code.of(listing.splitlines(), assembly)
    assert len(code.lines) == 10
    assert code.in_loops() == 4  # a jump backwards from which nothing comes back is none
    found = kernels.accesses(code, assembly)
    assert found["loads"] == {16: 1, 2: 1}
    assert found["stores"] == {4: 1}
    assert sum(found["atomics"].values()) == 1


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
