"""A small network, and its training by each library's own trainer.

Each takes five batches an epoch, two to a step, evaluates after each epoch and saves in `folder`. It trains `net` from
the start, or goes on from the checkpoint of the epoch `after`, and returns the trainer.
"""

import itertools
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from dropblock_torch import DropBlock2d

NUMBERS = itertools.count()  # MMEngine's runners have names, each another


class Net(nn.Module):
    """Notes the keep_prob of each call in training, and counts the other calls."""

    def __init__(self, drop: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)
        self.drop = DropBlock2d(block_size=3) if drop is None else drop
        self.seen: list[float] = []
        self.evaluated = 0

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        if self.training:
            self.seen.append(self.drop.keep_prob)
        else:
            self.evaluated += 1
        return 10 * cross_entropy(self.head(self.drop(self.conv(x)).amax((2, 3))), classes)

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def samples() -> list[tuple[Tensor, int]]:
    torch.manual_seed(1)
    return [(torch.randn(1, 8, 8), number % 2) for number in range(5)]


def lightning_trains(
    net: Net,
    schedule: Any,
    folder: Path,
    after: int = 0,
    name: str = "lightning",
    optimizers: int = 1,
    data: Any = None,
    **options: Any,
) -> Any:
    pl = import_module("lightning.pytorch" if name == "lightning" else name)
    schedules = import_module(f"dropblock_torch.trainers.{name}").KeepProbCallback(schedule)

    class Module(pl.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net, self.automatic_optimization = net, optimizers == 1

        def training_step(self, batch: Any) -> Tensor:
            loss = self.net(*batch)
            if not self.automatic_optimization:
                self.manual_backward(loss)
                for optimizer in self.optimizers():
                    optimizer.step()
            return loss

        def validation_step(self, batch: Any) -> None:
            self.net(*batch)

        def configure_optimizers(self) -> Any:
            return [self.net.optimizer() for _ in range(optimizers)]

    saves = pl.callbacks.ModelCheckpoint(folder, filename="{epoch}", save_top_k=-1)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, accumulate_grad_batches=2 if optimizers == 1 else 1,
        callbacks=[schedules, saves], logger=False, enable_progress_bar=False, enable_model_summary=False, **options,
    )  # fmt: skip
    path = folder / f"epoch={after - 1}.ckpt" if after else None
    trainer.fit(Module(), DataLoader(data or samples()), DataLoader(samples()), ckpt_path=path)
    return trainer


def transformers_trains(net: Net, schedule: Any, folder: Path, after: int = 0, scaler: Any = None) -> Any:
    import transformers

    from dropblock_torch.trainers.transformers import KeepProbCallback

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
            return {"loss": self.net(x, labels)}

    data = [{"x": x, "labels": label} for x, label in samples()]
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), num_train_epochs=2, per_device_train_batch_size=1, per_device_eval_batch_size=1,
        gradient_accumulation_steps=2, save_strategy="epoch", eval_strategy="epoch", prediction_loss_only=True,
        use_cpu=True, report_to=[], disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = transformers.Trainer(
        Model(), arguments, train_dataset=data, eval_dataset=data, callbacks=[KeepProbCallback(schedule)],
        optimizers=(net.optimizer(), None),
    )  # fmt: skip
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.accelerator.scaler = scaler
    trainer.train(resume_from_checkpoint=str(folder / f"checkpoint-{3 * after}") if after else None)
    return trainer


def mmengine_trains(net: Net, schedule: Any, folder: Path, after: int = 0, wrapper: str = "OptimWrapper") -> Any:
    from mmengine.evaluator import BaseMetric
    from mmengine.model import BaseModel
    from mmengine.optim import OptimWrapper, OptimWrapperDict
    from mmengine.runner import Runner

    from dropblock_torch.trainers import mmengine  # noqa: F401  # it registers the hook

    class Model(BaseModel):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor, classes: Tensor, mode: str) -> Any:
            loss = self.net(x, classes)
            return {"loss": loss} if mode == "loss" else [loss]

        def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
            if wrapper != "OptimWrapperDict":
                return super().train_step(data, optim_wrapper)  # type: ignore[no-any-return]
            for one in optim_wrapper.values():
                one.update_params(loss := self(*data, mode="loss")["loss"])
            return {"loss": loss}

    class Loss(BaseMetric):  # type: ignore[misc]
        def process(self, data_batch: Any, data_samples: Any) -> None:
            self.results += data_samples

        def compute_metrics(self, results: list[Any]) -> dict[str, float]:
            return {"loss": sum(map(float, results))}

    if wrapper == "OptimWrapperDict":
        optim_wrapper = OptimWrapperDict(**{name: OptimWrapper(net.optimizer()) for name in "ab"})
    else:
        optim_wrapper = {"type": wrapper, "optimizer": {"type": "SGD", "lr": 0.01}, "accumulative_counts": 2}
    runner = Runner(
        Model(), str(folder), train_dataloader=DataLoader(samples()), val_dataloader=DataLoader(samples()),
        train_cfg={"by_epoch": True, "max_epochs": 3}, val_cfg={}, val_evaluator=[Loss()],
        optim_wrapper=optim_wrapper,
        default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 1}},
        custom_hooks=[{"type": "KeepProbHook", "schedule": schedule}],
        load_from=str(folder / f"epoch_{after}.pth") if after else None, resume=after > 0,
        log_level="ERROR", experiment_name=f"run-{next(NUMBERS)}",
    )  # fmt: skip
    runner.train()
    return runner
