"""What becomes of a model with add_dropblock's layers: copied, compiled, frozen, its norms converted."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter

from dropblock_torch import DropBlock2d
from dropblock_torch.placement import add_dropblock

from .resnets import calls, images, network


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_a_copy_has_layers_of_its_own_and_uses_them(twin: Callable[[nn.Module], nn.Module]) -> None:
    original, placed = network(), network()
    layers = add_dropblock(placed, block_size=3, seed=1)
    other = twin(placed)
    dropped = placed(images())
    assert torch.equal(other(images()), dropped)
    theirs = [module for module in other.modules() if isinstance(module, DropBlock2d)]
    assert len(theirs) == len(layers)
    assert not set(theirs) & set(layers)
    for layer in theirs:
        layer.keep_prob = 1.0
    assert torch.equal(other(images()), original(images()))
    assert torch.equal(placed(images()), dropped)


def test_a_compiled_model_is_one_graph_and_one_program_for_a_whole_schedule() -> None:
    torch._dynamo.reset()
    nets = [network(), network()]
    layers = [layer for net in nets for layer in add_dropblock(net, block_size=3, seed=1)]
    counter = CompileCounter()
    compiled = torch.compile(nets[0], backend=counter, fullgraph=True)
    for keep_prob in (1.0, 0.95, 0.9):
        for layer in layers:
            layer.keep_prob = keep_prob
        assert torch.equal(compiled(images()), nets[1](images()))
    assert counter.frame_count == 1


def test_a_norm_frozen_by_eval_goes_on_dropping() -> None:
    original, placed = network(), network()
    layers = add_dropblock(placed, block_size=3)
    for net in (original, placed):
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    assert all(layer.training for layer in layers)
    assert not torch.equal(placed(images()), original(images()))


def test_norms_converted_first_run_their_layers() -> None:
    net = nn.SyncBatchNorm.convert_sync_batchnorm(network())
    layers = add_dropblock(net)
    for module in net.modules():
        if isinstance(module, nn.SyncBatchNorm):
            module.eval()  # in training it wants a GPU
    assert [layer for layer, _ in calls(net, layers, images())] == layers


def test_norms_converted_afterwards_stop_training_and_not_evaluation() -> None:
    net = network()
    add_dropblock(net)
    net = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    with pytest.raises(RuntimeError, match=r"^bn1 of a Bottleneck was replaced.*convert norms .* first, then call"):
        net(images())
    assert torch.equal(net.eval()(images()), network().eval()(images()))


def test_cleared_hooks_stop_training() -> None:
    net = network()
    add_dropblock(net)
    net.get_submodule("layer4.1.bn3")._forward_hooks.clear()
    with pytest.raises(RuntimeError, match=r"^bn3 of a Bottleneck was replaced, or its hooks were cleared"):
        net(images())
