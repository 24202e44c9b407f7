"""What is wrong is said in a sentence with the remedy, before anything is written; and one process alone."""

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pycocotools")
from click.testing import CliRunner  # noqa: E402  # after the skips

from docs.experiments.full_size import classification, detection, report, segmentation  # noqa: E402
from docs.experiments.full_size.training import Run  # noqa: E402
from tests.docs import full_size_support  # noqa: E402

SCRIPTS = {"classification": classification, "detection": detection, "segmentation": segmentation}
MAKERS = {"classification": "image_folder", "detection": "coco", "segmentation": "voc"}


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torchrun starts one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", **address}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("data")
    return {script: getattr(full_size_support, maker)(home / script) for script, maker in MAKERS.items()}


def arguments(data: Path, out: Path, *others: str, configuration: str = "tiny") -> list[str]:
    return ["--configuration", configuration, "--data", str(data), "--out", str(out), "--workers", "0", *others]


def refusal(script: str, options: list[str]) -> str:
    result = CliRunner().invoke(SCRIPTS[script].main, options)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (1, 2)
    return " ".join(result.output.replace("│", " ").split())


def drop(name: str) -> Callable[[Path], Any]:
    return lambda folder: shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()


def empty_class(folder: Path) -> None:
    for image in (folder / "train" / "n01440764").iterdir():
        image.unlink()


