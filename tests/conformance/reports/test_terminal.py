"""What the terminal shows: the plan before, progress during, verdicts after; and nothing a subject says is obeyed."""

from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from dropblock_conformance import Deviation, Outcome, Report, Subject, certify
from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.reports import terminal
from dropblock_conformance.running.campaign import Progress
from dropblock_conformance.running.order import Order, UnavailableError, unavailable
from dropblock_conformance.running.run import Run

from ..support import NUMPY, check_that_finds, finding, raising


def console(**options: Any) -> tuple[Console, Callable[[], str]]:
    """A console of 200 columns, and what it has shown so far."""
    file = StringIO()
    return Console(file=file, width=200, **options), file.getvalue


def events(run: Run, order: Order | None = None) -> Iterator[Progress]:
    """A run's events, as they come from a process."""
    order = order or Order(run.subject.name, run.profile.name, checks=tuple(check.id for check in run.checks))
    yield Progress(order, run.opening())
    for result in run.results():
        yield Progress(order, result)


NAMES = ["[red]x[/red]", "x[/red]", "[", "\x1b[31mx\x1b[0m", ":boom:", "two\rnames", "[link=http://x]y[/link]"]
AS_SHOWN = ["[red]x[/red]", "x[/red]", "[", "\\x1b[31mx\\x1b[0m", ":boom:", "two\\rnames", "[link=http://x]y[/link]"]


@pytest.mark.parametrize(("name", "shown"), list(zip(NAMES, AS_SHOWN, strict=True)), ids=range(len(NAMES)))
def test_neither_markup_nor_control_characters_of_a_subject_are_obeyed(name: str, shown: str) -> None:
    subject = Subject(name, raising(RuntimeError(f"said {name}")).call)
    run = Run(subject, profile="quick", checks=["seed.same"])
    report = run.report(run.results())
    for show in (
        lambda to: terminal.show_plan(to, run.opening()),
        lambda to: list(terminal.watch(to, events(run))),
        lambda to: terminal.show_unavailable(to, name, "gone"),
        lambda to: terminal.show_unavailable(to, "mine", name),
        lambda to: terminal.show_report(to, report),
        lambda to: terminal.show_verdicts(to, [report]),
    ):
        to, seen = console()
        show(to)
        assert shown in seen()
        assert "\x1b" not in seen()
        assert "\r" not in seen()
    to, seen = console()
    terminal.show_report(to, report)
    assert f"RuntimeError: said {shown}" in seen()
    assert report.results[0].repeat.replace(name, shown) in seen()


def test_a_reason_with_markup_is_shown_as_it_is(only_checks: Any) -> None:
    only_checks(check_that_finds(*[finding(Verdict.DEVIATES)] * 2))
    expect = [Deviation("temporary.check", "[bold]known[/nothing]", effect=(0, 1))]
    to, seen = console()
    terminal.show_report(to, certify(NUMPY, profile="quick", expect=expect))
    assert "[bold]known[/nothing]" in seen()


def test_a_log_has_a_line_for_each_check_as_it_comes() -> None:
    run = Run(NUMPY, profile="quick", checks=["seed.same", "mask.shared", "seed.fresh"])
    to, seen = console(force_terminal=False)
    given = list(events(run))
    lines_after = []
    for event, wanted in zip(terminal.watch(to, given), given, strict=True):
        assert event is wanted
        lines_after.append(seen().splitlines()[-1].split()[:4])
    assert lines_after[1:] == [
        ["1/3", "numpy", "seed.same", "conforms"],
        ["2/3", "numpy", "mask.shared", "not_applicable"],
        ["3/3", "numpy", "seed.fresh", "conforms"],
    ]
    assert "\x1b" not in seen()


def test_a_log_of_several_subjects_counts_them_all_and_says_which_cannot_be_had() -> None:
    run = Run(NUMPY, profile="quick", checks=["seed.same"])
    one, other, gone = Order("one", checks=("seed.same",)), Order("other", checks=("seed.same",)), Order("gone")
    to, seen = console(force_terminal=False)
    list(
        terminal.watch(
            to, [*events(run, one), Progress(gone, UnavailableError("no [such] thing")), *events(run, other)]
        )
    )
    log = [line for line in seen().splitlines() if "/" in line.split(" ")[0] or "gone" in line]
    assert [line.split()[:3] for line in log] == [
        ["1/1", "numpy", "seed.same"],
        ["gone:", "unavailable:", "no"],
        ["2/2", "numpy", "seed.same"],
    ]
    assert "gone: unavailable: no [such] thing" in seen()


