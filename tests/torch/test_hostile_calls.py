"""A thousand hostile calls of PyTorch's front doors, of which `make test` tries some (rule R14)."""

import warnings
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

from dropblock_torch import DropBlock1d, DropBlock2d, DropBlock3d, drop_block
from tests.shared.comparing import assert_is_numpys
from tests.shared.hostile import PROGRAMS, Door, calls, flags, literally, try_calls

from .support import LAYOUTS, as_numpy

X = torch.ones(2, 3, 4, 5)


def of_numpy(x: np.ndarray[Any, Any]) -> torch.Tensor:
    """The same values, bfloat16 included."""
    if x.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(x)


class Subclass(torch.Tensor):
    """A tensor as somebody's library derives it."""


def nested(layout: torch.layout) -> torch.Tensor:
    with warnings.catch_warnings(action="ignore"):  # PyTorch calls nested tensors a prototype
        return torch.nested.nested_tensor([X[0], X[1, :, :2]], layout=layout)


DRESSES = [
    *[lambda x, order=order: order(of_numpy(x)) for name, order in LAYOUTS.items() if "expanded" not in name],
    lambda x: of_numpy(x).requires_grad_(),
    lambda x: torch.nn.Parameter(of_numpy(x)),
    lambda x: of_numpy(x).as_subclass(Subclass),
]
NO_TENSORS = [
    *[None, 1.0, "x", [[[1.0]]], object(), torch.Tensor, X.numpy(), X[0, 0, 0], X[None, None], X[:, :, :0]],
    *[X.to(kind) for kind in (torch.int64, torch.bool, torch.complex64, torch.float8_e5m2)],
    *[X.to_sparse(), X.to_mkldnn(), nested(torch.strided), nested(torch.jagged)],
]
OWN = [torch.tensor]


def compare(y: torch.Tensor, plain: dict[str, Any]) -> None:
    plain.pop("inplace")
    assert_is_numpys(as_numpy(y), literally(plain))


def function(inplace: Any, x: Any, **options: Any) -> torch.Tensor:
    # A leaf that needs a gradient is never written.
    if isinstance(x, torch.Tensor) and inplace is not False and x.requires_grad:
        x = x.detach()
    return drop_block(x, inplace=inplace, **options)


FUNCTION = Door("dropblock_torch.drop_block", function, DRESSES, NO_TENSORS, own=OWN, more={"inplace": flags(OWN)})


def layer(kind: type[torch.nn.Module], inplace: Any, x: Any, **options: Any) -> torch.Tensor:
    if isinstance(x, torch.Tensor) and inplace is not False and x.requires_grad:
        x = x.detach()
    y: torch.Tensor = kind(inplace=inplace, **options)(x)
    return y


def layers(rank: int, kind: type[torch.nn.Module]) -> Door:
    return Door(
        f"dropblock_torch.{kind.__name__}",
        partial(layer, kind),
        DRESSES,
        NO_TENSORS,
        lacks=("training", "sample_offset"),
        own=OWN,
        programs=PROGRAMS.filter(lambda program: len(program.shape) == rank + 2),
        more={"inplace": flags(OWN)},
    )


DOORS = [FUNCTION, layers(1, DropBlock1d), layers(2, DropBlock2d), layers(3, DropBlock3d)]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_r14_hostile_calls(door: Door) -> None:
    try_calls(door.name, door.call, calls(door), compare)
