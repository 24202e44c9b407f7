"""The page of docs/playground/, driven in headless Chromium: what it shows, its address, and who can use it."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.shared.chromium import answer_of, dumped, needs_chromium

pytestmark = needs_chromium

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PAGE = (ROOT / "docs" / "playground" / "index.html").as_uri()
AXE = Path(os.environ.get("AXE_CORE") or ROOT / "node_modules" / "axe-core") / "axe.min.js"

HASHES = [
    "",
    "#keep_prob=0.2&block_size=16&height=64&width=64&channels=32&seed=18446744073709551615&calibrated=true",
    "#keep_prob=0&block_size=32&height=3&width=5&channels=1&step=0&steps=0&per_channel=false",
    "#keep_prob=0.75&block_size=1&height=1&width=64&step=37&steps=1000&channel=31",
    "#keep_prob=1",
    "#keep_prob=NaN&block_size=7.5&seed=-1&per_channel=no&p=0.1",
]


def ask(folder: Path, script: str, **constants: Any) -> Any:
    said = "".join(f"const {name} = {json.dumps(value)};" for name, value in {"PAGE": PAGE, **constants}.items())
    return answer_of(folder, [said, HERE / "page_driver.js", HERE / script])


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return ask(tmp_path_factory.mktemp("page"), "page_answers.js", HASHES=HASHES)


def test_the_page_opens_from_the_disk_with_no_option(tmp_path: Path) -> None:
    document = dumped(tmp_path, f"{PAGE}#block_size=3")
    assert "With block_size 3 on maps of 14 × 14" in document
    assert "Channel 1 answers to edges" in document  # the photo's pixels were read


def masks_of(snippet: str) -> str:
    """What the page's Python draws, when it runs."""
    names: dict[str, Any] = {}
    exec(snippet, names)
    mask = names["mask"]
    assert f"# [{', '.join(map(str, mask.shape))}], True = kept" in snippet
    assert float(re.findall(r"^g = .*  # (.*)$", snippet, re.MULTILINE)[0]) == names["g"]
    return "".join(map(str, mask.astype(int).reshape(-1)))


def test_the_masks_shown_are_those_of_the_python_shown(answers: Any) -> None:
    settings = answers["settings"]
    for shown in (settings["first"], settings["moved"], settings["next"], *answers["links"]):
        assert shown["mask"] == masks_of(shown["python"]), shown["python"]


def test_the_live_region_says_what_is_drawn(answers: Any) -> None:
    assert answers["settings"]["first"]["summary"] == (
        "keep_prob is 0.9, so gamma is 0.00625, by Eq. (1). With block_size 7 on maps of 14 × 14, 9.3% of "
        "the units are expected to be dropped. In 8 masks, 3 seeds dropped 7.5% of the units."
    )
    assert answers["settings"]["channel"].startswith("Shown is channel 3: ")


def test_each_layer_is_observed_to_drop_what_it_is_expected_to(answers: Any) -> None:
    """Seeds are fixed, so this cannot fail by chance; the page's ± is two standard errors, five are allowed."""
    rows = answers["settings"]["layers"]
    assert [expected for expected, _ in rows] == ["9.3%", "20.9%", "7.4%", "0.16%", "100.0%", "10.0%", "10.0%"]
    for expected, observed in rows:
        share, _, spread = observed.partition(" ± ")
        allowed = 2.5 * float(spread.rstrip("%") or 0) + 0.1  # both are rounded
        assert abs(float(share.rstrip("%")) - float(expected.rstrip("%"))) <= allowed, (expected, observed)


def test_a_change_is_drawn_and_put_into_the_address_and_back_undoes_it(answers: Any) -> None:
    settings = answers["settings"]
    assert settings["first"]["hash"] == ""
    assert settings["moved"]["hash"].startswith("#keep_prob=0.5&block_size=7&height=14&width=14&channels=8&")
    assert settings["slider"] == "0.5"
    assert "gamma(0.5, 7, (14, 14))" in settings["moved"]["python"]
    assert settings["next"]["mask"] != settings["moved"]["mask"] == settings["back"]["mask"]


def test_a_value_out_of_range_is_refused_beside_its_control_and_draws_nothing(answers: Any) -> None:
    settings = answers["settings"]
    refused = settings["refused"]
    assert refused["wrong"] == "keep_prob=1.5 is not a number from 0 to 1."
    assert refused["invalid"] == "true"
    assert [refused[name] for name in ("mask", "hash")] == [settings["moved"][name] for name in ("mask", "hash")]
    assert settings["back"]["invalid"] == "false"


def test_what_is_wrong_with_an_address_is_said(answers: Any) -> None:
    *good, bad = answers["links"]
    assert [link["wrong"] for link in good] == [""] * len(good)
    assert bad["wrong"] == (
        "keep_prob=NaN is not a number from 0 to 1. 0.9 is used instead. "
        "block_size=7.5 is not a whole number from 1 to 32. 7 is used instead. "
        "seed=-1 is not a whole number from 0 to 2^64 \u2212 1. 0 is used instead. "
        "per_channel=no is neither true nor false. true is used instead. There is no setting p."
    )
    assert bad["mask"] == answers["links"][0]["mask"]


def test_nothing_is_wider_than_a_phone(answers: Any) -> None:
    assert [link["overflow"] for link in answers["links"]] == [0] * len(HASHES)


def test_each_control_is_reached_by_keys_and_seen_and_each_picture_has_words(answers: Any) -> None:
    assert answers["access"]["unseen"] == []
    assert answers["access"]["mute"] == []
    assert answers["access"]["skipped"] == ["figures", ""]


def test_light_and_dark_differ_in_page_and_pictures(answers: Any) -> None:
    light, dark = answers["access"]["colours"]["light"], answers["access"]["colours"]["dark"]
    assert all(one != other for one, other in zip(light, dark, strict=True))


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: in node_modules/, or its folder in the variable AXE_CORE")
def test_axe_finds_no_violation(tmp_path: Path) -> None:
    for found in ask(tmp_path, "axe_answers.js", AXE=AXE.as_uri()):
        assert found["violations"] == []
        assert found["passes"] > 20
