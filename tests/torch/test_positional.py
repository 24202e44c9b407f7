"""A low keep_prob by position is warned of, but not inside a compiler, which would break its graph there."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from dropblock_torch import DropBlock1d, DropBlock2d, DropBlock3d, drop_block
from tests.shared.position import assert_looks_at_position


@pytest.mark.parametrize("door", [partial(drop_block, torch.ones(2, 3, 8, 8)), DropBlock1d, DropBlock2d, DropBlock3d])
def test_a_low_keep_prob_by_position_is_named_with_both_readings(door: Callable[..., Any]) -> None:
    assert_looks_at_position(door)


def test_a_compiler_traces_past_it() -> None:
    compiled = torch.compile(lambda x: drop_block(x, 0.1, 3), backend="eager", fullgraph=True)
    assert (compiled(torch.ones(2, 3, 8, 8)) == 0).any()
