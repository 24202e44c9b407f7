"""The short way past the operators: who takes it, who must not, and that it gives the same."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from dropblock_torch import drop_block, eager, ops
from tests.shared.comparing import RENORMS
from tests.shared.grid import grid

SEEDED: dict[str, Any] = {"keep_prob": 0.6, "block_size": 3, "seed": 4}
SHAPE = (3, 4, 9, 8)


def normal(seed: int = 0) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


class Operators(TorchDispatchMode):
    """Notes which of our operators run within it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "dropblock":
            self.seen.append(func._schema.name)
        return func(*args, **(kwargs or {}))


class Functions(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class Subclass(Tensor):
    pass


def test_a_plain_tensor_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mask", "apply"):
        monkeypatch.delattr(ops, name)
    x = normal().requires_grad_()
    drop_block(x, **SEEDED).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("within", [FakeTensorMode, Operators, Functions])
def test_within_a_mode_nobody_takes_it(within: Callable[[], AbstractContextManager[Any]]) -> None:
    x = normal()
    assert eager.takes(x)
    with within():
        assert not eager.takes(x)


def test_other_tensors_do_not_take_it() -> None:
    assert not eager.takes(normal().as_subclass(Subclass))
    assert not eager.takes(normal().to("meta"))
    assert not eager.takes(torch._efficientzerotensor(SHAPE))  # type: ignore[attr-defined]  # it is made by derivatives
    taken = []
    torch.vmap(lambda x: (taken.append(eager.takes(x)), x)[1])(normal())
    assert taken == [False]


@pytest.mark.parametrize("name", ["_modes", "_has_transforms"])
def test_a_pytorch_without_a_name_that_is_not_public_gets_the_operators(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = drop_block(normal(), **SEEDED)
    monkeypatch.setattr(eager, name, lambda: True)
    assert not eager.takes(normal())
    assert torch.equal(drop_block(normal(), **SEEDED), expected)


def test_a_mode_sees_the_operators_of_both_passes() -> None:
    x = normal().requires_grad_()
    with Operators() as mode:
        y = drop_block(x, **SEEDED)
    assert mode.seen == ["dropblock::mask_bits", "dropblock::apply"]
    with Operators() as mode:
        y.sum().backward()
    assert mode.seen == ["dropblock::apply"]


def test_a_mode_sees_the_backward_pass_of_a_plain_forward_pass() -> None:
    x = normal().requires_grad_()
    y = drop_block(x, **SEEDED)
    with Operators() as mode:
        y.sum().backward()
    assert mode.seen == ["dropblock::apply"]


@grid(renorm=RENORMS, per_channel=[True, False], layout=[torch.contiguous_format, torch.channels_last])
def test_both_ways_give_the_same_bits(
    renorm: str, per_channel: bool, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    def passes(**options: Any) -> tuple[Tensor, ...]:
        x = normal().to(memory_format=layout).requires_grad_()
        y = drop_block(x, **SEEDED | options, renorm=renorm, per_channel=per_channel, sample_offset=2, stream=3)
        return y, *torch.autograd.grad(y, x, normal(1))

    short = passes()
    from_a_tensor = passes(keep_prob=torch.tensor(0.6, dtype=torch.float64))
    monkeypatch.setattr(eager, "takes", lambda x: False)
    for part, another, wanted in zip(short, from_a_tensor, passes(), strict=True):
        assert torch.equal(part, wanted)
        assert torch.equal(another, wanted)
        assert part.stride() == wanted.stride()


def test_batched_gradients_of_a_plain_forward_pass() -> None:
    x, dy = normal().requires_grad_(), torch.stack([normal(1), normal(2)])
    y = drop_block(x, **SEEDED)
    (dx,) = torch.autograd.grad(y, x, dy, is_grads_batched=True, retain_graph=True)
    assert torch.equal(dx, torch.stack([torch.autograd.grad(y, x, d, retain_graph=True)[0] for d in dy]))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("tangent", [normal, lambda: torch._efficientzerotensor(SHAPE)])  # type: ignore[attr-defined]
def test_forward_derivatives_meet_the_same_mask(tangent: Callable[[], Tensor]) -> None:
    with forward_ad.dual_level():
        y = drop_block(forward_ad.make_dual(torch.ones(SHAPE), tangent()), **SEEDED)
        value, dy = forward_ad.unpack_dual(y)
    assert dy is not None
    assert torch.equal(dy, value * tangent())


def test_what_is_traced_draws_its_mask_at_each_run() -> None:
    traced = make_fx(lambda x, seed: drop_block(x, 0.6, 3, seed=seed))(normal(), torch.tensor(1))
    for seed in (1, 2):
        assert torch.equal(traced(normal(1), torch.tensor(seed)), drop_block(normal(1), 0.6, 3, seed=seed))


@pytest.mark.parametrize(
    "wrong", [{"block_size": (3.0, 3)}, {"block_size": True}, {"stream": 0.0}, {"sample_offset": 0.0}, {"seed": True}]
)
def test_r14_what_is_remembered_lets_nothing_through(wrong: dict[str, Any]) -> None:
    """Each equals, as Python compares, what was right a moment ago."""
    good: dict[str, Any] = {"keep_prob": 0.6, "block_size": (3, 3), "seed": 1, "stream": 0, "sample_offset": 0}
    drop_block(normal(), **good)
    drop_block(normal(), **good | {"block_size": 1})
    with pytest.raises(TypeError, match=next(iter(wrong))):
        drop_block(normal(), **good | wrong)
