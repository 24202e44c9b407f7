"""The table of docs/placement.md: each network of its library's own class, trained, scheduled, saved and resumed."""

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dropblock_core import LinearSchedule
from dropblock_torch import KeepProbScheduler, add_dropblock, drop_block
from tests.docs.test_docs import run_snippets, said_lines
from tests.shared.generated import read_generated

from .networks import COMMAND, DOCUMENT, NETWORKS, Network, outputs, table, without_extension


class Run:
    """A training run as people write it, and what a checkpoint of it holds."""

    def __init__(self, network: Network) -> None:
        self.model = created(network)
        self.layers = add_dropblock(self.model, **network.arguments)
        self.scheduler = KeepProbScheduler(self.layers, LinearSchedule(0.5, steps=2))
        self.optimizer = torch.optim.SGD([p for p in self.model.parameters() if p.requires_grad], lr=1e-3)
        self.parts: list[Any] = [self.model, self.scheduler, self.optimizer]

    def step(self, seed: int) -> list[Tensor]:
        self.optimizer.zero_grad()
        said = trained(self.model, seed)
        self.optimizer.step()
        self.scheduler.step()
        return said

    def save(self) -> io.BytesIO:
        file = io.BytesIO()
        torch.save([part.state_dict() for part in self.parts], file)
        file.seek(0)
        return file

    def load(self, file: io.BytesIO) -> None:
        for part, state in zip(self.parts, torch.load(file), strict=True):
            part.load_state_dict(state)


def created(network: Network) -> nn.Module:
    torch.manual_seed(0)
    model: nn.Module = network.create()
    return model


def trained(model: nn.Module, seed: int) -> list[Tensor]:
    """One pass forward and backward; dropout and the choice of boxes are random, too."""
    torch.manual_seed(seed)
    said = outputs(model.train())
    sum(y.square().mean() if y.ndim else y for y in said).backward()  # type: ignore[union-attr]
    return said


def assert_equal(theirs: list[Tensor], ours: list[Tensor]) -> None:
    assert len(theirs) == len(ours) > 0
    assert all(torch.equal(a, b) for a, b in zip(theirs, ours, strict=True))


def gradients(model: nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def follows(layer: Any, network: Network) -> list[bool]:
    """Let a layer draw from a seed; the list tells of each call whether its mask is the one of that seed."""
    right: list[bool] = []
    layer.seed = 3
    options = {name: getattr(layer, name) for name in ("block_size", "gamma_scale", "seed", "stream")}
    share = 0.25 if layer.gamma_scale == 0.25 else 1.0
    assert options["block_size"] == network.arguments.get("block_size", 7)
    assert options["gamma_scale"] == share

    def check(_: Any, inputs: Any, output: Tensor) -> None:
        right.append(torch.equal(output, drop_block(inputs[0], keep_prob=0.75, **options)))

    layer.register_forward_hook(check)
    return right


@pytest.mark.parametrize(
    "network", [pytest.param(n, id=f"{n.library}-{n.name}-{n.call}", marks=n.marks) for n in NETWORKS]
)
def test_each_network_of_the_table(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    without_extension(monkeypatch)
    original, run = created(network), Run(network)
    assert len(run.layers) == network.layers
    assert list(run.model.state_dict()) == list(original.state_dict())
    assert_equal(outputs(original.eval()), outputs(run.model.eval()))

    # At keep_prob 1 a training step is the original's.
    assert_equal(trained(original, 1), run.step(1))
    assert_equal(gradients(original), gradients(run.model))

    # At 0.75 each layer is called, drops what its seed says, and the model says something else.
    masks = [follows(layer, network) for layer in run.layers]
    different = run.step(2)
    assert all(right and all(right) for right in masks)
    assert len({layer.stream for layer in run.layers}) == len(run.layers)
    for layer in run.layers:
        layer.seed = None
        layer._forward_hooks.clear()
    assert all(gradient.isfinite().all() for gradient in gradients(run.model))

    resumed = Run(network)
    resumed.load(run.save())
    dropped = run.step(3)
    assert {layer.keep_prob for layer in resumed.layers} == {0.5}
    assert_equal(dropped, resumed.step(3))
    assert_equal(list(run.model.state_dict().values()), list(resumed.model.state_dict().values()))
    run.model.eval()
    assert different[0].isfinite().all()


# PyTorch's own modules warn so when its compiler is first imported.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_the_document_has_this_table_and_says_what_its_snippets_print() -> None:
    text = DOCUMENT.read_text()
    assert read_generated(DOCUMENT, COMMAND) == table()
    assert run_snippets(text).splitlines() == said_lines(text)
