"""Reports for people and machines: complete, standing alone, and safe whatever a subject says."""

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest
from matplotlib.image import imread

from dropblock_conformance import Deviation, Outcome, Report, Subject, certify
from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.reports import html, json_junit, matrix, pictures
from dropblock_conformance.reports.safe import finite, printable
from tests.mutants import MUTANTS

from ..support import NUMPY, check_that_finds, finding

EVIL = "<script>alert(1)</script> & \"'\x00\x1b[31m\x07￾\ud800 [red]x[/red] done"
CHEAP = ["mode.inference", "mask.shared", "scale.claimed", "seed.same", "law.full_map", "law.drawn"]


class EvilError(Exception):
    pass


def evil(x: np.ndarray, *, training: bool, **arguments: Any) -> np.ndarray:
    if not training:
        raise EvilError(EVIL)
    return NUMPY.call(x, training=training, **arguments)


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    """A right subject, one that crashes and says evil things, one that deviates as declared, one that just deviates."""
    wrong = MUTANTS["GammaWithoutRegion"].build().subject("wrong")
    known = [
        Deviation("law.drawn", f"known {EVIL}", effect=(-1, 0)),
        Deviation("seed.same", "forgotten", effect=(0, 1)),
    ]
    run = {"profile": "quick", "checks": CHEAP}
    return [
        certify(NUMPY, **run),
        certify(Subject(EVIL, evil, NUMPY.claims), **run),
        certify(wrong, expect=known, **run),
        certify(wrong, **run),
    ]


def test_these_reports_hold_six_outcomes(reports: list[Report]) -> None:
    seen = {result.outcome for report in reports for result in report.results}
    assert seen == set(Outcome) - {Outcome.INCONCLUSIVE, Outcome.WRONG_CAUSE}


# --- cleaning -------------------------------------------------------------------------------------------------------


def test_printable_spells_out_what_cannot_be_shown() -> None:
    assert printable("a\x00b\x1b[31mc\x7fd￾\ud800") == "a\\x00b\\x1b[31mc\\x7fd\\ufffe\\ud800"
    assert printable("kept: é γ ¹ 漢\n\t") == "kept: é γ ¹ 漢\n\t"
    assert printable(ValueError("\r")) == "\\r"


def test_finite_makes_null_of_what_json_lacks() -> None:
    nested = {"a": [1.0, float("nan"), (float("inf"), -float("inf"))], "b": "nan", "c": 3}
    assert finite(nested) == {"a": [1.0, None, [None, None]], "b": "nan", "c": 3}


# --- JSON -----------------------------------------------------------------------------------------------------------


def validated(reports: list[Report], path: Path) -> dict[str, Any]:
    json_junit.write_json(reports, path)
    document: dict[str, Any] = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    schema = json.loads(json_junit.SCHEMA_FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema, format_checker=jsonschema.FormatChecker())
    return document


def test_json_is_as_its_schema_says_and_says_all(reports: list[Report], tmp_path: Path) -> None:
    document = validated(reports, tmp_path / "report.json")
    assert document["schema"] == "dropblock-conformance/1"
    for report, written in zip(reports, document["reports"], strict=True):
        for name in ("subject", "profile", "seed", "alpha", "plan", "conforms", "as_declared", "verdict", "versions"):
            assert written[name] == getattr(report, name)
        assert [result["id"] for result in written["results"]] == CHEAP
        for result, there in zip(report.results, written["results"], strict=True):
            assert there == finite(json.loads(json.dumps(result.__dict__)))


def test_the_schema_knows_every_field_that_is_written(reports: list[Report]) -> None:
    schema = json.loads(json_junit.SCHEMA_FILE.read_text())["$defs"]
    (written,) = json_junit.as_document(reports[:1])["reports"]
    assert set(written) == set(schema["report"]["properties"])
    assert set(written["results"][0]) == set(schema["result"]["properties"])
    (law,) = (result for result in written["results"] if result["id"] == "law.full_map")
    assert set(law["evidence"]["attempts"][0]["data"]["tests"][0]) == set(schema["test"]["properties"])


