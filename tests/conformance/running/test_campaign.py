"""Many subjects on several processes: no check is left out or done twice, whatever dies, and nothing stays behind."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropblock_conformance import Outcome, Report, Result
from dropblock_conformance.running.campaign import Progress, Work, remembered, reports, run_locally
from dropblock_conformance.running.journal import Journal
from dropblock_conformance.running.order import Order, UnavailableError
from dropblock_conformance.running.process import Isolated

from ..support import Children, timeless, wait_until

Name = Callable[[str], str]

# --- who does what next ---------------------------------------------------------------------------------------------


class Worker:
    """What a thread of `run_locally` does, a step at a time; it says what it was given."""

    def __init__(self, work: Work, sizes: dict[Order, int], at_work: dict[Order, int], left: dict[Order, int]) -> None:
        self.steps = self._life(work, sizes, at_work, left)
        self.alive = True

    def step(self) -> tuple[Order, str] | None:
        try:
            return next(self.steps)
        except StopIteration:
            self.alive = False
            return None

    def _life(
        self, work: Work, sizes: dict[Order, int], at_work: dict[Order, int], left: dict[Order, int]
    ) -> Iterator[tuple[Order, str] | None]:
        while (taken := work.next_order()) is not None:
            order, helps = taken
            assert left[order] > 0
            assert helps == (at_work[order] > 0)
            if at_work[order]:  # it joins others: worth it, and nobody's subject is left lying
                assert left[order] >= 3
                assert not [other for other in sizes if left[other] and not at_work[other]]
            at_work[order] += 1
            yield None  # to load takes a while
            while (check := work.next_check(order, helps=helps)) is not None:
                left[order] -= 1
                yield order, check
            at_work[order] -= 1
            yield None


def dealt(sizes: list[int], jobs: int, choose: Callable[[list[Worker]], Worker]) -> None:
    """Deal out all checks to `jobs` workers, one step at a time of whichever is chosen."""
    orders = {Order(f"subject {n}"): size for n, size in enumerate(sizes)}
    work = Work({order: [f"{order.name}, check {n}" for n in range(size)] for order, size in orders.items()})
    at_work, left = dict.fromkeys(orders, 0), dict(orders)
    workers = [Worker(work, orders, at_work, left) for _ in range(jobs)]
    given_out: list[str] = []
    while alive := [worker for worker in workers if worker.alive]:
        if (given_now := choose(alive).step()) is not None:
            order, check = given_now
            assert check.startswith(order.name)
            given_out.append(check)
    every = [f"{order.name}, check {n}" for order, size in orders.items() for n in range(size)]
    assert sorted(given_out) == sorted(every)
    assert set(at_work.values()) <= {0}


@given(sizes=st.lists(st.integers(0, 9), max_size=4), jobs=st.integers(1, 6), data=st.data())
def test_every_check_is_handed_out_once_whatever_the_interleaving(
    sizes: list[int], jobs: int, data: st.DataObject
) -> None:
    dealt(sizes, jobs, lambda alive: alive[data.draw(st.integers(0, len(alive) - 1))])


@pytest.mark.parametrize("sizes", list(product(range(5), repeat=2)))
def test_every_small_interleaving_of_two(sizes: tuple[int, int]) -> None:
    # All words over two letters, as far as they reach; then in turn.
    for word in product(range(2), repeat=9):
        letters, turn = iter(word), iter(range(10_000))

        def choose(alive: list[Worker], letters: Any = letters, turn: Any = turn) -> Worker:
            return alive[next(letters, next(turn)) % len(alive)]

        dealt(list(sizes), 2, choose)


def test_a_process_joins_for_three_checks_and_not_for_two() -> None:
    for left, joins in ((2, False), (3, True)):
        order = Order("subject")
        work = Work({order: ["check"] * left})
        assert work.next_order() == (order, False)
        assert work.next_order() == ((order, True) if joins else None)


def test_a_process_that_joins_takes_the_last_checks_first() -> None:
    order = Order("subject")
    work = Work({order: ["an exact one", "another", "a law", "another law"]})
    taken = [work.next_check(order, helps=helps) for helps in (False, True, True, False, True)]
    assert taken == ["an exact one", "another law", "a law", "another", None]


def test_a_process_joins_where_most_is_left_for_each() -> None:
    long, short = Order("long"), Order("short")
    work = Work({short: ["check"] * 5, long: ["check"] * 8})
    found = [work.next_order() for _ in range(5)]  # 8/2 > 5/2, 8/3 > 5/2, 8/4 < 5/2
    assert [order for order, _ in filter(None, found)] == [short, long, long, long, short]


def test_of_what_is_given_up_nothing_is_handed_out() -> None:
    order, other = Order("subject"), Order("other")
    work = Work({order: ["check"] * 9, other: ["check"]})
    assert work.next_order() == (order, False)
    work.give_up(order)
    assert work.next_check(order, helps=False) is None
    assert work.next_order() == (other, False)
    assert work.next_check(other, helps=False) == "check"


# --- runs -----------------------------------------------------------------------------------------------------------

CHECKS = ("seed.same", "seed.fresh", "mask.shared", "scale.claimed", "law.full_map")  # as the suite has them
MODULE = """
import os, threading, time
from pathlib import Path
from dropblock_conformance import Deviation, Subject
from tests.mutants import MUTANTS, Honest

right = Honest().subject("right")
wrong = MUTANTS["ScaleByKeepProb"].build().subject("wrong")
known = wrong, [Deviation("scale.claimed", "an old habit", effect=(0, 5))]
loaded = Path(__file__).with_suffix(".loaded")

def wait(x, **arguments):
    threading.Lock().acquire() and threading.Event().wait()

waits = Subject("waits", wait)

