"""Is it on? The share that a layer dropped, and the table of a model's layers."""

import copy
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from dropblock_core import LinearSchedule, expected_keep, gamma
from dropblock_core.native.library import library
from dropblock_core.summary import PATIENCE
from dropblock_torch import DropBlock1d, DropBlock2d, DropBlock3d, KeepProbScheduler, summary
from dropblock_torch.engines import force
from tests.shared.comparing import RENORMS

ENGINES = ["host", "tensors", *(["native"] if library() else [])]


def share_of_zeros(y: torch.Tensor) -> torch.Tensor:
    return (y == 0).sum() / y.numel()


@pytest.mark.parametrize("renorm", RENORMS)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_share_is_that_of_the_last_call(engine: str, renorm: str) -> None:
    layer = DropBlock2d(0.7, 3, renorm=renorm)
    with force(engine):
        for shape in [(4, 5, 9, 7), (2, 3, 8, 8)]:
            y = layer(torch.ones(shape))
            assert layer.dropped_fraction is not None
            assert torch.equal(layer.dropped_fraction, share_of_zeros(y))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (DropBlock1d(0.6, 3), (3, 50)),
        (DropBlock3d(0.6, 3), (2, 3, 6, 6, 6)),
        (DropBlock2d(0.6, 3, per_channel=False), (2, 3, 9, 9)),
        (DropBlock2d(0.0, 1, renorm="none"), (2, 3, 9, 9)),
        (DropBlock2d(1.0, 3), (2, 3, 9, 9)),
    ],
)
def test_the_share_is_right_in_every_rank_and_at_the_ends(layer: nn.Module, shape: tuple[int, ...]) -> None:
    y = layer(torch.ones(shape))
    assert torch.equal(layer.dropped_fraction, share_of_zeros(y))


def test_an_empty_batch_is_a_call_without_a_share() -> None:
    layer = DropBlock2d(0.5, 3)
    layer(torch.ones(0, 3, 9, 9))
    assert (summary(layer).layers[0].calls, layer.dropped_fraction) == (1, None)


def test_the_law_of_the_call_stands_beside_its_share() -> None:
    layer = DropBlock2d(0.8, 5)
    assert layer.dropped_fraction is None
    assert layer.expected_dropped_fraction is None
    layer(torch.ones(64, 32, 14, 14))
    assert layer.expected_dropped_fraction == 1 - expected_keep(gamma(0.8, 5, 14), 5, 14)
    assert abs(layer.dropped_fraction - layer.expected_dropped_fraction) < 0.01


def test_only_calls_in_training_that_are_not_refused_count() -> None:
    layer = DropBlock2d(0.5, 3)
    layer.eval()(torch.ones(2, 3, 9, 9))
    with pytest.raises(TypeError, match="floating"):
        layer.train()(torch.ones(2, 3, 9, 9, dtype=torch.int32))
    (row,) = summary(layer).layers
    assert (row.calls, row.feat_size, row.dropped) == (0, None, None)


def test_a_copy_begins_anew_and_checkpoints_hold_nothing() -> None:
    layer = DropBlock2d(0.5, 3)
    layer(torch.ones(2, 3, 9, 9))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.dropped_fraction is None
        assert summary(other).layers[0].calls == 0
    assert layer.state_dict() == {}


def test_checkpointing_and_transforms_are_calls() -> None:
    layer, x = DropBlock2d(0.5, 3), torch.ones(2, 3, 9, 9, requires_grad=True)
    y = checkpoint(layer, x, use_reentrant=False)
    y.sum().backward()
    assert torch.equal(layer.dropped_fraction, share_of_zeros(y))
    torch.func.vmap(layer, randomness="different")(torch.ones(4, 2, 3, 9, 9))
    assert layer.dropped_fraction is None, "the share of a call before it would mislead"
    assert summary(layer).layers[0].calls == 3


def test_a_compiled_program_says_that_it_called() -> None:
    layer = DropBlock2d(0.9, 7)
    model = torch.compile(nn.Sequential(layer, nn.ReLU()), backend="aot_eager", fullgraph=True)
    model.eval()(torch.ones(2, 3, 14, 14))
    assert summary(model).layers[0].warnings
    model.train()(torch.ones(2, 3, 14, 14))
    (row,) = summary(model).layers
    assert (row.calls, row.feat_size, row.dropped, row.warnings) == (None, (14, 14), None, ())


def test_a_traced_graph_runs_without_observation() -> None:
    model = nn.Sequential(DropBlock2d(0.5, 3, seed=1))
    graph = torch.fx.symbolic_trace(model)
    assert (graph(torch.ones(2, 3, 9, 9)) == 0).any()
    assert summary(model).layers[0].warnings == (), "it is called, where nobody sees it"


def test_the_table_names_each_layer_and_what_looks_wrong() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), DropBlock2d(0.9, 7), nn.MaxPool2d(4), DropBlock2d(0.9, 7))
    spare = DropBlock2d(0.9, 7)
    model.add_module("spare", spare)
    model[:4](torch.ones(8, 3, 16, 16))
    schedule = LinearSchedule(0.9, 10)
    schedulers = [KeepProbScheduler(model[:4], schedule), KeepProbScheduler(model[1], schedule)]
    first, second, third = summary(model).layers
    assert (first.place, first.feat_size, first.calls, first.schedulers) == ("1", (14, 14), 1, 2)
    assert first.dropped == model[1].dropped_fraction.item()
    assert ["2 schedulers" in warning for warning in first.warnings] == [True]
    assert "clipped to 3x3" in second.warnings[0]
    assert (third.place, third.calls) == ("spare", 0)
    del schedulers
    assert summary(model).layers[0].schedulers == 0


def test_no_model_is_refused_and_one_without_layers_is_said() -> None:
    with pytest.raises(TypeError, match="model=None is a NoneType: pass the model"):
        summary(None)  # type: ignore[arg-type]
    assert "no DropBlock layer" in str(summary(nn.ReLU()))


def test_a_schedule_that_drives_nothing_warns_once() -> None:
    model = nn.Sequential(DropBlock2d(0.9, 7))
    scheduler = KeepProbScheduler(model, LinearSchedule(0.9, 10))
    for _ in range(PATIENCE - 1):
        scheduler.step()
    with pytest.warns(UserWarning, match="none of its 1 DropBlock layers was called in training"):
        scheduler.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2 * PATIENCE):
            scheduler.step()


@pytest.mark.parametrize("compiled", [False, True])
def test_a_schedule_whose_layers_are_called_does_not_warn(compiled: bool) -> None:
    model = nn.Sequential(DropBlock2d(0.9, 3))
    run = torch.compile(model, backend="eager") if compiled else model
    run(torch.ones(1, 1, 5, 5))
    scheduler = KeepProbScheduler(model, LinearSchedule(0.9, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(PATIENCE):
            scheduler.step()
