# SPDX-License-Identifier: Apache-2.0
"""Finished checks on disk, so that a run which was interrupted goes on where it was."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dropblock_conformance.result import Report, Result
from dropblock_conformance.running.order import Order
from dropblock_conformance.running.source import are_unchanged, digest_of_suite
from dropblock_conformance.running.versions import versions


class Journal:
    """A file with a line of JSON for each plan and each result. Without a path nothing is kept, and nothing recalled.

    An entry counts for the same order, the same code of the subject and of the suite, and the same versions of the
    packages that reports list.

    Raises:
        ValueError: the file is there and is no journal.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.unreadable = 0  # lines that a killed run left half written, or that somebody changed
        self._entries: dict[tuple[str, str | None], dict[str, Any]] = {}
        if path is not None and path.exists():
            self._read(path)

    def _read(self, path: Path) -> None:
        for line in filter(None, path.read_bytes().splitlines()):
            try:
                entry = json.loads(line)
                self._entries[entry["order"], entry["check"]] = entry["value"]
            except (ValueError, LookupError, TypeError):
                self.unreadable += 1
        if self.unreadable and not self._entries:
            raise ValueError(f"{path} is no journal: none of its lines is an entry; name another file, or remove it")

    def put(self, order: Order, what: Report | Result) -> None:
        if self.path is None:
            return
        check = what.id if isinstance(what, Result) else None
        value = asdict(what) if isinstance(what, Result) else what.as_json()
        line = json.dumps({"order": _key(order), "check": check, "value": value})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}")  # on a line of its own, whatever a killed run left behind

    def recall(self, order: Order) -> Iterator[Report | Result]:
        """The order's plan and the results that were put, if there are any."""
        opening = self._entries.get((_key(order), None))
        if opening is not None and are_unchanged(opening.get("sources", {})):
            yield Report.from_json(opening)
            for check_id in order.check_ids:
                if (result := self._entries.get((_key(order), check_id))) is not None:
                    yield Result.from_json(result)

    def unfinished(self, order: Order) -> list[str]:
        """The order's checks without a result."""
        known = {what.id for what in self.recall(order) if isinstance(what, Result)}
        return [check_id for check_id in order.check_ids if check_id not in known]


def _key(order: Order) -> str:
    return json.dumps([asdict(order), versions(), digest_of_suite()])
