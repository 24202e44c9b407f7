# SPDX-License-Identifier: Apache-2.0
"""This project's Triton kernels: on a GPU, or under Triton's interpreter on the CPU where that is asked for."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from dropblock_conformance.subject import DTYPES, Claims, Subject
from dropblock_conformance.subjects.ours.torch_eager import subject

ON_GPU = torch.cuda.is_available()

if not ON_GPU and os.environ.get("TRITON_INTERPRET") != "1":
    raise ImportError(
        "the kernels need a GPU; with TRITON_INTERPRET=1 Triton interprets them on the CPU, in more than ten minutes"
    )

from dropblock_torch import drop_block, engines  # noqa: E402 - imports Triton, which looks at the environment


def interpreted(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, forward and backward passes alike, on the kernels."""

    def run(*arguments: Any, **options: Any) -> Any:
        with engines.force("gpu"):
            return function(*arguments, **options)

    return run


def candidate() -> Subject:
    if ON_GPU:
        return subject("torch-triton", drop_block, device="cuda")
    # The interpreter cuts bfloat16 off where a GPU rounds it to nearest.
    dtypes = tuple(dtype for dtype in DTYPES if dtype != "bfloat16")
    on_cpu = subject("torch-triton", drop_block, Claims(spatial=(1, 2, 3), dtypes=dtypes))
    assert on_cpu.grad is not None
    return replace(on_cpu, call=interpreted(on_cpu.call), grad=interpreted(on_cpu.grad))
