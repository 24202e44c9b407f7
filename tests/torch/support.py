"""What the tests of the PyTorch adapter share: layouts, NumPy's view of a tensor, engines, and a generator's state."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from torch import Tensor

from dropblock_core.native.library import library
from tests.shared.comparing import assert_equal

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]

# Two engines that a CPU can run as they are; NumPy's has a comparison with them, and Triton's tests of its own.
CPU = "host" if library() is None else "native"
any_engine = pytest.mark.parametrize("engine", [CPU, "tensors"])


def as_numpy(x: Tensor) -> np.ndarray[Any, Any]:
    """The same values in NumPy, bfloat16 included, which NumPy itself does not know."""
    x = x.detach().contiguous()
    return x.view(torch.int16).numpy().view(ml_dtypes.bfloat16) if x.dtype == torch.bfloat16 else x.numpy()


def assert_same_bits(y: Tensor, expected: np.ndarray[Any, Any]) -> None:
    """Equal values, zeros of the same sign; NaN is NaN."""
    assert_equal(as_numpy(y), expected)


def _reordered(x: Tensor, *order: int) -> Tensor:
    """The same tensor, with its axes in memory in this order."""
    back = [order.index(axis) for axis in range(x.ndim)]
    return x.permute(order).contiguous().permute(back)


def _sliced(x: Tensor) -> Tensor:
    """The same values, every other unit of a larger tensor on each axis, and not from its first one on."""
    base = torch.full([2 * size for size in x.shape], -7.0, dtype=x.dtype)
    view = base[tuple(slice(1, None, 2) for _ in x.shape)]
    return view.copy_(x)


def _expanded(axis: int) -> Callable[[Tensor], Tensor]:
    return lambda x: x.narrow(axis, 0, 1).expand(x.shape)


# Each gives a tensor of the shape and dtype of x, and of its values except where it is expanded.
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "channels_last": lambda x: _reordered(x, 0, *range(2, x.ndim), 1),
    "channels_first_in_memory": lambda x: _reordered(x, 1, 0, *range(2, x.ndim)),
    "reversed": lambda x: _reordered(x, *reversed(range(x.ndim))),
    "sliced": _sliced,
    "expanded_samples": _expanded(0),
    "expanded_channels": _expanded(1),
    "expanded_columns": _expanded(-1),
}
any_layout = pytest.mark.parametrize("layout", LAYOUTS)


@contextmanager
def draws_nothing(*generators: torch.Generator) -> Iterator[None]:
    """Fail unless the block leaves PyTorch's default generator, and these, as they were."""
    before = [torch.get_rng_state(), *[g.get_state() for g in generators]]
    yield
    after = [torch.get_rng_state(), *[g.get_state() for g in generators]]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), "randomness was drawn"
