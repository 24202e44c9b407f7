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
from dropblock_conformance.level import Severity, gravity
from dropblock_conformance.reports import json_junit, matrix
from dropblock_conformance.reports.differences import changes
from dropblock_conformance.result import GOOD, Result
from dropblock_conformance.subject import DTYPES

from ..support import NUMPY, TINY


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


def cell(level: str, rule: str, *, severity: Severity | None = None, **outcomes: str) -> matrix.Cell:
    """A cell of a report with these outcomes, of which those that do not conform are so grave."""
    made = report(**outcomes)
    results = [
        replace(r, level=all_checks()[r.id].level, severity=None if r.outcome in GOOD else severity)
        for r in made.results
    ]
    (found,) = (c for c in matrix.cells(replace(made, results=results)) if (c.level, c.rule) == (level, rule))
    return found


@pytest.mark.parametrize("worse", range(len(Outcome)))
def test_a_cell_shows_the_worst_of_its_checks(worse: int) -> None:
    assert set(matrix.WORST_FIRST) == set(Outcome)
    for better in range(worse, len(Outcome)):
        outcomes = matrix.WORST_FIRST[better], matrix.WORST_FIRST[worse]
        found = cell("paper", "R1", severity=Severity.WRONG, mode_inference=outcomes[0], mode_keep_prob_one=outcomes[1])
        assert found.outcome == outcomes[1]
        assert found.sign == matrix.SIGNS.get(outcomes[1], "✗")


SIGNS = {"wrong": "✗", "serious": "▲", "edge": "○", "hygiene": "○", "cosmetic": "≈"}


@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("outcome", ["deviates", "declared", "wrong_cause"])
def test_a_finding_is_shown_as_grave_as_it_is_and_only_what_is_wrong_counts_to_the_paper(
    severity: Severity, outcome: str
) -> None:
    found = {level: cell(level, "R8", severity=severity, scale_claimed=outcome) for level in ("paper", "robust")}
    is_wrong = severity == Severity.WRONG
    assert found["paper"].sign == ("✗" if is_wrong else "✓")
    assert found["robust"].sign == ("–" if is_wrong else SIGNS[severity])
    assert cell("robust", "R13", severity=severity, seed_same=outcome).sign == SIGNS[severity]


def test_what_is_graver_hides_what_is_not() -> None:
    made = report(scale_claimed="declared", values_edges="deviates")
    results = [replace(r, severity=s) for r, s in zip(made.results, (Severity.SERIOUS, Severity.EDGE), strict=True)]
    found = {(c.level, c.rule): c.sign for c in matrix.cells(replace(made, results=results))}
    assert found["robust", "R9"] == "○"


def test_no_finding_is_lost_whatever_it_is() -> None:
    for check in all_checks().values():
        for severity in Severity:
            is_exact = not check.tests(TINY)
            if severity == check.severity or (is_exact and gravity(severity) > gravity(check.severity)):
                made = replace(result(check.id, Outcome.DEVIATES), level=check.level, severity=severity)
                signs = {c.sign for c in matrix.cells(replace(report(), results=[made]))}
                assert SIGNS[severity] in signs, (check.id, severity)


def test_a_cell_says_how_many_checks_of_those_that_apply() -> None:
    outcomes = {"schedule_ends": "deviates", "schedule_linear": "conforms", "schedule_evaluation": "not_applicable"}
    assert cell("paper", "R12", severity=Severity.WRONG, **outcomes).says == "R12: deviates in 1 of 2 checks, wrong"
    assert cell("paper", "R1").says == "R1: not claimed, or not run"


def test_limits_are_what_is_not_claimed() -> None:
    assert matrix.limits(Claims(spatial=(1, 2, 3), dtypes=DTYPES)) == ""
    told = matrix.limits(Claims(per_channel=False, renorm="none", even_blocks=False, clips=False, seedable=False))
    for part in ("one mask", "odd blocks", "within the map", "no seed", "rank 2 only", "no float16, bfloat16", "none"):
        assert part in told


def test_markdown_has_a_row_a_subject_and_whatever_it_says_stays_text(tmp_path: Path) -> None:
    wrong = report("a | b *c*", mode_inference="deviates", schedule_ends="conforms")
    deviates = replace(wrong.results[0], evidence={"summary": "[x](y)\n`z`|"}, level="paper", severity=Severity.WRONG)
    wrong = replace(wrong, results=[deviates, replace(wrong.results[1], level="paper")])
    right = report(mode_inference="conforms")
    right = replace(right, results=[replace(right.results[0], level="paper")])
    matrix.write_markdown([right, wrong, unavailable()], tmp_path / "m.md.part")
    page = (tmp_path / "m.md.part").read_text(encoding="utf-8")
    assert page == matrix.as_markdown([right, wrong, unavailable()], "m")
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    head, one, other, gone = rows[:4]
    assert [cell.strip(" *") for cell in head.split("|")][3:-1] == [rule for _, rule in matrix.columns()]
    assert one.startswith("| one |  | ✓ | –")
    assert other.startswith("| [a \\| b \\*c\\*](m/a---b--c-.md) |  | ✗ |")
    assert all(row.replace("\\|", "").count("|") == head.count("|") for row in (one, other, gone))
    assert "| gone | unavailable | no module \\| named \\[x\\](y) | |" in page
    told = (tmp_path / "m" / "a---b--c-.md").read_text(encoding="utf-8")
    assert "## Wrong: not so: inference returns the input" in told
    assert "| `mode.inference` | deviates | \\[x\\](y) \\`z\\`\\| | `repeat mode.inference` |" in told
    assert not (tmp_path / "m" / "one.md").exists()


def test_subjects_of_one_name_have_pages_of_their_own_and_those_of_before_go(tmp_path: Path) -> None:
    one, other = report("one", mode_inference="deviates"), report("One", seed_same="deviates")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "mine.md").write_text("a page of somebody's own")
    matrix.write_markdown([one, other, report("gone", mode_inference="crashed")], tmp_path / "m.md")
    matrix.write_markdown([report(mode_inference="conforms"), one, other], tmp_path / "m.md")
    assert sorted(page.name for page in (tmp_path / "m").iterdir()) == ["One-2.md", "mine.md", "one.md"]
    assert "`seed.same`" in (tmp_path / "m" / "One-2.md").read_text(encoding="utf-8")
    assert "[One](m/One-2.md)" in (tmp_path / "m.md").read_text(encoding="utf-8")


def test_a_page_shows_a_deviation_by_the_command_that_was_declared(tmp_path: Path) -> None:
    evidence = {"summary": "s", "reason": "r", "reproduce": "python -c 'a | b'"}
    made = report(mode_inference="declared")
    made = replace(made, results=[replace(made.results[0], evidence=evidence, severity=Severity.WRONG)])
    matrix.write_markdown([made], tmp_path / "m.md")
    assert "| s (r) | `python -c 'a \\| b'` |" in (tmp_path / "m" / "one.md").read_text(encoding="utf-8")


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
