"""Tiny data in the formats of ImageNet, COCO and VOC, as they lie on a disk."""

import json
from pathlib import Path

import numpy as np
from PIL import Image


def picture(random: np.random.Generator, width: int, height: int) -> Image.Image:
    return Image.fromarray(random.integers(256, size=(height, width, 3), dtype=np.uint8))


def image_folder(folder: Path) -> Path:
    """ImageNet: a folder of JPEGs a class. 26 images to train with, 5 to validate with."""
    random = np.random.default_rng(0)
    for part, numbers in (("train", (13, 13)), ("val", (3, 2))):
        for name, number in zip(("n01440764", "n01443537"), numbers, strict=True):
            home = folder / part / name
            home.mkdir(parents=True)
            for i in range(number):
                picture(random, 40, 36).save(home / f"{name}_{i}.JPEG")
    return folder


def coco(folder: Path) -> Path:
    """COCO 2017: images and a JSON of boxes. One image has no box, one box is of a crowd, one has no area."""
    random = np.random.default_rng(0)
    (folder / "annotations").mkdir(parents=True)
    for part, number in (("train2017", 14), ("val2017", 5)):
        (folder / part).mkdir()
        images, boxes = [], []
        for i in range(1, number + 1):
            width, height = (80, 60) if i % 2 else (50, 90)
            name = f"{i:012}.jpg"
            picture(random, width, height).save(folder / part / name)
            images.append({"id": i, "file_name": name, "width": width, "height": height})
            for _ in range(0 if i == number else 2):
                x, y = random.integers(0, 20, 2).tolist()
                w, h = random.integers(12, 30, 2).tolist()
                boxes.append({"image_id": i, "bbox": [x, y, w, h], "category_id": 1 + i % 2 * 89, "iscrowd": 0})
        boxes.append(boxes[0] | {"iscrowd": 1})
        if part == "train2017":
            boxes.append(boxes[0] | {"bbox": [5, 5, 0, 10]})
        for i, box in enumerate(boxes, 1):
            box |= {"id": i, "area": box["bbox"][2] * box["bbox"][3], "segmentation": []}
        categories = [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}]
        whole = {"info": {}, "images": images, "annotations": boxes, "categories": categories}
        (folder / "annotations" / f"instances_{part}.json").write_text(json.dumps(whole))
    return folder


def voc(folder: Path) -> Path:
    """VOC 2012, augmented: JPEGs, PNGs with a palette whose places are classes and 255 for borders, lists of names."""
    random = np.random.default_rng(0)
    lists = folder / "ImageSets" / "Segmentation"
    for home in (folder / "JPEGImages", folder / "SegmentationClassAug", lists):
        home.mkdir(parents=True)
    for name, numbers in (("trainaug", range(14)), ("val", range(14, 19))):
        names = [f"2007_{i:06}" for i in numbers]
        for one in names:
            picture(random, 70, 50).save(folder / "JPEGImages" / f"{one}.jpg")
            label = np.zeros((50, 70), np.uint8)
            label[10:40, 10:50] = 1 + random.integers(20)
            label[9, 9:50] = 255
            png = Image.fromarray(label, "P")
            png.putpalette(random.integers(256, size=768, dtype=np.uint8).tobytes())
            png.save(folder / "SegmentationClassAug" / f"{one}.png")
        (lists / f"{name}.txt").write_text("\n".join(names) + "\n")
    return folder
