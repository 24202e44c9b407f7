"""The matrix: every check in one column, the worst of a cell, limitations apart from faults; and what `diff` tells."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from dropblock_conformance import Claims, Outcome, Report
from dropblock_conformance.checks import RULES, all_checks, rule_of
from dropblock_conformance.cli import main
from dropblock_conformance.reports import json_junit, matrix
from dropblock_conformance.reports.differences import changes
from dropblock_conformance.result import Result
from dropblock_conformance.subject import DTYPES

from ..support import NUMPY


def result(check_id: str, outcome: Outcome, summary: str = "seen") -> Result:
    check = all_checks()[check_id]
    return Result(check_id, outcome, check.rule, {"summary": summary}, check.title, 0.5, 1.0, f"repeat {check_id}")


def report(subject: str = "one", claims: Claims | None = NUMPY.claims, **outcomes: str) -> Report:
    """A report with these outcomes, by ids with an underscore for the dot."""
    results = [result(name.replace("_", ".", 1), Outcome(outcome)) for name, outcome in outcomes.items()]
    return Report(subject, claims, "quick", 0, 1e-8, [], results, 1.0, {"numpy": "2"})


def unavailable(subject: str = "gone") -> Report:
    return Report(subject, None, "quick", 0, 0.0, [], [], 0.0, {}, "no module | named [x](y)")


def test_every_check_has_a_column_and_every_column_a_check() -> None:
    assert {rule_of(check.rule) for check in all_checks().values()} == set(RULES)


def test_what_counts_as_worse_is_settled() -> None:
    worst_first = "crashed deviates wrong_cause surprise declared inconclusive conforms not_applicable"
    assert [str(outcome) for outcome in matrix.WORST_FIRST] == worst_first.split()


@pytest.mark.parametrize("worse", range(len(Outcome)))
def test_a_cell_shows_the_worst_of_its_checks(worse: int) -> None:
    assert set(matrix.WORST_FIRST) == set(Outcome)
    for better in range(worse, len(Outcome)):
        outcomes = matrix.WORST_FIRST[better], matrix.WORST_FIRST[worse]
        (cell,) = (
            cell
            for cell in matrix.cells(report(mode_inference=outcomes[0], mode_keep_prob_one=outcomes[1]))
            if cell.rule == "R1"
        )
        assert cell.outcome == outcomes[1]
        assert cell.sign == matrix.SIGNS[outcomes[1]]


def test_a_cell_says_how_many_checks_of_those_that_apply() -> None:
    row = matrix.cells(
        report(schedule_ends="deviates", schedule_linear="conforms", schedule_evaluation="not_applicable")
    )
    says = {cell.rule: cell.says for cell in row}
    assert says["R12"] == "R12: deviates in 1 of 2 checks"
    assert says["R1"] == "R1: not claimed"


def test_limits_are_what_is_not_claimed() -> None:
    assert matrix.limits(Claims(spatial=(1, 2, 3), dtypes=DTYPES)) == ""
    told = matrix.limits(Claims(per_channel=False, renorm="none", even_blocks=False, clips=False, seedable=False))
    for part in ("one mask", "odd blocks", "within the map", "no seed", "rank 2 only", "no float16, bfloat16", "none"):
        assert part in told


def test_markdown_has_a_row_a_subject_and_whatever_it_says_stays_text() -> None:
    wrong = report("a | b *c*", mode_inference="deviates", schedule_ends="conforms")
    wrong = replace(wrong, results=[replace(wrong.results[0], evidence={"summary": "[x](y)\n`z`|"}), wrong.results[1]])
    page = matrix.as_markdown([report(mode_inference="conforms"), wrong, unavailable()])
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    head, one, other, gone = rows[:4]
    assert [cell.strip() for cell in head.split("|")][2:-3] == list(RULES)
    assert one.startswith("| one | ✓ | –")
    assert other.startswith("| a \\| b \\*c\\* | ✗ |")
    assert "unavailable: no module \\| named \\[x\\](y)" in gone
    assert all(row.replace("\\|", "").count("|") == head.count("|") for row in (one, other, gone))
    assert "| `mode.inference` | deviates | \\[x\\](y) \\`z\\`\\| | `repeat mode.inference` |" in page
    evidence = {"summary": "s", "reason": "r", "reproduce": "python -c 'a | b'"}
    known = replace(wrong, results=[replace(wrong.results[0], evidence=evidence)])
    assert "| s (r) | `python -c 'a \\| b'` |" in matrix.as_markdown([known])


def test_a_subject_that_cannot_be_had_is_an_error_in_junit_and_a_row_in_the_file(tmp_path: Path) -> None:
    json_junit.write_junit([unavailable()], tmp_path / "junit.xml")
    (suite,) = ElementTree.parse(tmp_path / "junit.xml").getroot()
    ((error,),) = suite
    assert (suite.get("tests"), suite.get("errors"), error.tag) == ("1", "1", "error")
    assert error.get("message") == "no module | named [x](y)"
    matrix.write_markdown([unavailable()], tmp_path / "matrix.md")
    assert (tmp_path / "matrix.md").read_text(encoding="utf-8") == matrix.as_markdown([unavailable()])


# --- diff -----------------------------------------------------------------------------------------------------------


def test_nothing_changes_between_a_run_and_itself() -> None:
    same = [report(mode_inference="conforms"), unavailable()]
    assert list(changes(same, same)) == []


def test_changes_are_told_with_which_are_worse() -> None:
    before = [report(mode_inference="conforms", seed_same="deviates", mask_blocks="conforms"), report("gone")]
    after = [
        replace(
            report(
                mode_inference="crashed", seed_same="conforms", mask_blocks="not_applicable", scale_large="conforms"
            ),
            versions={"numpy": "3"},
        ),
        report("new"),
    ]
    found = {(change.subject, change.what): change for change in changes(before, after)}
    assert {what for what, change in found.items() if change.worse} == {
        ("one", "mode.inference"),
        ("one", "mask.blocks"),
        ("gone", "verdict"),
    }
    assert {what for what, change in found.items() if not change.matters} == {("one", "version of numpy")}
    assert {("one", "seed.same"), ("one", "scale.large"), ("new", "verdict")} <= set(found)


def diff(tmp_path: Path, before: list[Report], after: list[Report]) -> tuple[int, str]:
    for name, reports in (("before", before), ("after", after)):
        json_junit.write_json(reports, tmp_path / f"{name}.json")
    files = [str(tmp_path / "before.json"), str(tmp_path / "after.json")]
    result = CliRunner().invoke(main, ["diff", *files], env={"COLUMNS": "200"}, catch_exceptions=False)
    return result.exit_code, result.output


def test_diff_exits_with_0_where_only_circumstances_changed_and_1_otherwise(tmp_path: Path) -> None:
    one = [report(mode_inference="conforms")]
    assert diff(tmp_path, one, one) == (0, "nothing changed\n")
    status, said = diff(tmp_path, one, [replace(one[0], seed=1, seconds=9.0)])
    assert (status, "seed" in said) == (0, True)
    status, said = diff(tmp_path, one, [report(mode_inference="deviates")])
    assert (status, "mode.inference" in said, "does not conform" in said) == (1, True, True)
    assert diff(tmp_path, one, [*one, unavailable()])[0] == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "other/1", "reports": []}', '{"schema": 1'])
def test_diff_refuses_what_is_no_report(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    result = CliRunner().invoke(main, ["diff", str(tmp_path / "bad.json"), str(tmp_path / "bad.json")])
    assert result.exit_code == 2
    assert "bad.json is no report in JSON" in " ".join(result.output.split())


def test_a_report_comes_back_from_json_as_it_was(tmp_path: Path) -> None:
    reports = [report(mode_inference="conforms", seed_same="crashed"), unavailable()]
    json_junit.write_json(reports, tmp_path / "report.json")
    assert json_junit.read_json(tmp_path / "report.json") == reports
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["reports"][1]["verdict"] == "unavailable"
