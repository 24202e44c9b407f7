"""The golden files' cases, each as a parameter of a test."""

import json
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parents[1] / "golden"


def golden_params(name: str, once: Callable[[Any], Hashable] | None = None) -> list[Any]:
    """The cases of a file; where `once` says of two that they are alike, the second is `exhaustive`."""
    seen, params = set(), []
    for number, case in enumerate(json.loads((GOLDEN / name).read_text())):
        kind = once(case) if once else number
        marks = [pytest.mark.exhaustive] if kind in seen else []
        params.append(pytest.param(case, id=f"{number}-gamma-{float.fromhex(case['gamma']):.3g}", marks=marks))
        seen.add(kind)
    return params


def kind_of_map(case: Any) -> Hashable:
    """How a case's map lies in words, whether the block exceeds it, and whether the counters start at 0."""
    feat, block = case["feat_size"], case["block_size"]
    exceeds = any(b > f for b, f in zip(block, feat, strict=True))
    return len(feat), -(-feat[-1] // 32), exceeds, case["stream"] > 0, case["sample_offset"] > 0
