"""Compiled programs for a GPU: nothing in them is a reason for PyTorch to leave them out of CUDA graphs."""

from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.backends.cudagraphs import check_for_skip, find_input_mutations
from torch._functorch.aot_autograd import make_boxed_func
from torch._inductor.utils import is_cudagraph_unsafe_fx_node
from torch._subclasses.fake_tensor import FakeTensorMode

from dropblock_torch import DropBlock2d, drop_block
from dropblock_torch.traced import _operand

GPU = torch.device("cuda", 0)


class Function(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return drop_block(x * 2, 0.9, 3, **self.options)


def traced(module: nn.Module, *, is_moved: bool = True) -> torch.fx.GraphModule:
    """The operators of `module` on a GPU, which need not be here: its tensors are fakes."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        if is_moved and isinstance(module, DropBlock2d):
            module._keep_prob_on_gpu = torch.full((1,), 0.9, dtype=torch.float64, device=GPU)
        x = torch.empty(2, 3, 8, 8, device=GPU)
        return torch.export.export(module, (x,), strict=False).run_decompositions({}).graph_module


def left_out(graph: torch.fx.GraphModule) -> list[str]:
    """The operators that run beside CUDA graphs and not in them."""
    calls = [node for node in graph.graph.nodes if node.op == "call_function"]
    return [node.name for node in calls if is_cudagraph_unsafe_fx_node(node)]


@pytest.mark.parametrize("make", [DropBlock2d, Function])
@pytest.mark.parametrize(
    "options", [{}, {"seed": 2**40 + 5}, {"renorm": "map"}, {"renorm": "none", "per_channel": False}]
)
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
def test_a_compiled_call_is_one_cuda_graph(make: type[nn.Module], options: dict[str, Any]) -> None:
    graph = traced(make(**options))
    assert "mask_bits" in [node.name for node in graph.graph.nodes]
    assert check_for_skip(graph, 0) is None
    assert not left_out(graph)
    assert not find_input_mutations(graph.graph)


def test_numbers_for_a_program_on_a_gpu_compile_once_more_and_not_each_anew() -> None:
    programs = []

    def compiler(program: torch.fx.GraphModule, inputs: Any) -> Any:
        programs.append(program)
        return make_boxed_func(lambda *_: (torch.zeros(()),))  # there is no GPU to run on

    torch._dynamo.reset()
    backend = aot_autograd(fw_compiler=compiler)
    operand = torch.compile(lambda number: _operand(number, GPU, by_host=False), backend=backend, fullgraph=True)
    for step in range(1, 6):
        operand(step / 10)
    assert len(programs) == 2


@pytest.mark.parametrize(
    ("module", "is_moved"),
    [(DropBlock2d(renorm="expected"), True), (DropBlock2d(calibrated=True), True), (DropBlock2d(), False)],
)
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
def test_what_reads_keep_prob_on_the_host_is_in_no_cuda_graph_which_would_keep_its_value(
    module: nn.Module, is_moved: bool
) -> None:
    assert left_out(traced(module, is_moved=is_moved)) == ["mask_bits_of_host"]


def test_a_layer_moves_its_keep_prob_along_and_sets_it_there(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = []
    layer = DropBlock2d(0.9, 3)
    monkeypatch.setattr(DropBlock2d, "_go_to", lambda self, device: gone.append(device.type))
    nn.Sequential(layer).half().to("meta")
    assert gone == ["cpu", "meta"]
    assert layer._keep_prob.device.type == "cpu"
    layer._keep_prob_on_gpu = torch.zeros(1, dtype=torch.float64)
    layer.keep_prob = 0.3
    assert layer._keep_prob_on_gpu.item() == layer.keep_prob == 0.3


@pytest.mark.parametrize("stay", [{"dtype": torch.float16}, {"memory_format": torch.channels_last}])
def test_what_names_no_device_leaves_keep_prob_on_the_gpu(stay: Any) -> None:
    layer = DropBlock2d(0.9, 3)
    with FakeTensorMode():
        there = layer._keep_prob_on_gpu = torch.full((1,), 0.9, dtype=torch.float64, device=GPU)
    nn.Sequential(layer).to(**stay)
    assert layer._keep_prob_on_gpu is there  # a program may hold it
    layer.cpu()
    assert layer._keep_prob_on_gpu is None
