"""Where the 64 bits of a call come from (rule R13), and when none are drawn (rule R1)."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from dropblock_torch import DropBlock2d, drop_block, engines, keys

from .support import any_engine, draws_nothing

X = torch.ones(2, 3, 9, 9)


@pytest.fixture(autouse=True)
def _default_generator_restored() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        yield


def generator(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def masks(count: int = 3, **arguments: Any) -> Tensor:
    return torch.stack([drop_block(X, 0.7, 3, **arguments) for _ in range(count)])


# --- what draws, and from where -------------------------------------------------------------------------------------


def test_r13_manual_seed_fixes_the_masks_and_each_call_has_its_own() -> None:
    torch.manual_seed(5)
    first = masks()
    torch.manual_seed(5)
    assert torch.equal(masks(), first)
    torch.manual_seed(6)
    assert not torch.equal(masks(), first)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[1], first[2])


def test_r13_a_generator_of_ones_own_is_used_alone() -> None:
    torch.manual_seed(5)
    expected = masks()
    with draws_nothing():
        own = masks(generator=generator(5))
    assert torch.equal(own, expected)
    g = generator(5)
    assert torch.equal(torch.cat([masks(1, generator=g), masks(2, generator=g)]), expected)


def test_r13_a_layer_draws_as_the_function_does() -> None:
    torch.manual_seed(5)
    expected = masks(2)
    layer = DropBlock2d(0.7, 3, generator=generator(5))
    with draws_nothing():
        assert torch.equal(torch.stack([layer(X), layer(X)]), expected)
    torch.manual_seed(5)
    layer = DropBlock2d(0.7, 3)
    assert torch.equal(torch.stack([layer(X), layer(X)]), expected)


def test_r13_a_seed_leaves_the_generators_alone() -> None:
    for seed in (0, 1, torch.tensor(7)):
        with draws_nothing():
            y = drop_block(X, 0.7, 3, seed=seed)
            assert torch.equal(y, drop_block(X, 0.7, 3, seed=seed))
            layer = DropBlock2d(0.7, 3, seed=int(seed))
            assert torch.equal(layer(X), y)
            assert torch.equal(layer(X), y)


def test_r13_fork_rng_shields_what_is_outside() -> None:
    torch.manual_seed(5)
    expected = masks()
    torch.manual_seed(5)
    first = masks(1)
    with torch.random.fork_rng(devices=[]):
        inside = masks(2)
    assert torch.equal(torch.cat([first, masks(2)]), expected)
    assert torch.equal(inside, expected[1:])


def test_r13_all_64_bits_are_drawn() -> None:
    g = generator(0)
    low, high = torch.stack([keys.words_of(None, g, torch.device("cpu")) for _ in range(256)]).unbind(1)
    for word in (low, high):
        assert ((word >= 0) & (word < 2**32)).all()
        bits = (word[:, None] >> torch.arange(32)) & 1
        # Of 256 fair coins, 64 heads or fewer have a probability below 2^-50; the generator's seed is fixed besides.
        assert (bits.sum(0) > 64).all()
        assert (bits.sum(0) < 192).all()
    assert not torch.equal(low, high)


@any_engine
def test_r13_both_words_of_a_seed_count(engine: str) -> None:
    with engines.force(engine):
        ys = [drop_block(X, 0.7, 3, seed=seed) for seed in (1, 2, 1 + 2**32, 1 + 2**63, 2**64 - 1)]
    assert len({y.numpy().tobytes() for y in ys}) == len(ys)


def test_r13_a_call_draws_equally_much_whatever_its_size() -> None:
    # So that a run resumed with another batch size, or other layers' widths, keeps the masks of those after it.
    states = []
    for shape in [(1, 1, 4), (2, 3, 9, 9), (4, 8, 5, 6, 7)]:
        torch.manual_seed(5)
        drop_block(torch.ones(shape), 0.5, 2)
        states.append(torch.get_rng_state())
    assert all(torch.equal(state, states[0]) for state in states)


def test_r13_layers_that_share_a_seed_are_told_apart_by_their_streams() -> None:
    a, b, c = DropBlock2d(0.7, 3, seed=1), DropBlock2d(0.7, 3, seed=1, stream=1), DropBlock2d(0.7, 3, seed=1)
    assert torch.equal(a(X), c(X))
    assert not torch.equal(a(X), b(X))


# --- a seed as a tensor ---------------------------------------------------------------------------------------------


@any_engine
@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1])
def test_r13_a_tensor_as_seed_is_its_64_bits(engine: str, seed: int) -> None:
    signed = torch.tensor(seed - 2**64 if seed >= 2**63 else seed)
    unsigned = torch.from_numpy(np.array(seed, np.uint64))
    with engines.force(engine):
        expected = drop_block(X, 0.7, 3, seed=seed)
        assert torch.equal(drop_block(X, 0.7, 3, seed=signed), expected)
        assert torch.equal(drop_block(X, 0.7, 3, seed=unsigned), expected)


def test_r13_seed_and_generator_together_are_refused() -> None:
    g = generator(0)
    for seed in (1, torch.tensor(1)):
        with draws_nothing(g), pytest.raises(ValueError, match=r"^seed=.*1.* and generator=.* were both given: .*drop"):
            drop_block(X, 0.7, 3, seed=seed, generator=g)
    layer = DropBlock2d(0.7, 3, seed=1, generator=g)
    with pytest.raises(ValueError, match="were both given"):
        layer(X)


def test_r14_a_generator_of_another_device_is_refused() -> None:
    g = generator(0)
    message = r"^generator is on cpu and x on meta: .*torch\.Generator\(device='meta'\)$"
    with draws_nothing(g), pytest.raises(ValueError, match=message):
        drop_block(X.to("meta"), 0.7, 3, generator=g)


# --- what draws nothing (rule R1) -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"training": False},
        {"training": False, "keep_prob": 0.0, "block_size": 9, "renorm": "map"},
        {"keep_prob": 1.0},
        {"keep_prob": 1},
        {"keep_prob": torch.tensor(1.0)},
        {"keep_prob": 1.0, "calibrated": True},
    ],
    ids=str,
)
def test_r01_where_nothing_can_be_dropped_nothing_is_drawn(arguments: dict[str, Any]) -> None:
    arguments = {"keep_prob": 0.5, "block_size": 3} | arguments
    g = generator(0)
    with draws_nothing(g):
        assert drop_block(X, **arguments) is X
        assert drop_block(X, generator=g, **arguments) is X
        assert drop_block(X, seed=3, **arguments) is X
        assert drop_block(X, inplace=True, **arguments) is X
    assert (X == 1).all()


def test_r01_a_layer_in_evaluation_and_one_that_keeps_all_draw_nothing() -> None:
    g = generator(0)
    with draws_nothing(g):
        assert DropBlock2d(0.5, 3, generator=g).eval()(X) is X
        assert DropBlock2d(0.5, 3).eval()(X) is X
        assert DropBlock2d(1.0, 3, generator=g)(X) is X


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4)])
def test_r01_an_empty_batch_draws_nothing(shape: tuple[int, ...]) -> None:
    with draws_nothing():
        drop_block(torch.ones(shape), 0.5, 3)


# --- recomputation and resumption -----------------------------------------------------------------------------------


def recording(seen: list[Tensor], **options: Any) -> Callable[[Tensor], Tensor]:
    layer = DropBlock2d(0.6, 3, **options)

    def forward(x: Tensor) -> Tensor:
        y = layer(x * 2)
        seen.append(y.detach().clone())
        return y.sin()

    return forward


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_r13_activation_checkpointing_meets_the_same_mask_again(use_reentrant: bool) -> None:
    seen: list[Tensor] = []
    forward = recording(seen)
    x = torch.randn(2, 3, 9, 9, generator=generator(1), requires_grad=True)
    torch.manual_seed(5)
    forward(x).sum().backward()
    expected, x.grad = x.grad, None

    torch.manual_seed(5)
    y = checkpoint(forward, x, use_reentrant=use_reentrant)
    drop_block(X, 0.5, 3)  # between the passes the generator moves on
    y.sum().backward()
    assert len(seen) == 3  # plainly, then under the checkpoint, then again in its backward pass
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[1], seen[2])
    assert torch.equal(x.grad, expected)


@pytest.mark.parametrize("use_reentrant", [True, False])
@pytest.mark.parametrize("layer", [True, False])
def test_r13_a_generator_of_the_users_own_is_refused_where_activations_are_recomputed(
    use_reentrant: bool, layer: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    module = DropBlock2d(0.7, 3, generator=generator)
    x = torch.ones(2, 4, 9, 9, requires_grad=True)
    forward = module if layer else lambda x: drop_block(x, 0.7, 3, generator=generator)
    y = checkpoint(forward, x, use_reentrant=use_reentrant)
    before = generator.get_state()
    with pytest.raises(ValueError, match=r"generator=.* backward pass.* leave generator out.* or pass seed="):
        y.sum().backward()
    assert torch.equal(generator.get_state(), before)
    assert x.grad is None


def test_r13_a_checkpoint_that_is_told_to_restore_nothing_meets_another_mask() -> None:
    seen: list[Tensor] = []
    x = X.clone().requires_grad_()
    checkpoint(recording(seen), x, use_reentrant=False, preserve_rng_state=False).sum().backward()
    assert not torch.equal(seen[0] == 0, seen[1] == 0)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_r13_checkpointed_layers_have_the_gradients_of_plain_ones(use_reentrant: bool) -> None:
    net = nn.Sequential(*[nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), DropBlock2d(0.7, 3)) for _ in range(4)])

    def gradients(forward: Callable[[Tensor], Tensor]) -> list[Tensor]:
        torch.manual_seed(5)
        net.zero_grad()
        leaves = [X.clone().requires_grad_(), *net.parameters()]
        forward(leaves[0]).sum().backward()
        return [leaf.grad.clone() for leaf in leaves]

    plain = gradients(net)
    again = gradients(lambda x: checkpoint_sequential(net, 2, x, use_reentrant=use_reentrant))
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))


def test_r13_a_restored_generator_gives_the_next_masks() -> None:
    torch.manual_seed(5)
    own = generator(6)
    masks(2, generator=own)
    masks(2)
    saved = io.BytesIO()
    torch.save({"default": torch.get_rng_state(), "own": own.get_state()}, saved)
    expected = masks(), masks(generator=own)

    torch.manual_seed(99)
    saved.seek(0)
    state = torch.load(saved)
    torch.set_rng_state(state["default"])
    resumed = generator(99)
    resumed.set_state(state["own"])
    assert torch.equal(masks(), expected[0])
    assert torch.equal(masks(generator=resumed), expected[1])
