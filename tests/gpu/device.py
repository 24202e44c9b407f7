"""Where the tests of this folder run: on the GPU that is here, or else interpreted on the CPU, in small."""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from dropblock_torch import drop_block, engines

ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if ON_GPU else "cpu"
SEED = 2**63 + 5
# Interpreted, a launch takes a tenth of a second, and tests/torch/test_triton.py has the rest.
RENORMS = ["tensor", "sample", "map", "expected", "none"] if ON_GPU else ["tensor", "map"]
# Triton's interpreter cuts bfloat16 off where a GPU rounds it.
DTYPES = [torch.float32, torch.float16, torch.float64] + [torch.bfloat16] * ON_GPU

needs_gpu = pytest.mark.skipif(not ON_GPU, reason="no GPU here")


@pytest.fixture(autouse=True)
def kernels() -> Iterator[None]:
    """Run on the kernels."""
    triton = pytest.importorskip("triton")
    if not (ON_GPU or triton.knobs.runtime.interpret):
        pytest.skip("no GPU here, and Triton does not interpret")
    with nullcontext() if ON_GPU else engines.force("gpu"):
        yield


def activations(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x.view(-1)[::7] = math.nan
    x.view(-1)[3::11] = math.inf
    return x.to(dtype)


def by_numpy(x: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
    """drop_block of `x` on the CPU, its mask drawn in NumPy."""
    with engines.force("host"), np.errstate(invalid="ignore"):
        return drop_block(x.cpu(), *args, **options)


def same(y: torch.Tensor, z: torch.Tensor) -> bool:
    """Bit equality; a NaN equals a NaN."""
    y, z = y.detach().cpu(), z.detach().cpu()
    return torch.equal(y.isnan(), z.isnan()) and torch.equal(y.nan_to_num(), z.nan_to_num())
