"""What is said of a layer, and when nothing is."""

from typing import Any

import pytest

from dropblock_core import expected_keep, gamma
from dropblock_core.summary import PATIENCE, LayerSummary, Summary

HEALTHY: dict[str, Any] = {
    "place": "layer3.drop", "keep_prob": 0.9, "block_size": 7, "feat_size": (14, 14), "calls": 2000,
    "dropped": 0.0871, "schedulers": 1,
}  # fmt: skip


def test_of_a_layer_that_drops_what_it_should_nothing_is_said() -> None:
    layer = LayerSummary(**HEALTHY)
    assert layer.warnings == ()
    assert layer.gamma == gamma(0.9, 7, 14)
    assert layer.expected == 1 - expected_keep(gamma(0.9, 7, 14), 7, 14)
    assert str(Summary((layer,))).splitlines() == [
        "place          map  block  keep_prob    gamma  expected  dropped  calls",
        "layer3.drop  14x14      7        0.9  0.00625      9.3%     8.7%  2,000",
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"calls": 0}, "never called in training, so it has dropped nothing"),
        ({"calls": 0, "is_training": False}, r"it is in evaluation now: call model.train\(\)"),
        ({"keep_prob": 1.0, "calls": PATIENCE}, "keep_prob is 1 after 100 calls, so it drops nothing"),
        ({"schedulers": 2}, "2 schedulers set its keep_prob, and the last one wins: keep one"),
        ({"feat_size": (7, 5)}, "block_size=7 is clipped to 7x5 by a map of 7x5: a seed drops the whole map"),
        ({"block_size": (3, 20)}, r"block_size=\(3, 20\) is clipped to 3x14 by a map of 14x14$"),
        ({"block_size": 1}, "block_size=1 is dropout, unit by unit"),
        ({"block_size": (1, 1), "feat_size": None}, "is dropout"),
    ],
)
def test_what_looks_wrong_is_named(changed: dict[str, Any], said: str) -> None:
    layer = LayerSummary(**(HEALTHY | changed))
    (warning,) = layer.warnings
    with pytest.raises(Warning, match=said):
        raise Warning(warning)
    assert f"layer3.drop: {warning}" in str(Summary((layer,)))


@pytest.mark.parametrize(
    "changed",
    [
        {"keep_prob": 1.0, "calls": PATIENCE - 1},  # a schedule begins so
        {"calls": None},  # in a compiled program
        {"feat_size": None, "calls": None},
        {"block_size": (7, 14)},
        {"schedulers": 0},
    ],
)
def test_what_may_be_meant_is_not_named(changed: dict[str, Any]) -> None:
    assert LayerSummary(**(HEALTHY | changed)).warnings == ()


def test_what_is_not_known_is_a_question_mark_and_no_layer_is_said() -> None:
    layer = LayerSummary("drop", 0.9, 7, None, None)
    assert str(Summary((layer,))).splitlines()[1].split() == ["drop", "?", "7", "0.9", "?", "?", "?", "compiled"]
    assert str(Summary(())) == "There is no DropBlock layer, so nothing is dropped."


def test_options_change_what_is_expected() -> None:
    assert LayerSummary(**HEALTHY, gamma_scale=0.25).gamma == 0.25 * gamma(0.9, 7, 14)
    assert LayerSummary(**HEALTHY, calibrated=True).expected == pytest.approx(0.1, abs=1e-9)
