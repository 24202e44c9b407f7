# SPDX-License-Identifier: Apache-2.0
"""A run of many subjects: their checks on several processes at a time."""

import queue
import threading
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from dropblock_conformance.pipe.child import GRACE
from dropblock_conformance.result import Report, Result
from dropblock_conformance.running.giving_up import Patience, given_up
from dropblock_conformance.running.journal import Journal
from dropblock_conformance.running.order import Order, UnavailableError, unavailable
from dropblock_conformance.running.process import Isolated


@dataclass(frozen=True)
class Progress:
    """An order's plan is known, one of its checks is finished, or its subject cannot be had."""

    order: Order
    what: Report | Result | UnavailableError


class Work:
    """What each process does next. A thread stands for each process.

    A process keeps its subject until no check of it is left, because loading a framework takes seconds. Then it takes a
    subject that no process has, and at last it helps with the subject that has most checks left: from the end, where
    the laws are, which share few compiled programs with the exact checks at the beginning.
    """

    WORTH_LOADING = 3  # checks

    def __init__(self, pending: Mapping[Order, Sequence[str]]) -> None:
        self._pending = {order: deque(ids) for order, ids in pending.items()}
        self._at_work: Counter[Order] = Counter()
        self._lock = threading.Lock()

    def next_order(self) -> tuple[Order, bool] | None:
        """A subject, and whether another process is at it."""
        with self._lock:
            left = {order: len(ids) for order, ids in self._pending.items() if ids}
            order = next((order for order in left if not self._at_work[order]), None)
            if order is None:
                order = max(left, key=lambda order: left[order] / (1 + self._at_work[order]), default=None)
                if order is None or left[order] < self.WORTH_LOADING:
                    return None
            self._at_work[order] += 1
            return order, self._at_work[order] > 1

    def next_check(self, order: Order, *, helps: bool) -> str | None:
        with self._lock:
            ids = self._pending[order]
            return None if not ids else ids.pop() if helps else ids.popleft()

    def give_up(self, order: Order) -> None:
        with self._lock:
            self._pending[order].clear()


def run_locally(orders: Sequence[Order], journal: Journal, jobs: int) -> Generator[Progress]:
    """The events of all orders, on `jobs` processes at a time. To close the iterator is to end the processes."""
    work = Work({order: journal.unfinished(order) for order in orders})
    events = queue.SimpleQueue[Progress | BaseException | None]()
    patience = Patience()
    stopped, processes, opened = threading.Event(), list[Isolated](), set[Order]()

    def mind() -> None:
        try:
            while (taken := work.next_order()) is not None and not stopped.is_set():
                order, helps = taken
                try:
                    attend(order, helps)
                except UnavailableError as error:
                    work.give_up(order)
                    events.put(Progress(order, error))
        except BaseException as error:  # raised again where the events are read
            events.put(error)
        events.put(None)

    def attend(order: Order, helps: bool) -> None:
        with closing(Isolated(order)) as process:
            processes.append(process)
            if stopped.is_set():  # and nobody will look at the list again
                return
            events.put(Progress(order, process.opening()))
            while not stopped.is_set() and (check_id := work.next_check(order, helps=helps)) is not None:
                result = (
                    given_up(check_id, order.repeat(check_id))
                    if patience.is_at_its_end(order)
                    else process.result(check_id)
                )
                patience.note(order, result)
                if not stopped.is_set():
                    events.put(Progress(order, result))

    threads = [threading.Thread(target=mind, daemon=True) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    try:
        at_work = jobs
        while at_work:
            event = events.get()
            if event is None:
                at_work -= 1
            elif isinstance(event, BaseException):
                raise event
            elif event.order not in opened or not isinstance(event.what, Report):
                opened.add(event.order)
                yield event
    finally:
        stopped.set()
        for process in list(processes):
            process.stop()
        for thread in threads:
            thread.join(GRACE)


def remembered(orders: Sequence[Order], journal: Journal, events: Iterable[Progress]) -> Iterator[Progress]:
    """The events of an earlier run, as far as it came, then these, which are written down as they come."""
    opened = set()
    for order in orders:
        for what in journal.recall(order):
            opened.add(order)
            yield Progress(order, what)
    for event in events:
        if isinstance(event.what, Report) and event.order in opened:
            continue
        if not isinstance(event.what, UnavailableError):
            journal.put(event.order, event.what)
        yield event


def reports(orders: Sequence[Order], events: Iterable[Progress]) -> list[Report]:
    """What the events say together: a report for each order."""
    openings: dict[Order, Report] = {}
    results: dict[Order, list[Result]] = {order: [] for order in orders}
    for event in events:
        match event.what:
            case Report() as opening:
                openings[event.order] = opening
            case Result() as result:
                results[event.order].append(result)
            case error:
                openings[event.order] = unavailable(event.order, str(error))
    places = {order: order.check_ids for order in orders}
    return [
        replace(
            openings[order],
            results=sorted(results[order], key=lambda result: places[order].index(result.id)),
            seconds=sum(result.seconds for result in results[order]),
        )
        if openings[order].unavailable is None
        else openings[order]  # some of its checks are no certificate
        for order in orders
    ]
