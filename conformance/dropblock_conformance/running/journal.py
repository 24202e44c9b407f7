"""Finished checks on disk, so that a run which was interrupted goes on where it was."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dropblock_conformance.result import Report, Result
from dropblock_conformance.running.order import Order
from dropblock_conformance.running.versions import versions


class Journal:
    """A file with a line of JSON for each plan and each result. Without a path nothing is kept, and nothing recalled.

    An entry counts for the same order under the same versions of the packages that reports list.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._entries: dict[tuple[str, str | None], dict[str, Any]] = {}
        if path is not None and path.exists():
            for line in path.read_bytes().splitlines():
                with suppress(ValueError, LookupError, TypeError):  # the last line of a run that was killed
                    entry = json.loads(line)
                    self._entries[entry["order"], entry["check"]] = entry["value"]

    def put(self, order: Order, what: Report | Result) -> None:
        if self._path is None:
            return
        check = what.id if isinstance(what, Result) else None
        value = asdict(what) if isinstance(what, Result) else what.as_json()
        line = json.dumps({"order": _key(order), "check": check, "value": value})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}")  # on a line of its own, whatever a killed run left behind

    def recall(self, order: Order) -> Iterator[Report | Result]:
        """The order's plan and the results that were put, if there are any."""
        if (opening := self._entries.get((_key(order), None))) is not None:
            yield Report.from_json(opening)
            for check_id in order.check_ids:
                if (result := self._entries.get((_key(order), check_id))) is not None:
                    yield Result.from_json(result)

    def unfinished(self, order: Order) -> list[str]:
        """The order's checks without a result."""
        known = {what.id for what in self.recall(order) if isinstance(what, Result)}
        return [check_id for check_id in order.check_ids if check_id not in known]


def _key(order: Order) -> str:
    return json.dumps([asdict(order), versions()])
