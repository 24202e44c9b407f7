"""The parts of the experiments: placements, baselines, scenes and measures, each on a case that is known by hand."""

import math
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
for package in ("pycocotools", "sklearn"):
    pytest.importorskip(package)

from docs.experiments import data, scenes  # noqa: E402  # after the skips
from docs.experiments.analysis import KEEP_PROBS, spread, under_dropblock  # noqa: E402
from docs.experiments.cells import CellNet, drop_in_last_half  # noqa: E402
from docs.experiments.detection import average_precision  # noqa: E402
from docs.experiments.networks import ResNet  # noqa: E402
from docs.experiments.regularisers import Dropping, auto_augmented, cutout, regularise  # noqa: E402
from docs.experiments.scenes import Scenes  # noqa: E402
from docs.experiments.segmentation import mean_iou_of  # noqa: E402
from docs.experiments.training import Dropped, Task, schedule, train  # noqa: E402
from docs.experiments.vision import nms, torchvision  # noqa: E402

# --- regularisers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "skip", "number", "rates"),
    [
        ("DropBlock", True, 3, (0.25, 1.0)),
        ("DropBlock", False, 2, (0.25, 1.0)),
        ("dropout", True, 2, (0.25, 1.0)),
        ("SpatialDropout", True, 2, (0.25, 1.0)),
        ("DropPath", True, 1, (1.0, 1.0)),
    ],
)
def test_layers_are_where_the_paper_has_them(method: str, skip: bool, number: int, rates: tuple[float, float]) -> None:
    """Behind both norms of a block, DropPath behind the last; DropBlock on skip connections too."""
    net = ResNet()
    layers = regularise(net, method, 0.5, 1, [3, 4], skip)
    assert {place: len(found) for place, found in layers.items()} == {"group 3": number, "group 4": number}
    sides = {}
    for place, found in layers.items():
        for layer in found:
            layer.register_forward_pre_hook(
                lambda _, x, place=place: sides.setdefault(place, set()).add(x[0].shape[-1])
            )
    torch.manual_seed(0)
    noted = Dropped(layers)
    net(torch.randn(400, 1, 28, 28))
    noted.note()
    assert sides == {"group 3": {14}, "group 4": {7}}
    # Within 6 standard errors of the rarest to draw, DropPath's 400 branches; 0.5 is 1 - keep_prob.
    for share, rate in zip(noted.shares().values(), rates, strict=True):
        assert share == pytest.approx(0.5 * rate, abs=6 * math.sqrt(0.25 / 400))


def test_a_network_without_layers_is_left_as_it_is() -> None:
    net = ResNet()
    before = str(net)
    assert regularise(net, "none", 0.9, 7, [3, 4], True) == {}
    assert str(net) == before


