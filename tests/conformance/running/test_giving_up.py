"""A subject that dies or hangs again and again is asked no more, and what was not run is said not to be."""

import threading
from dataclasses import replace
from typing import Any

from dropblock_conformance import Outcome, Subject, certify
from dropblock_conformance.running.giving_up import STRIKES, Patience, given_up

CHECKS = ["seed.same", "seed.fresh", "mode.inference", "mask.blocks", "scale.claimed"]


def test_one_that_hangs_is_given_up_after_three_checks() -> None:
    calls, over = [], threading.Event()

    def hangs(x: Any, **_: Any) -> Any:
        calls.append(x)
        over.wait()

    report = certify(Subject("hangs", hangs), profile="tiny", checks=CHECKS, timeout=0.05)
    over.set()
    assert len(calls) == STRIKES
    assert [result.id for result in report.results] == CHECKS
    assert {result.outcome for result in report.results} == {Outcome.CRASHED}
    assert [result.summary.startswith("not run: given up") for result in report.results] == [False] * 3 + [True] * 2
    assert report.died
    assert not report.conforms


def test_what_raises_is_asked_on() -> None:
    def raises(x: Any, **_: Any) -> Any:
        raise RuntimeError("no")

    report = certify(Subject("raises", raises), profile="tiny", checks=CHECKS)
    assert {result.summary for result in report.results} == {"RuntimeError: no"}


def test_patience_is_for_each_subject_by_itself() -> None:
    patience, other = Patience(), given_up("seed.same", "again")
    died = replace(other, evidence={"summary": "", "died": "signal 9"})
    for _ in range(STRIKES):
        assert not patience.is_at_its_end("one")
        patience.note("one", died)
        patience.note("other", other)
    assert patience.is_at_its_end("one")
    assert not patience.is_at_its_end("other")
