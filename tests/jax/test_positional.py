"""A low keep_prob by position is warned of, by the function and by each layer."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import jax.numpy as jnp
import pytest

from dropblock_jax import drop_block
from tests.shared.position import assert_looks_at_position


def test_the_function_names_both_readings() -> None:
    assert_looks_at_position(partial(drop_block, jnp.ones((1, 4, 4, 1)), seed=1))


@pytest.mark.parametrize(("framework", "module"), [("flax", "flax"), ("flax", "linen"), ("equinox", "equinox")])
def test_a_layer_names_both_readings(framework: str, module: str) -> None:
    pytest.importorskip(framework)
    layer: Callable[..., Any] = import_module(f"dropblock_jax.{module}").DropBlock
    assert_looks_at_position(layer)