def never():
    loaded.touch()
    while True:
        time.sleep(0.01)

def once():
    if loaded.exists():
        raise RuntimeError("no second time")
    loaded.touch()
    return Subject("once", lambda x, *, training, **arguments: x if training else os._exit(3))
"""


@pytest.fixture
def name(make_module: Callable[[str], Name]) -> Name:
    return make_module(MODULE)


def order(name: str, *checks: str) -> Order:
    return Order(name, "quick", seed=3, checks=checks or CHECKS, subjects_in_run=2)


def run(orders: list[Order], jobs: int) -> list[Report]:
    children = Children()
    found = reports(orders, run_locally(orders, Journal(), jobs))
    assert not children.new()
    return found


# With three, two processes share a subject.
@pytest.mark.parametrize("jobs", [*(pytest.param(n, marks=pytest.mark.exhaustive) for n in (1, 2)), 3])
def test_the_results_are_those_of_a_run_in_this_process_whatever_the_number_of_jobs(name: Name, jobs: int) -> None:
    orders = [order(name("right")), order(name("known"))]
    children = Children()
    events = list(run_locally(orders, Journal(), jobs))
    assert not children.new()
    for one, report in zip(orders, reports(orders, events), strict=True):
        # The plan comes first and once, and every result as it is there.
        opening, *found = [event.what for event in events if event.order == one]
        assert isinstance(opening, Report)
        assert sorted(what.id for what in found if isinstance(what, Result)) == sorted(CHECKS)
        assert len(found) == len(CHECKS)
        here = one.run()
        assert timeless(report.results) == timeless(here.results())  # in the report's order, too
        assert report.seconds == pytest.approx(sum(result.seconds for result in report.results))
        assert report.seconds > 0
        for field in ("subject", "claims", "profile", "seed", "alpha", "plan", "versions", "unavailable"):
            assert getattr(report, field) == getattr(here.opening(), field)


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.exhaustive)])
def test_one_that_cannot_be_had_is_reported_and_the_others_finish(name: Name, jobs: int) -> None:
    missing, right = run([order("no_such_module:subject"), order(name("right"))], jobs)
    assert missing.unavailable is not None
    assert "No module named 'no_such_module'" in missing.unavailable
    assert right.conforms
    assert len(right.results) == len(CHECKS)


def test_one_that_cannot_be_had_again_is_no_report_of_what_was_seen_before(name: Name) -> None:
    # Checks of it were not done: those that were must not pass for all.
    (report,) = run([order(name("once"), "seed.same", "mode.inference", "mode.keep_prob_one")], 1)
    assert report.unavailable is not None
    assert "no second time" in report.unavailable
    assert report.results == []
    assert not report.as_declared


def test_nothing_to_do_is_done() -> None:
    assert run([], 2) == []


# --- the end --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["waits", "never"])  # in a check, and while it is loaded
def test_to_close_it_early_ends_all_processes(name: Name, tmp_path: Path, attribute: str) -> None:
    children = Children()
    with closing(run_locally([order(name("right")), order(name(attribute))], Journal(), 2)) as events:
        next(events)
        if attribute == "never":
            wait_until((tmp_path / "their_dropblock.loaded").exists)
        threads = [thread for thread in threading.enumerate() if "mind" in thread.name]
        assert len(threads) == 2
    assert not children.new()
    assert not any(thread.is_alive() for thread in threads)


def test_a_fault_of_our_own_is_raised_where_the_events_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(process: Isolated, check_id: str) -> Result:
        raise ZeroDivisionError

    monkeypatch.setattr(Isolated, "result", fails)
    children = Children()
    with pytest.raises(ZeroDivisionError):
        run([order("numpy")], 1)
    assert not children.new()


# --- what is put together -------------------------------------------------------------------------------------------


def opening_and_results(order: Order) -> tuple[Report, list[Result]]:
    here = order.run()
    return here.opening(), list(here.results())


def test_an_earlier_run_is_remembered_once_and_what_is_new_is_kept(tmp_path: Path) -> None:
    one, gone = order("numpy", "seed.same", "mode.keep_prob_one"), order("gone")
    opening, (first, second) = opening_and_results(one)
    error = UnavailableError("no such thing")

    def events(*whats: tuple[Order, Any]) -> list[Progress]:
        return [Progress(*what) for what in whats]

    journal = tmp_path / "journal"
    new = events((one, opening), (one, first), (gone, error))
    assert list(remembered([one, gone], Journal(journal), new)) == new
    # A second process opens the subject again: its plan was told already. What could not be had may be there now.
    later = events((one, opening), (one, second))
    assert list(remembered([one, gone], Journal(journal), later)) == [*new[:2], later[1]]
    assert Journal(journal).unfinished(one) == []
    assert list(Journal(journal).recall(gone)) == []


def test_reports_are_in_the_order_of_the_orders_and_results_in_that_of_the_suite() -> None:
    one, other, gone = order("numpy", *CHECKS[:2]), order("torch", *CHECKS[:2]), order("gone")
    opening, results = opening_and_results(one)
    assert [result.id for result in results] == ["seed.same", "seed.fresh"]
    events = [Progress(other, opening), Progress(gone, UnavailableError("why")), Progress(one, opening)]
    events += [Progress(each, result) for each in (other, one) for result in results[::-1]]
    found = reports([one, gone, other], events)
    assert [report.unavailable for report in found] == [None, "why", None]
    assert [[result.id for result in report.results] for report in found] == [
        ["seed.same", "seed.fresh"],
        [],
        ["seed.same", "seed.fresh"],
    ]
    assert found[0].counts == {Outcome.CONFORMS: 2}
    assert found[0].seconds == pytest.approx(sum(result.seconds for result in results))