def test_a_report_of_a_subject_that_cannot_be_had_says_so_and_no_more() -> None:
    report = unavailable(Order("gone"), "no [such] thing")
    to, seen = console()
    terminal.show_report(to, report)
    assert seen() == "gone: unavailable: no [such] thing\n"
    terminal.show_verdicts(to, [report])
    assert len([line for line in seen().splitlines() if "gone" in line and "unavailable" in line]) == 2


def test_a_terminal_has_a_bar_in_place_of_the_log() -> None:
    run = Run(NUMPY, profile="quick", checks=["seed.same", "seed.fresh"])
    to, seen = console(force_terminal=True)
    given = list(events(run))
    assert list(terminal.watch(to, given)) == given
    assert "━" in seen()
    assert "2/2" in seen()
    assert "numpy seed.fresh" in seen()
    assert "numpy seed.fresh conforms" not in " ".join(seen().split())  # no line of a log


def test_the_plan_says_sizes_alpha_margin_and_promise() -> None:
    run = Run(NUMPY, profile="quick", seed=4, checks=["law.paper", "law.pairs", "mask.shared"])
    to, seen = console()
    terminal.show_plan(to, run.opening())
    said = " ".join(seen().split())
    maps = sum(row["maps"] for row in run.plan)
    for part in (
        "numpy: profile quick, seed 4. ",
        f"4 tests on {maps:,} maps",
        f"alpha {run.alpha:.1e} (1e-6 over the run)",
        "margin 2.50%",
        "5.00% deviates, with probability 0.999",
    ):
        assert part in said
    for row in run.plan:
        (line,) = (line for line in seen().splitlines() if row["check"] in line)
        assert row["configuration"] in line
        assert f"{row['maps']:,}" in line


@pytest.fixture
def one_of_each(only_checks: Any) -> Report:
    """A report with all eight outcomes."""
    conforms, deviates, open_ = (finding(v, e) for v, e in zip(Verdict, (0.0, 0.25, 0.00001), strict=True))
    twice = [deviates, deviates]
    only_checks(
        check_that_finds(conforms, id="c.conforms"),
        check_that_finds(*twice, id="c.deviates"),
        check_that_finds(*twice, id="c.declared"),
        check_that_finds(conforms, id="c.surprise"),
        check_that_finds(*twice, id="c.wrong_cause"),
        check_that_finds(open_, id="c.inconclusive"),
        check_that_finds(conforms, id="c.not_applicable", needs=lambda subject: "not claimed"),
        check_that_finds(RuntimeError("boom"), id="c.crashed"),
    )
    expect = [
        Deviation("c.declared", "an old habit", effect=(0.2, 0.3)),
        Deviation("c.surprise", "r", effect=(0.2, 0.3)),
        Deviation("c.wrong_cause", "r", effect=(0.5, 0.6)),
    ]
    report = certify(NUMPY, profile="quick", expect=expect)
    assert [result.id for result in report.results] == [f"c.{result.outcome}" for result in report.results]
    assert {result.outcome for result in report.results} == set(Outcome)
    return report


def test_a_report_lists_every_check_that_applies_and_details_what_does_not_simply_conform(one_of_each: Report) -> None:
    to, seen = console()
    terminal.show_report(to, one_of_each)
    table, _, details = seen().partition("not applicable, as not claimed: c.not_applicable")
    assert "numpy: does not conform" in table
    for result in one_of_each.results:
        if result.outcome == Outcome.NOT_APPLICABLE:
            assert result.id not in table
            continue
        assert result.id in table
        assert (result.id in details) == (result.outcome != Outcome.CONFORMS)
        if result.outcome not in (Outcome.CONFORMS, Outcome.DECLARED):
            assert f"repeat: {result.repeat}" in details
    for part in ("+25.00%", "+1.0e-05", " 0 "):
        assert part in table
    assert "an old habit" in details
    assert "again on a fresh stream: seen" in details
    assert "RuntimeError: boom" in details


def test_verdicts_count_the_outcomes_there_are(one_of_each: Report) -> None:
    to, seen = console()
    terminal.show_verdicts(to, [one_of_each, one_of_each])
    for outcome in Outcome:
        assert outcome.replace("_", " ") in seen()
    assert seen().count("does not conform") == 2
    to, seen = console()
    terminal.show_verdicts(to, [certify(NUMPY, profile="quick", checks=["c.conforms"])])
    assert "deviates" not in seen()
