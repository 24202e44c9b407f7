"""The recipes of docs/experiments/full_size are the paper's, and its layers are where the paper has them."""

import doctest
import math
import re
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pycocotools")

from docs.experiments.full_size import (  # noqa: E402  # after the skips
    classification,
    cost,
    detection,
    recipe,
    report,
    segmentation,
    training,
)
from dropblock_torch import DropBlock2d  # noqa: E402
from tests.shared.generated import read_generated  # noqa: E402

IMAGENET, COCO, VOC = classification.ImageNet(), detection.Coco(), segmentation.Voc()
RECIPES = {
    name: made for task in (IMAGENET, COCO, VOC) for name, made in task.recipes.items() if not name.startswith("tiny")
}
PAGE = Path(__file__).parents[2] / "docs" / "full-size.md"


def test_every_row_of_the_paper_s_tables_from_random_weights_has_a_recipe() -> None:
    rows = {(number, row) for number, table in report.TABLES.items() for row in table if "fine-tuning" not in row}
    made = [(made.table, made.row) for made in RECIPES.values() if made.table]
    assert sorted(made) == sorted(rows)


def test_the_learning_rate() -> None:
    assert doctest.testmod(recipe).attempted
    rates = {
        ("nasnet", 1.5): 2.56,
        ("nasnet", 339): 5.12 * 0.97**141,
        ("retinanet", 0): 0.008,
        ("retinanet", 0.5): 0.044,
        ("retinanet", 119.9): 0.08,
        ("retinanet", 140): 0.0008,
        ("fcn", 277): 0.02,
        ("fcn", 278): 0.002,
        ("fcn", 389): 0.0002,
    }
    for (name, epoch), rate in rates.items():
        assert recipe.learning_rate(RECIPES[name], epoch) == pytest.approx(rate, rel=1e-12), (name, epoch)


def test_norms_are_not_decayed() -> None:
    net, _ = IMAGENET.network(classification.TINY)
    decayed, free = training.weight_groups(net, 1e-4)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    assert sorted(names[id(p)] for p in chain(decayed["params"], free["params"])) == sorted(names.values())
    assert (decayed["weight_decay"], free["weight_decay"]) == (1e-4, 0)
    assert {names[id(p)] for p in free["params"]} == {n for n in names.values() if "bn" in n or "downsample.1" in n}


def seen(net: Any, images: Any) -> list[tuple[int, float, str]]:
    """The side of the map, the share of gamma and the block of each layer that a forward pass comes to."""
    found: list[Any] = []
    for layer in net.modules():
        if isinstance(layer, DropBlock2d):
            layer.register_forward_pre_hook(
                lambda m, inputs: found.append((inputs[0].shape[-1], m.gamma_scale, m.block_size))
            )
    net(images)
    return found


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("resnet50", []),
        ("resnet50-dropblock", [(14, 0.25, 7)] * 23 + [(14, 1, 7)] + [(7, 1, 7)] * 11 + [(28, 0.25, 7)]),
        ("resnet50-dropout", [(14, 0.25, 1)] * 17 + [(28, 0.25, 1), (14, 1, 1)] + [(7, 1, 1)] * 8),
    ],
)
def test_the_paper_s_maps(name: str, places: list[Any]) -> None:
    net, layers = IMAGENET.network(RECIPES[name])
    assert len(layers) == len(places)
    assert sorted(seen(net, torch.randn(2, 3, 224, 224))) == sorted(places)


def test_the_last_half_of_nasnet_s_cells_sees_the_maps_of_the_paper() -> None:
    small = classification.RECIPES["tiny-nasnet-dropblock"]
    net, layers = IMAGENET.network(small)
    found = seen(net, torch.randn(2, 3, 331, 331))
    assert {side for side, _, _ in found} == {21, 11}  # section 4.1.2
    assert len(found) == len(layers)
    assert {share for _, share, _ in found} == {1}


