"""What docs/experiments/full_size trains by and is measured by: the detector's loss, and each task's metrics."""

import math
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pycocotools")

from docs.experiments.full_size import classification, detection, samples, segmentation  # noqa: E402  # after the skips
from docs.experiments.full_size.ranks import Ranks  # noqa: E402
from docs.experiments.vision import torchvision  # noqa: E402
from tests.docs import full_size_support  # noqa: E402

IMAGENET, COCO, VOC = classification.ImageNet(), detection.Coco(), segmentation.Voc()
ALONE = Ranks(0, 1, torch.device("cpu"))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process, whose sums are its own."""
    monkeypatch.setattr(Ranks, "sum", lambda self, tensor: tensor)
    monkeypatch.setattr(Ranks, "gather", lambda self, items: items)


def test_the_detector_s_loss_is_the_formula() -> None:
    torch.manual_seed(0)
    head = detection.Head(8, 1, detection.CLASSES)
    scores, offsets = torch.randn(1, 3, detection.CLASSES), torch.randn(1, 3, 4)
    anchors = [torch.tensor([[0.0, 0, 10, 10], [5, 5, 25, 25], [0, 0, 4, 4]])]
    targets = [{"boxes": torch.tensor([[1.0, 2, 11, 22]]), "labels": torch.tensor([90])}]
    matched = [torch.tensor([-1, 0, -1])]
    losses = head.compute_loss(targets, {"cls_logits": scores, "bbox_regression": offsets}, anchors, matched)
    focal = 0.0
    for anchor in range(3):
        for kind in range(detection.CLASSES):
            p = torch.sigmoid(scores[0, anchor, kind]).item()
            is_it = (anchor, kind) == (1, 90)
            of_truth = p if is_it else 1 - p
            focal -= (0.25 if is_it else 0.75) * (1 - of_truth) ** 1.5 * math.log(of_truth)
    assert losses["classes"].item() == pytest.approx(focal / 2, rel=1e-5)  # one positive anchor, and one more
    goal = [(6 - 15) / 20, (12 - 15) / 20, math.log(10 / 20), math.log(20 / 20)]
    error = [abs(a - b) for a, b in zip(offsets[0, 1].tolist(), goal, strict=True)]
    huber = sum(e**2 / 2 if e < 0.1 else 0.1 * (e - 0.05) for e in error)
    assert losses["boxes"].item() == pytest.approx(50 * huber / (4 * 2), rel=1e-5)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(("shift", "ap"), [(0, {100}), (5, range(1, 100))])
def test_average_precision_of_what_coco_s_file_says(shift: int, ap: Any, tmp_path: Path) -> None:
    training, validation = COCO.datasets(detection.TINY, full_size_support.coco(tmp_path / "coco"))
    assert len(training) == 13  # without the image that has no box
    numbers = iter(validation.ids)

    def perfect(images: list[Any]) -> list[dict[str, Any]]:
        found = []
        for _ in images:
            number = next(numbers)
            boxes = [one for one in validation.coco.imgToAnns[number] if detection.is_single(one)]
            scale = 64 / max(validation.coco.imgs[number][side] for side in ("width", "height"))
            corners = torchvision.ops.box_convert(
                torch.tensor([one["bbox"] for one in boxes]).reshape(-1, 4), "xywh", "xyxy"
            )
            labels = torch.tensor([one["category_id"] for one in boxes], dtype=torch.int64)
            found.append({"boxes": (corners + shift) * scale, "labels": labels, "scores": torch.ones(len(boxes))})
        return found

    batches = samples.validation_batches(validation, 2, ALONE, 0, COCO.collate)
    metrics = COCO.metrics(perfect, batches, validation, ALONE)
    assert list(metrics) == ["AP", "AP50", "AP75"]
    assert round(metrics["AP"]) in ap
    assert metrics["AP50"] >= metrics["AP"]


def test_nothing_found_has_no_precision() -> None:
    assert detection.average_precision(None, []) == {"AP": 0, "AP50": 0, "AP75": 0}


@pytest.mark.usefixtures("alone")
def test_a_detector_s_boxes_come_back_at_the_images_own_scale(tmp_path: Path) -> None:
    """A network that has learnt one thing: the class of its box on each anchor. Suppression leaves some."""
    _, validation = COCO.datasets(detection.TINY, full_size_support.coco(tmp_path / "coco"))
    torch.manual_seed(0)
    net, _ = COCO.network(detection.TINY)
    net.eval()
    torch.nn.init.constant_(net.head.classification_head.cls_logits.bias, 2.0)
    image, target = validation[0]
    with torch.inference_mode():
        [found] = net([image])
    assert 0 < len(found["boxes"]) <= 100
    assert found["boxes"].max() <= 64
    overlaps = torchvision.ops.box_iou(found["boxes"], found["boxes"]) - torch.eye(len(found["boxes"]))
    same = found["labels"][:, None] == found["labels"]
    assert overlaps[same].max() <= 0.5
    assert target["scale"] == 0.8  # an image of 80 on 64


def test_mean_intersection_over_union() -> None:
    confusion = torch.zeros(21, 21, dtype=torch.int64)
    confusion[0, 0], confusion[0, 1], confusion[1, 1], confusion[3, 1] = 6, 2, 3, 1
    assert segmentation.mean_iou(confusion) == pytest.approx(100 * (6 / 8 + 3 / 6 + 0) / 3)  # class 2 is not there


@pytest.mark.usefixtures("alone")
def test_ignored_labels_do_not_count(tmp_path: Path) -> None:
    _, validation = VOC.datasets(segmentation.TINY, full_size_support.voc(tmp_path / "voc"))
    batches = samples.validation_batches(validation, 2, ALONE, 0, None)
    background = torch.zeros(21, 9, 9)
    background[0] = 1
    metrics = VOC.metrics(lambda images: background.expand(len(images), -1, -1, -1), batches, validation, ALONE)
    labels = torch.stack([validation[i][1] for i in range(len(validation))])
    seen_labels = labels[labels != 255]
    share = (seen_labels == 0).double().mean().item()
    assert metrics["mIOU"] == pytest.approx(100 * share / len(seen_labels.unique()))


@pytest.mark.usefixtures("alone")
def test_top_1_and_top_5(tmp_path: Path) -> None:
    _, validation = IMAGENET.datasets(classification.TINY, full_size_support.image_folder(tmp_path / "imagenet"))
    batches = samples.validation_batches(validation, 2, ALONE, 0, None)
    scores = torch.arange(10.0).flip(0)
    metrics = IMAGENET.metrics(lambda images: scores.expand(len(images), -1), batches, validation, ALONE)
    assert metrics == {"top-1": 60, "top-5": 100}  # 3 of 5 are of class 0
