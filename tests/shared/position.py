"""What every front door says of a keep_prob that comes by position."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


def assert_looks_at_position(door: Callable[..., Any]) -> None:
    """`door` takes keep_prob and block_size, as a layer does, or a function of an `x` that it has already."""
    if isinstance(door, type):
        assert [*inspect.signature(door).parameters][:2] == ["keep_prob", "block_size"]
    for low in (0.1, 0, 0.49, np.float64(0.2)):
        with pytest.warns(UserWarning, match="got keep_prob .* by position") as found:
            door(low, 3)
        (warning,) = found
        assert f"pass keep_prob={1 - low:g}; if not, pass keep_prob={low:g} by name" in str(warning.message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for high in (0.5, 0.9, 1):
            door(high, 3)
        for named in ({"keep_prob": 0.1}, {"keep_prob": 0.1, "block_size": 3}, {}):
            door(**named)
