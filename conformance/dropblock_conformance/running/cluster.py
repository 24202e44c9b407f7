# SPDX-License-Identifier: Apache-2.0
"""A run on a Dask cluster, for campaigns beyond one machine: a task a check, each in a process of its subject."""

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from distributed import Client, as_completed

from dropblock_conformance.result import Report, Result
from dropblock_conformance.running.campaign import Progress
from dropblock_conformance.running.giving_up import Patience, given_up
from dropblock_conformance.running.journal import Journal
from dropblock_conformance.running.order import Order, UnavailableError
from dropblock_conformance.running.process import Isolated

PATIENCE = 10.0  # seconds for the scheduler to answer


def run_on_cluster(orders: Sequence[Order], journal: Journal, address: str) -> Generator[Progress]:
    """The events of all orders, from the workers of the scheduler at `address`, which have this package too.

    Dask does a check again elsewhere when its worker is lost; one that lost several workers raises Dask's KilledWorker.

    Raises:
        ConnectionError: no scheduler answers there.
    """
    with connect(address) as client:
        # Not pure: Dask would answer a second run with what the first one's tasks returned.
        asked = {client.submit(opening, order, pure=False): order for order in orders if journal.unfinished(order)}
        done = as_completed(list(asked))
        gone, patience = set(), Patience()
        waiting: dict[Order, set[str]] = {}
        for future in done:
            order = asked.pop(future)
            if order in gone:
                continue
            if isinstance(error := future.exception(), UnavailableError):
                gone.add(order)
                yield Progress(order, error)
                continue
            what = future.result()
            yield Progress(order, what)
            if isinstance(what, Result):
                waiting[order].discard(what.id)
                patience.note(order, what)
                if patience.is_at_its_end(order):
                    gone.add(order)
                    left = [future for future, its_order in asked.items() if its_order == order]
                    client.cancel(left, force=True)
                    yield from (Progress(order, given_up(id, order.repeat(id))) for id in waiting.pop(order))
            if isinstance(what, Report):
                waiting[order] = set(journal.unfinished(order))
                for check_id in journal.unfinished(order):
                    check = client.submit(result, order, check_id, pure=False)
                    asked[check] = order
                    done.add(check)


def connect(address: str) -> Any:
    try:
        return Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"no Dask scheduler answers at {address!r}: {error}") from error


def opening(order: Order) -> Report:
    """On a worker: the order's plan."""
    with process_for(order) as process:
        return process.opening()


def result(order: Order, check_id: str) -> Result:
    """On a worker: one check."""
    with process_for(order) as process:
        return process.result(check_id)


_idle: list[Isolated] = []
_lock = threading.Lock()


@contextmanager
def process_for(order: Order) -> Iterator[Isolated]:
    """A process of the subject, kept for its next check; those of other subjects make room for it."""
    with _lock:
        mine = next((process for process in _idle if process.order == order), None)
        others = [process for process in _idle if process.order != order]
        _idle[:] = [process for process in _idle if process.order == order and process is not mine]
    for process in others:
        process.close()
    process = mine or Isolated(order)
    try:
        yield process
    except BaseException:
        process.close()
        raise
    with _lock:
        _idle.append(process)
