"""A model with DropBlock leaves PyTorch: exported, traced by torch.fx, or refused by torch.jit in plain words."""

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropblock_torch import DropBlock2d, KeepProbScheduler, drop_block, eager

# torch.export copies trees of arguments, and Python's copying calls a class that PyTorch itself has deprecated.
of_pytorch = pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated:FutureWarning")


@pytest.fixture(autouse=True)
def _default_generator_restored() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


class Net(nn.Module):
    def __init__(self, *between: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.between = nn.Sequential(*between)

    def forward(self, x: Tensor) -> Tensor:
        return self.between(self.conv(x)).relu()


def images(samples: int = 2) -> Tensor:
    return torch.ones(samples, 3, 8, 8)


def targets(program: torch.export.ExportedProgram) -> list[str]:
    return [str(node.target) for node in program.graph.nodes if node.op == "call_function"]


def test_export_in_evaluation_leaves_only_the_neighbours() -> None:
    program = torch.export.export(Net(DropBlock2d(0.5, 3)).eval(), (images(),))
    assert targets(program) == targets(torch.export.export(Net().eval(), (images(),)))
    assert targets(program) == ["aten.conv2d.default", "aten.relu.default"]
    assert len(program.constants) == 0
    assert len(program.state_dict) == 2


def test_export_in_training_draws_afresh_at_each_call() -> None:
    net = Net(DropBlock2d(0.5, 3))
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(net, (images(),), dynamic_shapes={"x": {0: batch}})
    assert "dropblock.mask_bits.default" in targets(program)
    assert "dropblock.apply.default" in targets(program)
    exported = program.module()
    for samples in (2, 5):
        torch.manual_seed(5)
        ys = exported(images(samples)), exported(images(samples))
        torch.manual_seed(5)
        assert torch.equal(ys[0], net(images(samples)))
        assert torch.equal(ys[1], net(images(samples)))
        assert not torch.equal(*ys)


@of_pytorch
@pytest.mark.filterwarnings("ignore::DeprecationWarning:onnxscript", "ignore::DeprecationWarning:onnx_ir")
def test_onnx_in_evaluation_leaves_only_the_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    def kinds(net: nn.Module) -> list[str]:
        model = torch.onnx.export(net.eval(), (images(),), dynamo=True, verbose=False)
        return [node.op_type for node in model.model.graph]

    assert kinds(Net(DropBlock2d(0.5, 3))) == kinds(Net()) == ["Conv", "Relu"]


# --- torch.fx -------------------------------------------------------------------------------------------------------


def test_fx_traces_a_layer_which_follows_its_schedule() -> None:
    layer = DropBlock2d(0.6, 3, seed=4)
    net = Net(layer)
    traced = torch.fx.symbolic_trace(net)
    assert torch.equal(traced(images()), net(images()))
    assert torch.equal(traced(images()[0]), net(images()[0]))  # the batch is not fixed
    before = traced(images())
    scheduler = KeepProbScheduler(net, lambda step: 0.3)
    scheduler.step()
    assert torch.equal(traced(images()), net(images()))
    assert not torch.equal(traced(images()), before)
    layer.keep_prob = 1.0
    assert torch.equal(traced(images()), Net.forward(net.eval(), images()))


def test_fx_programs_take_keep_prob_along_to_a_device_and_wait_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    traced = torch.fx.symbolic_trace(nn.Sequential(DropBlock2d(0.6, 3)))
    traced(images())
    traced.to("meta")  # where nothing has a value to wait for

    def see(x: Tensor, keep_prob: Any, *_: Any, **options: Any) -> Tensor:
        given.append(keep_prob)
        return x

    monkeypatch.setattr(eager, "drop_block", see)
    traced(images())
    assert [number.device.type for number in given] == ["meta"]


def test_fx_traces_evaluation_to_the_identity() -> None:
    net = Net(DropBlock2d(0.6, 3)).eval()
    assert torch.equal(torch.fx.symbolic_trace(net)(images()), net(images()))


def test_fx_programs_are_copied_and_pickled() -> None:
    traced = torch.fx.symbolic_trace(Net(DropBlock2d(0.6, 3, seed=4)))
    expected = traced(images())
    assert torch.equal(copy.deepcopy(traced)(images()), expected)
    assert torch.equal(pickle.loads(pickle.dumps(traced))(images()), expected)


# --- torch.jit ------------------------------------------------------------------------------------------------------

JIT_IS_OLD = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")
# Tracing warns of every decision on a shape, ours included, before it meets the refusal.
TRACING_WARNS = pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")


@JIT_IS_OLD
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("wrap", [lambda layer: layer, Net, nn.Sequential], ids=["layer", "model", "Sequential"])
def test_jit_script_is_refused_with_the_remedy(wrap: Any, training: bool) -> None:
    with pytest.raises(TypeError, match=r"^torch\.jit does not support DropBlock2d: use torch\.compile, or torch\.exp"):
        torch.jit.script(wrap(DropBlock2d(0.5, 3)).train(training))


@JIT_IS_OLD
@TRACING_WARNS
def test_jit_trace_is_refused_in_training_with_the_remedy() -> None:
    message = r"^torch\.jit\.trace would freeze one mask into the program: use torch\.compile or torch\.export$"
    for call in (Net(DropBlock2d(0.5, 3)), lambda x: drop_block(x, 0.5, 3), lambda x: drop_block(x, 0.5, 3, seed=1)):
        with pytest.raises(TypeError, match=message):
            torch.jit.trace(call, (images(),))


@JIT_IS_OLD
@TRACING_WARNS
def test_jit_trace_in_evaluation_is_the_identity() -> None:
    net = Net(DropBlock2d(0.5, 3)).eval()
    traced = torch.jit.trace(net, (images(),))
    assert torch.equal(traced(images()), net(images()))
    assert {node.kind() for node in traced.inlined_graph.nodes() if node.kind().startswith("drop")} == set()
    assert "aten::randint" not in str(traced.inlined_graph)
