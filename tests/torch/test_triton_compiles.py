"""The Triton kernels compile ahead of time, for GPUs that need not be here."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

# A process of its own: in this one Triton interprets, and says so once and for all when it is imported.
PROGRAM = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from dropblock_torch.engines.kernels import applying, drawing, growing

backend, arch, warp, binary, *dtypes = sys.argv[1:]
target = GPUTarget(backend, int(arch) if arch.isdigit() else arch, int(warp))
POINTERS = dict(seeds_ptr="*i32", words_ptr="*i32", counts_ptr="*i64", dropped_ptr="*i64", table_ptr="*i64",
                key_ptr="*i64", keep_prob_ptr="*fp32", scale_ptr="*fp32")
LARGE = {"t", "sample_offset", "stream", "units_counted", "units", "gamma_scale", "ratio", "fixed_scale"}

def compiled(kernel, constants, **types):
    types = POINTERS | types
    # Whatever passes 2^31 or is a float says so: an int that does not would be compiled for again.
    said = {p.name: p.annotation_type for p in kernel.params if not p.is_constexpr and p.annotation_type}
    assert {a for a in kernel.arg_names if a in LARGE or a.endswith("magic")} == said.keys()
    signature = {a: "constexpr" if a in constants else said.get(a, types.get(a, "i32")) for a in kernel.arg_names}
    wide = {(kernel.arg_names.index(a),): [["tt.divisibility", 16]] for a in ("x_ptr", "y_ptr", "units_a_sample")
            if a in kernel.arg_names}
    values = {(kernel.arg_names.index(a),): value for a, value in constants.items()}
    made = triton.compile(ASTSource(kernel, signature, constexprs=values, attrs=wide), target=target)
    assert len(made.asm[binary]) > 1000
    return made.asm

for here in (True, False):
    compiled(drawing.draw, dict(KEEP_PROB_IS_HERE=here, BLOCK=128))
compiled(drawing.draw, dict(KEEP_PROB_IS_HERE=True, BLOCK=128), keep_prob_ptr="*fp64", scale_ptr="*fp64")
compiled(growing.grow, dict(PIECES=4, LONG_ROWS=False, LARGE=False, COUNTS="tensor", WORDS=256))
compiled(growing.grow, dict(PIECES=2, LONG_ROWS=True, LARGE=True, COUNTS="sample", WORDS=256), scale_ptr="*fp64")
compiled(growing.grow_across, dict(COUNTS="tensor", WORDS=8))
compiled(growing.grow_bits, dict(COUNTS="none", WORDS=16))
compiled(growing.count_maps, dict(SCOPES=64, WORDS=16))
for dtype in dtypes:
    for shared, scope, last in ((False, "tensor", False), (True, "sample", True), (False, "map", False)):
        wide = "*fp64" if dtype == "fp64" else "*fp32"
        constants = dict(SHARED=shared, SCOPE=scope, CHANNELS_LAST=last, LARGE=False, ROWS=64)
        asm = compiled(applying.scale_and_drop, constants, x_ptr=f"*{dtype}", y_ptr=f"*{dtype}", scale_ptr=wide)
        if "ptx" in asm and dtype != "fp64":
            # One read and one write a unit, sixteen bytes at a time.
            assert asm["ptx"].count("ld.global.v4.b32") == asm["ptx"].count("st.global.v4.b32") > 0
            assert "st.global.b" not in asm["ptx"]
print("compiled")
"""
ALL = ["fp16", "bf16", "fp32", "fp64"]


# A process takes seconds for its kernels.
@pytest.mark.parametrize(
    ("target", "dtypes"),
    [
        pytest.param(("cuda", "90", "32", "cubin"), ["fp16", "fp64"], id="cuda-90"),
        pytest.param(("hip", "gfx942", "64", "hsaco"), ["bf16"], id="hip"),
        pytest.param(("cuda", "80", "32", "cubin"), ALL, id="cuda-80-all", marks=pytest.mark.exhaustive),
        pytest.param(("cuda", "90", "32", "cubin"), ALL, id="cuda-90-all", marks=pytest.mark.exhaustive),
        pytest.param(("hip", "gfx942", "64", "hsaco"), ALL, id="hip-all", marks=pytest.mark.exhaustive),
    ],
)
def test_every_kernel_compiles_for(target: tuple[str, ...], dtypes: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *target, *dtypes],
        env=os.environ | {"TRITON_INTERPRET": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.split() == ["compiled"], run.stderr[-2000:]
