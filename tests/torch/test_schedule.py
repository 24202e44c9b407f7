"""KeepProbScheduler (rule R12): the schedule's value at each step, in every layer, through save and load."""

import copy
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropblock_core import LinearSchedule
from dropblock_torch import DropBlock1d, DropBlock2d, DropBlock3d, KeepProbScheduler


@pytest.fixture(autouse=True)
def _default_generator_restored() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        yield


def model() -> nn.Sequential:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.ReLU(), DropBlock2d(0.8, 3))
    return nn.Sequential(nn.Conv2d(3, 4, 3), DropBlock2d(0.7, 3), inner, DropBlock2d(0.7, 2))


def layers_of(net: nn.Module) -> list[DropBlock2d]:
    return [layer for layer in net.modules() if isinstance(layer, DropBlock2d)]


def values(net: nn.Module) -> set[float]:
    return {layer.keep_prob for layer in layers_of(net)}


# --- the values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_prob", [0.9, 0.1, 1 / 3, 0.0, 1.0])
@pytest.mark.parametrize("steps", [0, 1, 7])
def test_r12_ends_are_exact_and_each_step_is_the_schedules(keep_prob: float, steps: int) -> None:
    net, schedule = model(), LinearSchedule(keep_prob, steps)
    scheduler = KeepProbScheduler(net, schedule)
    assert values(net) == {1.0 if steps else keep_prob}
    for step in range(steps + 3):
        assert scheduler.last_step == step
        assert values(net) == {schedule(step)}
        assert scheduler.get_last_keep_prob() == schedule(step)
        if step >= steps:
            assert values(net) == {keep_prob}
        scheduler.step()


def test_r12_neither_forward_calls_nor_evaluation_move_it() -> None:
    net = model()
    scheduler = KeepProbScheduler(net, LinearSchedule(0.5, 10))
    scheduler.step()
    before = scheduler.state_dict()
    for mode in (net.train, net.eval, net.train):
        mode()(torch.ones(2, 3, 9, 9)).sum().backward()
    assert scheduler.state_dict() == before
    assert values(net) == {0.95}


def test_r12_a_run_may_start_at_a_later_step() -> None:
    net = model()
    scheduler = KeepProbScheduler(net, LinearSchedule(0.5, 10), last_step=4)
    assert values(net) == {0.8}
    scheduler.step()
    assert (scheduler.last_step, values(net)) == (5, {0.75})


def test_r12_a_step_may_be_one_that_another_counts() -> None:
    net = model()
    scheduler = KeepProbScheduler(net, LinearSchedule(0.5, 10))
    scheduler.step(last_step=4)
    assert (scheduler.last_step, values(net)) == (4, {0.8})
    with pytest.raises(ValueError, match=r"^last_step=-1 is negative"):
        scheduler.step(last_step=-1)
    assert (scheduler.last_step, values(net)) == (4, {0.8})


@pytest.mark.parametrize("number", [torch.tensor(0.25), torch.tensor(0.25, dtype=torch.float64), 0, 1])
def test_a_schedule_is_any_function_of_the_step(number: Any) -> None:
    net = model()
    seen: list[int] = []
    scheduler = KeepProbScheduler(net, lambda step: seen.append(step) or number)
    scheduler.step()
    scheduler.step()
    assert seen == [0, 1, 2]
    assert values(net) == {float(number)}


# --- the layers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pick", [lambda net: net, layers_of, lambda net: iter(layers_of(net)), nn.Module.modules])
def test_it_takes_a_model_or_layers_or_a_generator_of_them(pick: Callable[[nn.Module], Any]) -> None:
    net = model()
    scheduler = KeepProbScheduler(pick(net), LinearSchedule(0.5, 2))
    assert scheduler.layers == layers_of(net)
    scheduler.step()
    assert values(net) == {0.75}


def test_it_takes_one_layer_and_layers_of_every_rank() -> None:
    layers = [DropBlock1d(), DropBlock2d(), DropBlock3d()]
    KeepProbScheduler(layers[0], lambda step: 0.5)
    assert [layer.keep_prob for layer in layers] == [0.5, 0.9, 0.9]
    KeepProbScheduler(layers, lambda step: 0.25)
    assert [layer.keep_prob for layer in layers] == [0.25] * 3