@pytest.mark.parametrize(
    ("method", "keep_prob", "unit"),
    [("dropout", 0.7, (0, 1, 2, 3)), ("SpatialDropout", 0.9, (0, 1)), ("DropPath", 0.9, (0,))],
)
def test_the_other_methods_are_dropblocks_that_drop_as_they_do(
    method: str, keep_prob: float, unit: tuple[int, ...]
) -> None:
    _, layers = IMAGENET.network(replace(classification.TINY, method=method, keep_prob=keep_prob, groups=(4,)))
    assert len(layers) == (2 if method == "DropPath" else 4)  # of two blocks with two convolutions each; no skip
    torch.manual_seed(0)
    x = torch.ones(400, 16, 4, 4)
    y = layers[0](x)
    whole = tuple(axis for axis in range(4) if axis not in unit)
    kept = y.amax(whole) if whole else y
    assert whole == () or torch.equal(kept, y.amin(whole))  # a unit of the method is dropped or kept as a whole
    assert set(kept.unique().tolist()) == {0.0, float(torch.tensor(1 / keep_prob))}
    # A binomial count: five standard deviations.
    assert abs((kept > 0).double().mean().item() - keep_prob) < 5 * math.sqrt(0.25 / kept.numel())


def test_the_head_of_the_fcn_has_the_layers_of_table_4() -> None:
    net, layers = VOC.network(segmentation.RECIPES["tiny-dropblock"])
    found = seen(net, torch.randn(2, 3, 65, 65))
    assert [side for side, _, _ in found] == [9] * 3 + [5] * 3 + [3] * 3 + [9]  # three levels, and all together
    assert len(layers) == 10
    assert not any(isinstance(module, DropBlock2d) for module in net.backbone.modules())
    net, layers = VOC.network(segmentation.RECIPES["tiny-dropblock-backbone"])
    assert len(layers) == 12  # ResNet-18: two blocks of three places in each of two groups
    assert not any(isinstance(module, DropBlock2d) for module in net.head.modules())
    assert net(torch.randn(2, 3, 65, 65)).shape == (2, 21, 9, 9)


def test_the_page_s_costs_are_what_the_code_computes() -> None:
    assert read_generated(PAGE, "python -m docs.experiments.full_size.cost") == cost.table()
    assert f"{cost.THROUGHPUT / 1e12:g} TFLOP/s" in PAGE.read_text()
    # ResNet-50: 4.09 billion multiply-adds forward, as its authors' table rounds to 4.1; six operations for each.
    assert cost.operations("classification", "resnet50", 224) == pytest.approx(6 * 4.09e9, rel=2e-3)


def test_the_page_has_the_paper_s_numbers() -> None:
    section = PAGE.read_text().split("## What the paper has")[1].split("\n## ")[0]
    numbers = {
        float(number)
        for table in report.TABLES.values()
        for row in table.values()
        for number in np.ravel(next(iter(row.values())))
    }
    found = re.findall(r"\d+\.\d+", section)
    assert len(found) == 14
    assert set(map(float, found)) <= numbers


def test_the_page_s_commands_have_options_and_configurations_that_there_are() -> None:
    text = PAGE.read_text().replace("\\\n", " ")
    commands = re.findall(r"-m docs\.experiments\.full_size\.(\w+) (.*)", text)
    assert [script for script, _ in commands[:3]] == ["classification", "detection", "segmentation"]
    for script, options in commands[:3]:
        main = {"classification": classification, "detection": detection, "segmentation": segmentation}[script].main
        known = {option for parameter in main.params for option in parameter.opts}
        given = dict(zip(*[iter(options.split())] * 2, strict=True))
        assert given.keys() <= known
        assert given["--configuration"] in RECIPES
    for option in set(re.findall(r"`(--[a-z-]+)", text)) - {"--max-restarts"}:
        assert option in known
    assert all(f"`{name}`" in text for name in RECIPES)