@pytest.mark.parametrize(("method", "dims"), [("dropout", ()), ("SpatialDropout", (2, 3)), ("DropPath", (1, 2, 3))])
def test_a_baseline_drops_its_own_units_and_scales_the_rest(method: str, dims: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = Dropping(method, keep_prob=0.6, share=0.25)
    x = torch.ones(40, 50, 4, 4)
    y = layer(x)
    assert set(y.unique().tolist()) == {0, y.max().item()}
    assert y.max().item() == pytest.approx(1 / 0.9)
    dropped = (y == 0).float()
    assert layer.dropped_fraction == dropped.double().mean()
    if dims:  # whole channels, or whole samples
        assert set(dropped.mean(dims).unique().tolist()) == {0, 1}
    assert layer.eval()(x) is x
    layer.train().keep_prob = 1.0
    assert layer(x) is x


def test_cutout_is_a_square_that_may_hang_over_the_border() -> None:
    torch.manual_seed(0)
    images = cutout(torch.ones(3000, 1, 28, 28), 12)[:, 0] == 0
    rows, columns = images.any(2), images.any(1)
    assert torch.equal(images, rows[:, :, None] & columns[:, None, :])
    for axis in (rows, columns):
        assert set(axis.sum(1).tolist()) == {*range(6, 13)}  # 12 around a unit: from 6 at a border
    # Each unit is the centre as often: 28 values, 3000 draws.
    centres = (columns.int().argmax(1) + 6)[columns.sum(1) == 12]
    assert set(centres.tolist()) == {*range(6, 23)}


def test_auto_augment_takes_each_image_by_itself() -> None:
    torch.manual_seed(0)
    image = data.load("digits", 20, 20).images[:1]
    many = auto_augmented(image.expand(40, -1, -1, -1))
    assert (many.shape, many.dtype) == ((40, 1, 28, 28), torch.uint8)
    assert len({tuple(one.flatten().tolist()) for one in many}) > 10


def test_a_schedule_is_linear_or_fixed() -> None:
    linear = schedule({"keep_prob": 0.8}, 10)
    assert [linear(step) for step in (0, 5, 10)] == pytest.approx([1.0, 0.9, 0.8])
    fixed = schedule({"keep_prob": 0.8, "scheduled": False}, 10)
    assert [fixed(step) for step in (0, 10)] == [0.8, 0.8]


class Recorder:
    """A layer that notes what is set."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "keep_prob":
            self.seen.append(value)
            self.dropped_fraction = 1 - value


def test_each_step_has_its_keep_prob_and_the_last_epoch_is_noted(tmp_path: Path) -> None:
    layer, net = Recorder(), torch.nn.Linear(1, 1)
    task = Task(net, {"here": [layer]}, 9, lambda batch: net(torch.ones(len(batch), 1)).sum(), lambda: {"measured": 1})
    settings = {"epochs": 3, "batch_size": 2, "learning_rate": 0.1, "weight_decay": 0.0, "keep_prob": 0.4}
    metrics = train(task, settings, tmp_path / "run.pt")
    assert metrics is not None
    assert layer.seen == pytest.approx([1 - 0.6 * step / 12 for step in range(12)])  # 4 batches of 2, the rest left
    assert metrics["dropped"]["here"] == pytest.approx(0.6 * (8 + 9 + 10 + 11) / 4 / 12)
    assert metrics["measured"] == 1


def test_the_last_half_of_the_cells_drops_after_norms_and_on_skips() -> None:
    net = CellNet()
    layers = drop_in_last_half(net, 0.9, 7)
    # Five norms and two skip connections a cell.
    assert {place: len(found) for place, found in layers.items()} == {"cell 3": 7, "cell 4": 7}
    sides: list[int] = []
    for layer in [*layers["cell 3"], *layers["cell 4"]]:
        layer.register_forward_pre_hook(lambda _, x: sides.append(x[0].shape[-1]))
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    assert sorted(set(sides)) == [7, 14]
    norms = [module for cell in net.cells[2:] for module in cell.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 10


# --- data and scenes ------------------------------------------------------------------------------------------------


def test_the_images_of_a_class_are_its_first_and_as_many_of_each() -> None:
    images = data.load("digits", 100, 50)
    assert torch.bincount(images.classes).tolist() == [10] * 10
    assert len(images.test_images) == 50
    x = images.normalised(images.images)
    assert x.mean().item() == pytest.approx(0, abs=1e-5)
    assert x.std().item() == pytest.approx(1, abs=1e-3)


def test_a_scene_s_boxes_enclose_its_labels() -> None:
    training, test = scenes.load("digits", 20, 20)
    again = scenes.compose(*(part.numpy() for part in digits()), 20, seed=1)
    assert torch.equal(again.images, training.images)
    assert not torch.equal(training.images, test.images)
    for labels, boxes, kinds in zip(training.labels, training.boxes, training.classes, strict=True):
        assert 1 <= len(boxes) == len(kinds) <= 4
        inside = torch.zeros(11, 64, 64, dtype=torch.bool)
        for (x1, y1, x2, y2), kind in zip(boxes.int().tolist(), kinds.tolist(), strict=True):
            inside[kind, y1:y2, x1:x2] = True
            assert 0 <= x1 < x2 <= 64
            assert 0 <= y1 < y2 <= 64
        for kind in range(1, 11):
            assert not (labels == kind)[~inside[kind]].any()
        # The last item lies on top, so its box touches its own pixels on each side.
        x1, y1, x2, y2 = boxes[-1].int().tolist()
        last = labels == kinds[-1]
        assert last[y1].any()
        assert last[y2 - 1].any()
        assert last[:, x1].any()
        assert last[:, x2 - 1].any()


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    images = data.load("digits", scenes.ITEMS, 10_000)
    return images.images[:, 0], images.classes


# --- measures -------------------------------------------------------------------------------------------------------


def test_mean_iou_by_hand() -> None:
    labels = torch.tensor([[[0, 0, 1, 1]]])
    guesses = torch.tensor([[[0, 1, 1, 2]]])
    # Class 0: 1 of 2. Class 1: 1 of 3. Class 2: 0 of 1. The others are nowhere.
    assert mean_iou_of(guesses, labels) == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)
    assert mean_iou_of(labels, labels) == 1


def scene_of(*boxes: list[float]) -> Scenes:
    """One scene whose items are all of class 1."""
    blank = torch.zeros(1, 1, 64, 64)
    return Scenes(blank, blank[:, 0].long(), [torch.tensor(boxes)], [torch.ones(len(boxes), dtype=torch.long)])


def guess(*boxes: list[float]) -> list[dict[str, torch.Tensor]]:
    """The first is the surest."""
    number = len(boxes)
    scores = torch.arange(number, 0, -1) / number
    return [{"boxes": torch.tensor(boxes), "labels": torch.ones(number, dtype=torch.long), "scores": scores}]


@pytest.mark.parametrize(
    ("guesses", "expected"),
    [
        ([[0.0, 0.0, 20.0, 20.0], [30.0, 30.0, 50.0, 50.0]], (1.0, 1.0, 1.0)),
        # One of two is found: precision 1 up to a recall of 0.5, which 51 of 101 recalls do not exceed.
        ([[0.0, 0.0, 20.0, 20.0]], (51 / 101, 51 / 101, 51 / 101)),
        # Intersection over union of 13 / 20 = 0.65: right for the thresholds 0.5, 0.55, 0.6 and 0.65, of ten.
        ([[0.0, 0.0, 13.0, 20.0], [30.0, 30.0, 43.0, 50.0]], (0.4, 1.0, 0.0)),
        # A second guess of the same item is wrong.
        ([[0.0, 0.0, 20.0, 20.0], [0.0, 0.0, 20.0, 20.0]], (51 / 101, 51 / 101, 51 / 101)),
    ],
)
def test_average_precision_by_hand(guesses: list[list[float]], expected: tuple[float, float, float]) -> None:
    truth = scene_of([0.0, 0.0, 20.0, 20.0], [30.0, 30.0, 50.0, 50.0])
    assert tuple(average_precision(guess(*guesses), truth).values()) == pytest.approx(expected)


def test_average_precision_of_nothing_found_is_0() -> None:
    nothing = [{"boxes": torch.zeros(0, 4), "labels": torch.zeros(0), "scores": torch.zeros(0)}]
    assert average_precision(nothing, scene_of([0.0, 0.0, 20.0, 20.0])) == {"ap": 0, "ap50": 0, "ap75": 0}


def test_nms_keeps_the_best_of_those_that_overlap() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30], [0, 0, 10, 4]])
    scores = torch.tensor([0.5, 0.9, 0.1, 0.8])
    # The second suppresses the first (0.9 of it), not the fourth (4 / 9).
    assert nms(boxes, scores, 0.5).tolist() == [1, 3, 2]
    assert nms(boxes, scores, 0.4).tolist() == [1, 2]
    assert torchvision.ops.boxes.nms(boxes, scores, 0.5).tolist() == [1, 3, 2]


def test_spread_is_1_of_an_even_map_and_least_of_a_peak() -> None:
    even, peak = torch.ones(1, 7, 7), torch.zeros(1, 7, 7)
    peak[0, 3, 3] = 5
    assert spread(even) == pytest.approx((1, 1))
    assert spread(peak) == pytest.approx((1 / 49, 0))
    steps = torch.zeros(1, 7, 7)
    steps[0, 0, :4] = torch.tensor([1.0, 0.6, 0.5, 0.4])
    assert spread(steps)[0] == pytest.approx(3 / 49)  # those of half the maximum, and more
    assert spread(torch.cat([even, peak, torch.zeros(1, 7, 7)])) == pytest.approx(((1 + 1 / 49) / 2, 0.5))


def test_dropblock_at_inference_drops_in_groups_3_and_4_and_nowhere_at_keep_prob_1() -> None:
    torch.manual_seed(0)
    net = ResNet().eval()
    x = torch.randn(64, 1, 28, 28)
    kept = net(x).detach()

    def same(other: ResNet) -> float:
        """The share of images whose scores are as they were: the norms are still in evaluation."""
        return (other(x) == kept).all(1).double().mean().item()

    curves = under_dropblock(ResNet, net.state_dict(), same)
    assert curves.keys() == {"1", "7"}
    for curve in curves.values():
        assert len(curve) == len(KEEP_PROBS)
        assert curve[0] == 1
        assert curve[-1] == 0
