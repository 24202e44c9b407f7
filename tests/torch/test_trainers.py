"""Scheduled DropBlock under Lightning, Hugging Face's Trainer and MMEngine themselves: steps, resumption, refusals."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import IterableDataset

from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision
from dropblock_core import LinearSchedule
from dropblock_torch import DropBlock2d
from tests.docs.test_docs import ROOT, run_snippets, said_lines
from tests.torch.trained import Net, lightning_trains, mmengine_trains, samples, transformers_trains

SCHEDULE = LinearSchedule(keep_prob=0.2, steps=6)
CONFIG = {"type": "LinearSchedule", "keep_prob": 0.2, "steps": 6}

pytestmark = [
    # Ignite's and PyTorch's own modules, as they are first imported.
    pytest.mark.filterwarnings("ignore:`torch.jit..*` is deprecated:DeprecationWarning"),
    # Lightning's own modules as it trains, and its advice on speed.
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),  # where a run goes on
    # PyTorch of what `_environment` sets.
    pytest.mark.filterwarnings("ignore:Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD detected"),
]


@pytest.fixture(scope="module", autouse=True)
def _libraries() -> None:
    import_torchvision()  # the trainers import it
    for library in ("lightning", "transformers", "mmengine"):
        pytest.importorskip(library, exc_type=ImportError)  # MMEngine imports OpenCV, and that needs libGL


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # MMEngine's checkpoints hold its own classes
    with torch.random.fork_rng(devices=[]):
        yield


Trains = Callable[..., Any]

# The steps in which each batch of a run takes part. Lightning and Trainer step at the end of an epoch with what they
# have, MMEngine at the end of the run.
EPOCHS = [0, 0, 1, 1, 2, 3, 3, 4, 4, 5]
RUN = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7]
any_trainer = pytest.mark.parametrize("trains", [lightning_trains, transformers_trains, mmengine_trains])


@pytest.mark.parametrize(
    ("trains", "schedule", "steps", "after", "seed"),
    [
        # With a seed masks depend on keep_prob alone, and so do the weights in the end.
        (lightning_trains, SCHEDULE, EPOCHS, 1, 1),
        (mmengine_trains, CONFIG, RUN, 2, 1),
        # This one resumes the random state, too.
        (transformers_trains, SCHEDULE, EPOCHS, 1, None),
    ],
)
def test_r12_each_step_has_its_keep_prob_and_a_resumed_run_ends_as_one_that_did_not_stop(
    trains: Trains, schedule: Any, steps: list[int], after: int, seed: int | None, tmp_path: Path
) -> None:
    net, resumed = (Net(DropBlock2d(block_size=3, seed=seed)) for _ in range(2))
    trains(net, schedule, tmp_path)
    assert net.seen == [SCHEDULE(step) for step in steps]
    assert net.evaluated >= len(steps)
    assert net.drop.keep_prob == 0.2  # six steps and more are finished

    trains(resumed, schedule, tmp_path, after=after)
    assert resumed.seen == net.seen[5 * after :]
    assert resumed.drop.keep_prob == 0.2
    assert all(torch.equal(a, b) for a, b in zip(resumed.parameters(), net.parameters(), strict=True))


def test_r12_lightning_under_its_other_name_has_a_callback_too(tmp_path: Path) -> None:
    net = Net()
    lightning_trains(net, SCHEDULE, tmp_path, name="pytorch_lightning")
    assert net.seen == [SCHEDULE(step) for step in EPOCHS]


def test_r12_lightning_counts_the_steps_of_every_optimizer(tmp_path: Path) -> None:
    net, schedule = Net(), LinearSchedule(keep_prob=0.2, steps=20)
    lightning_trains(net, schedule, tmp_path, optimizers=2)
    assert net.seen == [schedule(step) for step in range(0, 20, 2)]
    assert net.drop.keep_prob == 0.2


def test_r12_a_step_of_several_optimizers_is_an_iteration_in_mmengine(tmp_path: Path) -> None:
    net = Net()
    mmengine_trains(net, SCHEDULE, tmp_path, wrapper="OptimWrapperDict")
    assert net.seen == [SCHEDULE(step) for step in range(15) for _ in range(2)]


# --- mixed precision: the first step's gradients overflow, and its scaler skips it ----------------------------------

HIGH, LOW = 2.0**127, 2.0**7


def scaler_of_the_cpu(*_: Any) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", init_scale=HIGH, backoff_factor=LOW / HIGH)


def test_a_step_that_a_scaler_skips_is_one_in_lightning(tmp_path: Path) -> None:
    from lightning.pytorch.plugins import MixedPrecision

    net, scaler = Net(), scaler_of_the_cpu()
    lightning_trains(net, SCHEDULE, tmp_path, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    assert scaler.get_scale() == LOW
    assert net.seen == [SCHEDULE(step) for step in EPOCHS]


def test_a_step_that_a_scaler_skips_is_one_in_transformers(tmp_path: Path) -> None:
    net, scaler = Net(), scaler_of_the_cpu()
    transformers_trains(net, SCHEDULE, tmp_path, scaler=scaler)
    assert scaler.get_scale() == LOW
    assert net.seen == [SCHEDULE(step) for step in EPOCHS]


def test_a_step_that_a_scaler_skips_is_one_in_mmengine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmengine.optim.optimizer import amp_optimizer_wrapper

    net, scaler = Net(), scaler_of_the_cpu()
    monkeypatch.setattr(amp_optimizer_wrapper, "GradScaler", lambda: scaler)
    monkeypatch.setattr(amp_optimizer_wrapper, "is_cuda_available", lambda: True)
    mmengine_trains(net, SCHEDULE, tmp_path, wrapper="AmpOptimWrapper")
    assert scaler.get_scale() == LOW
    assert net.seen == [SCHEDULE(step) for step in RUN]


# --- what is refused, and what is warned of -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "name"),
    [
        ("lightning", "KeepProbCallback"),
        ("pytorch_lightning", "KeepProbCallback"),
        ("transformers", "KeepProbCallback"),
        ("mmengine", "KeepProbHook"),
    ],
)
def test_r14_what_is_no_schedule_is_refused_at_once(library: str, name: str) -> None:
    callback = getattr(import_module(f"dropblock_torch.trainers.{library}"), name)
    with pytest.raises(TypeError, match=r"^schedule=0\.9 is not a function of the step: pass e\.g\. LinearSchedule"):
        callback(0.9)


@any_trainer
def test_r14_a_model_without_layers_is_refused_before_it_trains(trains: Trains, tmp_path: Path) -> None:
    net = Net(nn.Identity())
    with pytest.raises(ValueError, match="holds no DropBlock layer: add some first"):
        trains(net, SCHEDULE, tmp_path)
    assert net.seen == []


@pytest.mark.parametrize(("trains", "planned"), [(lightning_trains, 6), (transformers_trains, 6), (mmengine_trains, 8)])
def test_a_schedule_that_ends_after_training_is_warned_of(trains: Trains, planned: int, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=f"takes 10 steps, and the trainer plans {planned} optimizer") as warned:
        trains(net := Net(), LinearSchedule(keep_prob=0.5, steps=10), tmp_path)
    [text] = [str(one.message) for one in warned if "optimizer steps" in str(one.message)]
    assert f"training ends at keep_prob={net.drop.keep_prob:g}, before 0.5" in text
    assert f"LinearSchedule(keep_prob=0.5, steps={planned})" in text


def test_lightning_warns_of_nothing_where_it_does_not_know_the_end(tmp_path: Path) -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            return iter(samples())

    net, schedule = Net(), LinearSchedule(keep_prob=0.2, steps=10)
    lightning_trains(net, schedule, tmp_path, data=Stream())
    assert net.seen == [schedule(step) for step in EPOCHS]


@any_trainer
def test_a_trained_model_is_free_for_another_schedule(trains: Trains, tmp_path: Path) -> None:
    net = Net()
    trainer = trains(net, SCHEDULE, tmp_path)
    assert not net.drop._observed.schedulers
    assert trainer is not None  # and lives, with its callback


def test_trainers_snippets_run_and_print_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("accelerate", "ignite"):
        pytest.importorskip(library, exc_type=ImportError)  # MMEngine imports OpenCV, and that needs libGL
    page = (ROOT / "docs" / "trainers.md").read_text()
    monkeypatch.chdir(tmp_path)
    printed, said = run_snippets(page).splitlines(), said_lines(page)
    assert [line for line in printed if line in said] == said  # the trainers print, too