@pytest.mark.parametrize(
    ("script", "spoil", "message"),
    [
        ("classification", shutil.rmtree, "has no folder train: pass the folder that has train/ and val/, each with"),
        ("classification", drop("val"), "has no folder val: pass the folder that has train/ and val/, each with"),
        ("classification", drop("val/n01443537"), "has no validation images of the same classes: pass the folder"),
        ("classification", empty_class, "Found no valid file for the classes n01440764."),
        ("detection", shutil.rmtree, "has no annotations/instances_train2017.json: pass the folder that has"),
        ("detection", drop("annotations/instances_val2017.json"), "has no annotations/instances_val2017.json: pass"),
        ("detection", drop("train2017"), "has no folder train2017: pass the folder that has annotations/"),
        ("segmentation", shutil.rmtree, "has no folder JPEGImages: pass the folder that has JPEGImages/,"),
        ("segmentation", drop("SegmentationClassAug"), "has no folder SegmentationClassAug, nor SegmentationClass: "),
        ("segmentation", drop("ImageSets/Segmentation/val.txt"), "has no list ImageSets/Segmentation/val.txt: pass"),
    ],
)
def test_a_data_folder_that_is_not_one(
    script: str, spoil: Callable[[Path], Any], message: str, data: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(data[script], tmp_path / "data")
    spoil(folder)
    said = refusal(script, arguments(folder, tmp_path / "out"))
    assert f"--data {folder}" in said
    assert message in said
    assert "pass the folder that has" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_unknown_configuration(script: str, data: dict[str, Path], tmp_path: Path) -> None:
    said = refusal(script, arguments(data[script], tmp_path / "out", configuration="resnet-50"))
    assert "Invalid value for '--configuration': 'resnet-50' is not one of" in said
    for name in SCRIPTS[script].RECIPES:
        assert f"'{name}'" in said


def test_a_batch_that_cannot_be_shared_out(
    data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refusal("classification", arguments(data["classification"], tmp_path / "out", "--accumulate", "3"))
    assert "a batch of 8 images does not divide into 3 shares (1 processes, --accumulate 3): start another" in said
    monkeypatch.setenv("WORLD_SIZE", "16")
    said = refusal("classification", arguments(data["classification"], tmp_path / "out"))
    assert "a batch of 8 images does not divide into 16 shares (16 processes, --accumulate 1)" in said


def test_less_than_a_batch(data: dict[str, Path], tmp_path: Path) -> None:
    said = refusal("detection", arguments(data["detection"], tmp_path / "out", configuration="retinanet"))
    assert "has 13 images to train with, less than one batch of 64: pass the whole data set" in said
    assert not (tmp_path / "out").exists()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_another_run(data: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    images = data["classification"]
    said = refusal("classification", arguments(images, tmp_path / "no" / "out"))
    assert f"--out {tmp_path}/no/out: there is no folder {tmp_path}/no; make it first" in said
    out.mkdir()
    (out / "notes").write_text("mine")
    said = refusal("classification", arguments(images, out))
    assert "is there, and is no folder of a run (its settings.json cannot be read): pass a free path" in said
    made = {"configuration": "resnet50", "seed": 0, **vars(classification.RESNET)}
    (out / "settings.json").write_text(json.dumps(made))
    before = files(out)
    said = refusal("classification", arguments(images, out, "--seed", "1"))
    assert "is of a run with configuration resnet50, seed 0, " in said
    assert "network resnet50, size 224, epochs 270, " in said
    assert "goes on with the settings that it began with, so pass those, or another --out" in said
    assert files(out) == before


class Stopped(Exception):
    pass


def stopped_within(step: int, monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    """A run that ends within a step, as where its process is killed."""
    one_step = Run._step

    def stop(run: Run, number: int) -> None:
        one_step(run, number)
        if number == step:
            raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_step", stop)
        with pytest.raises(Stopped):
            classification.main(options, standalone_mode=False)


def test_a_checkpoint_that_is_cut_off(data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    options = arguments(data["classification"], out, "--save-every", "1")
    stopped_within(1, monkeypatch, options)
    [kept] = out.glob("step-*")
    assert kept.name == "step-000000001"
    shutil.copytree(
        kept, out / "step-000000002.part"
    )  # as where it was killed within a save: not taken for a whole one
    for path in kept.glob("*.distcp"):
        path.write_bytes(path.read_bytes()[:1000])
    before = files(out)
    said = refusal("classification", options)
    assert f"{kept} cannot be read (CheckpointException): remove it to start anew, or bring it back" in said
    assert files(out) == before


# What has more state: the average of the weights, RMSProp's, a scaler's; and a compiled network.
@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    ("configuration", "others"),
    [
        ("tiny-nasnet-dropblock", ["--accumulate", "2"]),
        ("tiny-dropblock", ["--precision", "float16"]),
        ("tiny-dropblock", ["--precision", "bfloat16"]),
        ("tiny-dropblock", ["--compile"]),
        ("tiny-dropblock", ["--workers", "2"]),
    ],
    ids=["NASNet", "float16", "bfloat16", "compiled", "workers"],
)
def test_one_process_goes_on_to_the_bit(
    configuration: str, others: list[str], data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = (
        arguments(data["classification"], tmp_path / name, "--save-every", "2", *others, configuration=configuration)
        for name in ("whole", "stopped")
    )
    classification.main(whole, standalone_mode=False)
    stopped_within(4, monkeypatch, stopped)
    assert [path.name for path in (tmp_path / "stopped").glob("step-*")] == ["step-000000004"]
    classification.main(stopped, standalone_mode=False)
    first, second = files(tmp_path / "whole"), files(tmp_path / "stopped")
    assert {n: b for n, b in first.items() if ".metadata" not in n} == {
        n: b for n, b in second.items() if ".metadata" not in n
    }


# --- the report -----------------------------------------------------------------------------------------------------


def test_the_report_has_the_paper_s_numbers_beside_ours(tmp_path: Path) -> None:
    for seed, top in ((0, 77.5), (1, 78.5)):
        folder = tmp_path / f"run-{seed}"
        folder.mkdir()
        made = {
            "configuration": "resnet50-dropblock",
            "seed": seed,
            **vars(classification.RECIPES["resnet50-dropblock"]),
        }
        (folder / "settings.json").write_text(json.dumps(made))
        lines = [{"epoch": e, "step": e, "loss": 1.0, "top-1": top - e, "top-5": 90.0} for e in (1, 2)]
        (folder / "results.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    result = CliRunner().invoke(report.main, [str(path) for path in sorted(tmp_path.iterdir())])
    assert result.output.splitlines()[2:] == [
        "| resnet50-dropblock | top-1 | 78.13 ± 0.05 | 77.00 ± 0.71 | 76.00 ± 0.71 | 2 | 2 of 270 |",
        "| resnet50-dropblock | top-5 | 94.02 ± 0.02 | 90.00 ± 0.00 | 90.00 ± 0.00 | 2 | 2 of 270 |",
    ]
    (tmp_path / "other").mkdir()
    result = CliRunner().invoke(report.main, [str(tmp_path / "other")])
    assert result.exit_code == 2
    assert "is no folder of a run (it has no settings.json): leave it out" in " ".join(result.output.split())