def test_nan_and_infinity_become_null(only_checks: Any, tmp_path: Path) -> None:
    only_checks(check_that_finds(*[finding(Verdict.DEVIATES, effect=float("inf"))] * 2))
    (report,) = validated([certify(NUMPY, profile="quick")], tmp_path / "report.json")["reports"]
    assert report["results"][0]["effect"] is None
    assert report["results"][0]["evidence"]["attempts"][0]["effect"] is None


# --- HTML -----------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What the page loads and says, and whether every element is closed."""

    VOID = frozenset({"meta", "br", "img", "link", "hr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                self.loaded.append(value or "")
            if name == "id":
                self.anchors.add(value or "")
            assert not name.startswith("on")  # no handlers

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page(reports: list[Report], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    path = tmp_path_factory.mktemp("html") / "report.html"
    html.write_html(reports, path)
    text = path.read_bytes().decode("utf-8")
    assert '<meta charset="utf-8">' in text
    return text, Page(text)


def test_html_stands_alone(page: tuple[str, Page]) -> None:
    text, parsed = page
    assert not parsed.open
    for url in parsed.loaded:
        assert url.startswith("data:image/png;base64,") or url.lstrip("#") in parsed.anchors, url[:80]
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(parsed.tags)
    assert not re.search(r"@import|url\(", text)


def test_html_escapes_whatever_a_subject_says(page: tuple[str, Page]) -> None:
    text, parsed = page
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;&#39;" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f￾\ud800]", text)
    shown = "<script>alert(1)</script> & \"'\\x00\\x1b[31m\\x07\\ufffe\\ud800 [red]x[/red] done"
    assert parsed.text.count(f"EvilError: {shown}") >= 2  # the summary and the traceback
    assert f"known {shown}" in parsed.text
    assert f"{shown}: does not conform" in parsed.text


def test_html_shows_pictures_of_statistical_checks(page: tuple[str, Page], reports: list[Report]) -> None:
    _, parsed = page
    attempts = [
        attempt for report in reports for result in report.results for attempt in result.evidence.get("attempts", [])
    ]
    shown = [
        part
        for attempt in attempts
        for part in attempt["data"].get("settings", [attempt["data"]])
        if "drop_map" in part
    ]
    masks = sum(len(part["masks"]) for part in shown)
    assert len(shown) > 7
    assert sum(url.startswith("data:image/png") for url in parsed.loaded) == 3 * len(shown) + masks
    assert parsed.tags.count("svg") == sum(len(part["tests"]) for part in shown)


def test_html_says_how_to_repeat_and_what_the_effect_is(page: tuple[str, Page], reports: list[Report]) -> None:
    _, parsed = page
    for result in reports[3].results:
        if result.outcome == Outcome.DEVIATES:
            assert result.repeat in parsed.text
            assert result.evidence["attempts"][1]["summary"] in parsed.text  # both attempts


def test_html_shows_what_is_not_decided_as_that(tmp_path: Path) -> None:
    report = certify(Subject("idle", lambda x, **_: x), profile="tiny", checks=["mask.blocks"])
    html.write_html([report], tmp_path / "report.html")
    assert '<td class="o inconclusive">inconclusive</td>' in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("feat", [(5,), (4, 6), (2, 3, 4)])
def test_maps_of_every_rank_are_pictured(feat: tuple[int, ...]) -> None:
    data = {
        "masks": [np.ones(feat).tolist()],
        "drop_map": {"maps": 1, "observed": np.zeros(feat), "exact": np.zeros(feat)},
    }
    shown = pictures.drop_map(data)
    assert shown is not None
    for uri in (*shown["masks"], shown["observed"], shown["exact"]):
        pixels = imread(BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))
        assert pixels.shape[:2] == shown["shape"] == pictures.as_image(np.zeros(feat)).shape
    assert pictures.drop_map({}) is None


def test_a_mask_is_pictured_unit_by_unit() -> None:
    data = {"masks": [[[0, 1], [1, 1]]], "drop_map": {"maps": 1, "observed": [[0.5]], "exact": [[1.0]]}}
    shown = pictures.drop_map(data)
    assert shown is not None
    (uri,) = shown["masks"]
    pixels = imread(BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,"))))
    dark = pixels[..., :3].sum(axis=-1) < 1.5
    assert dark.tolist() == [[True, False], [False, False]]
    assert shown["top"] == 1.0


def test_intervals_lie_on_one_scale_with_the_margin() -> None:
    inside = {"low": -0.01, "effect": 0.0, "high": 0.01, "margin": 0.025}
    outside = {"low": 0.1, "effect": 0.2, "high": None, "margin": 0.025}
    one, other = pictures.intervals([inside, outside])
    assert one["margin_low"] < one["low"] < one["effect"] == 50 < one["high"] < one["margin_high"]
    assert other["margin_high"] < other["low"] < other["effect"] < other["high"] == 100
    assert (one["margin_low"], one["margin_high"]) == (other["margin_low"], other["margin_high"])
    assert pictures.intervals([]) == []


def test_slices_of_a_volume_stand_side_by_side() -> None:
    image = pictures.as_image(np.arange(8).reshape(2, 2, 2))
    assert np.array_equal(image, [[0, 1, np.nan, 4, 5], [2, 3, np.nan, 6, 7]], equal_nan=True)


def test_every_cell_of_the_matrix_leads_to_its_evidence(page: tuple[str, Page], reports: list[Report]) -> None:
    _, parsed = page
    for number, report in enumerate(reports, 1):
        for cell in matrix.cells(report):
            if cell.outcome != Outcome.NOT_APPLICABLE:
                assert cell.worst is not None
                assert f"#evidence-{number}-{cell.worst.id}" in parsed.loaded
            for result in cell.results:
                assert f"evidence-{number}-{result.id}" in parsed.anchors


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_a_browser_opens_the_evidence_that_a_cell_leads_to(reports: list[Report], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    html.write_html(reports, path)
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]

    def opened(fragment: str) -> bool:
        url = f"{path.as_uri()}{fragment}"
        page = subprocess.run([*command, "--dump-dom", url], capture_output=True, text=True, timeout=100, check=True)
        before, _, _ = page.stdout.partition('<div id="evidence-1-law.full_map">')
        return before.rpartition("<details")[2].startswith(' open=""')

    assert opened("#evidence-1-law.full_map")
    assert not opened("")


# --- JUnit ----------------------------------------------------------------------------------------------------------


def test_junit_counts_every_check_once_and_carries_the_evidence(reports: list[Report], tmp_path: Path) -> None:
    json_junit.write_junit(reports, tmp_path / "junit.xml")
    suites = ElementTree.parse(tmp_path / "junit.xml").getroot().findall("testsuite")
    children = {
        Outcome.CRASHED: "error",
        Outcome.NOT_APPLICABLE: "skipped",
        Outcome.CONFORMS: None,
        Outcome.DECLARED: None,
    }
    for report, suite in zip(reports, suites, strict=True):
        assert suite.get("name") == printable(report.subject)
        wanted = [children.get(result.outcome, "failure") for result in report.results]
        cases = suite.findall("testcase")
        assert [case.get("name") for case in cases] == CHEAP
        assert [case[0].tag if len(case) else None for case in cases] == wanted
        assert suite.get("tests") == str(len(CHEAP))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(attribute) == str(wanted.count(tag))
        for result, case in zip(report.results, cases, strict=True):
            if len(case):
                assert case[0].get("message") == printable(f"{result.outcome}: {result.summary}")
                assert printable(result.repeat) in (case[0].text or "")
