"""The samples of docs/experiments/full_size: their order, their random numbers, and what jitter does to them."""

from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pycocotools")
from PIL import Image  # noqa: E402  # after the skips

from docs.experiments.full_size import detection, pyramid, samples, segmentation  # noqa: E402
from docs.experiments.full_size.ranks import Ranks  # noqa: E402
from docs.experiments.vision import v2  # noqa: E402
from tests.docs import full_size_support  # noqa: E402

CPU = torch.device("cpu")


def test_an_epoch_has_each_image_once_and_no_process_has_another_s() -> None:
    def places(rank: int, start: int = 0) -> list[list[tuple[int, int]]]:
        return list(samples.Order(3, 26, 8, Ranks(rank, 2, CPU), 2, start, 6))

    first, second = places(0), places(1)
    assert len(first) == len(second) == 12  # two parts of each of 6 steps
    assert {len(part) for part in first + second} == {2}
    for epoch in (0, 1):
        of_epoch = [place for part in first + second for place in part if place[0] == epoch]
        assert len(of_epoch) == len(set(of_epoch)) == 24
    assert {i for _, i in chain(*first[:6], *second[:6])} != {i for _, i in chain(*first[6:], *second[6:])}
    assert places(0, start=4) == first[8:]


def test_a_sample_depends_on_the_epoch_and_the_image_alone() -> None:
    class Noise:
        def __getitem__(self, index: int) -> float:
            return torch.rand(()).item()

    drawn = samples.Drawn(Noise(), seed=0)
    first = [drawn[place] for place in ((0, 0), (0, 1), (1, 0))]
    assert [drawn[place] for place in ((1, 0), (0, 1), (0, 0))] == first[::-1]
    assert len(set(first)) == 3
    assert samples.Drawn(Noise(), seed=1)[0, 0] != first[0]


def test_each_process_and_step_has_random_numbers_of_its_own() -> None:
    def drawn(step: int, rank: int, part: int = 0) -> float:
        samples.seed_step(0, step, Ranks(rank, 2, CPU), part)
        return torch.rand(()).item()

    assert drawn(0, 0) == drawn(0, 0)
    assert len({drawn(0, 0), drawn(0, 1), drawn(1, 0), drawn(1, 1), drawn(0, 0, 1)}) == 5


def bright(picture: Any) -> list[int]:
    """The box of the units above the middle."""
    rows, columns = (picture[0] > 0.5).any(1).nonzero(), (picture[0] > 0.5).any(0).nonzero()
    return [columns.min().item(), rows.min().item(), columns.max().item() + 1, rows.max().item() + 1]


def test_boxes_and_labels_follow_their_image() -> None:
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[20:50, 30:60] = 255
    prepared = detection.Prepared(pyramid.training_transforms(64, (0.8, 1.2)), 64, is_training=True)
    box = {"bbox": [30, 20, 30, 30], "category_id": 7, "iscrowd": 0}
    label = torch.tensor(picture[:, :, 0] // 255 * 3)[None]
    boxes = set()
    for seed in range(12):
        torch.manual_seed(seed)
        image, target = prepared(Image.fromarray(picture), [box, box | {"iscrowd": 1}, box | {"bbox": [1, 1, 0, 5]}])
        assert image.shape == (3, 64, 64)
        assert target["labels"].tolist() == [7]
        [found] = target["boxes"].round().int().tolist()
        assert np.abs(np.subtract(found, bright(image))).max() <= 1  # of a resized edge
        boxes.add(tuple(found))
        torch.manual_seed(seed)
        transforms = pyramid.training_transforms(64, (0.8, 1.2))
        image, mask = transforms(v2.functional.to_image(picture), pyramid.tv_tensors.Mask(label))
        assert np.abs(np.subtract(bright(mask / 3), bright(image))).max() <= 1
        assert set(mask.unique().tolist()) <= {0, 3}
    assert len(boxes) > 6  # flips, scales and places


def test_an_image_smaller_than_the_crop_is_padded_by_the_mean_and_its_labels_are_ignored(tmp_path: Path) -> None:
    folder = full_size_support.voc(tmp_path / "voc")
    _, validation = segmentation.Voc().datasets(replace(segmentation.TINY, size=97), folder)
    image, label = validation[0]
    assert (image.shape, label.shape) == ((3, 97, 97), (97, 97))
    assert (image[:, 50:] == 0).all()
    assert (image[:, :, 70:] == 0).all()
    assert (label[50:] == 255).all()
    assert (label[:50, 70:] == 255).all()
    written = np.array(Image.open(folder / "SegmentationClassAug" / "2007_000014.png"))
    assert np.array_equal(label[:50, :70].numpy(), written)
    assert 0 < written[20, 20] < 21  # the palette's place, not its colour