def test_it_schedules_only_the_layers_it_is_given() -> None:
    net = model()
    first, *others = layers_of(net)
    KeepProbScheduler([first], lambda step: 0.25)
    assert first.keep_prob == 0.25
    assert [layer.keep_prob for layer in others] == [0.8, 0.7]


def test_it_takes_a_list_of_models_with_layers_inside() -> None:
    nets = [model(), model()]
    assert KeepProbScheduler(nets, lambda step: 0.25).layers == [*layers_of(nets[0]), *layers_of(nets[1])]
    assert values(nets[0]) | values(nets[1]) == {0.25}


def test_r14_a_bad_value_raises_before_any_layer_or_the_step_is_changed() -> None:
    net = model()
    scheduler = KeepProbScheduler(net, lambda step: [0.9, 0.8, 1.5, 0.6][step])
    scheduler.step()
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^keep_prob=1\.5 is outside \[0, 1\]"):
            scheduler.step()
        assert values(net) == {0.8}
        assert scheduler.last_step == 1
    for state, error in [({"last_step": -1}, ValueError), ({"last_step": 0.5}, TypeError), ({}, ValueError)]:
        with pytest.raises(error, match="last_step"):
            scheduler.load_state_dict(state)
        assert values(net) == {0.8}
        assert scheduler.last_step == 1


# --- save, load, copy -----------------------------------------------------------------------------------------------


def train(net: nn.Module, scheduler: KeepProbScheduler, steps: int) -> list[tuple[float, Tensor]]:
    """The values and the masks that a run meets."""
    met = []
    for _ in range(steps):
        keep_prob = scheduler.get_last_keep_prob()
        met.append((keep_prob, net(torch.ones(2, 3, 9, 9)) == 0))
        scheduler.step()
    return met


def test_r12_resuming_in_the_middle_meets_the_next_values_and_masks_exactly() -> None:
    net = model()
    scheduler = KeepProbScheduler(net, LinearSchedule(0.5, 7))
    torch.manual_seed(5)
    train(net, scheduler, 3)
    checkpoint = io.BytesIO()
    torch.save(
        {"model": net.state_dict(), "schedule": scheduler.state_dict(), "rng": torch.get_rng_state()}, checkpoint
    )
    expected = train(net, scheduler, 6)

    torch.manual_seed(99)
    checkpoint.seek(0)
    saved = torch.load(checkpoint)  # numbers and tensors alone, so that a checkpoint is safe to load
    resumed = model()
    scheduler = KeepProbScheduler(resumed, LinearSchedule(0.5, 7))
    resumed.load_state_dict(saved["model"])
    scheduler.load_state_dict(saved["schedule"])
    torch.set_rng_state(saved["rng"])
    met = train(resumed, scheduler, 6)
    assert [value for value, _ in met] == [value for value, _ in expected]
    assert [value for value, _ in met][-2:] == [0.5] * 2
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(met, expected, strict=True))
    assert not torch.equal(met[0][1], met[1][1])


def test_r12_a_state_says_the_step_and_its_value() -> None:
    scheduler = KeepProbScheduler(model(), LinearSchedule(0.5, 10))
    for _ in range(4):
        scheduler.step()
    assert scheduler.state_dict() == {"last_step": 4, "keep_prob": 0.8}


def test_r12_a_loaded_state_follows_the_schedule_of_this_run() -> None:
    net = model()
    scheduler = KeepProbScheduler(net, LinearSchedule(0.5, 20))
    scheduler.load_state_dict({"last_step": 10, "keep_prob": 0.5})  # written when the run was to take 10 steps
    assert values(net) == {0.75}


def test_r12_copies_of_the_model_and_of_both_together_go_their_own_ways() -> None:
    net = model()
    scheduler = KeepProbScheduler(net, LinearSchedule(0.5, 10))
    alone = copy.deepcopy(net)
    both, its_scheduler = copy.deepcopy((net, scheduler))
    scheduler.step()
    assert (values(net), values(alone), values(both)) == ({0.95}, {1.0}, {1.0})
    its_scheduler.step()
    its_scheduler.step()
    assert (values(net), values(alone), values(both)) == ({0.95}, {1.0}, {0.9})
    assert scheduler.last_step == 1
