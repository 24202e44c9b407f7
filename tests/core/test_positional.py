"""A low keep_prob by position is warned of, since in other libraries it would be the probability of dropping."""

import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest

from dropblock_core import drop_block
from tests.shared.position import assert_looks_at_position

X = np.ones((2, 8, 8, 8), np.float32)


def test_a_low_keep_prob_by_position_is_named_with_both_readings() -> None:
    assert_looks_at_position(partial(drop_block, X))


def test_the_warning_points_at_the_call() -> None:
    with pytest.warns(UserWarning, match="by position") as found:
        drop_block(X, 0.1)
    assert found[0].filename == __file__


@pytest.mark.parametrize("wrong", [-0.5, float("nan"), "0.1", None, True])
def test_what_is_refused_is_refused_without_a_warning(wrong: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((TypeError, ValueError), match="keep_prob"):
            drop_block(X, wrong)
