# SPDX-License-Identifier: Apache-2.0
"""Known deviations in a TOML file, beside those that a subject declares in Python."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from dropblock_conformance.checks import find
from dropblock_conformance.running.order import Order
from dropblock_conformance.subject import Deviation, from_json

KEYS = {field.name for field in fields(Deviation)} | {"subject"}


@dataclass(frozen=True)
class Expected:
    """A deviation, and the subject that it is of; None: of every subject of the run."""

    subject: str | None
    deviation: Deviation


def read_expected(path: Path) -> list[Expected]:
    """The deviations of a file: tables ``[[deviation]]`` with the fields of :class:`Deviation`, and perhaps `subject`.

    Raises:
        ValueError: it cannot be read, has a key or a check that there is not, or a deviation without a bound.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    unknown = document.keys() - {"deviation"}
    tables = document.get("deviation", [])
    if unknown or not isinstance(tables, list) or not tables:
        raise ValueError(
            f"{path}: write tables [[deviation]] and nothing else; found {', '.join(sorted(document)) or 'none'}"
        )
    return [_expected(table, f"{path}, deviation {number}") for number, table in enumerate(tables, 1)]


def _expected(table: Any, where: str) -> Expected:
    if not isinstance(table, dict) or (unknown := table.keys() - KEYS):
        told = f"has {', '.join(map(repr, sorted(unknown)))}" if isinstance(table, dict) else "is no table"
        raise ValueError(f"{where} {told}: its keys are {', '.join(sorted(KEYS))}")
    try:
        find([table.get("check", "")])
        deviation = Deviation(**from_json({key: value for key, value in table.items() if key != "subject"}))
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{where}: {error}") from error
    return Expected(table.get("subject"), deviation)


def with_expected(orders: Sequence[Order], expected: Sequence[Expected]) -> list[Order]:
    """The orders, each with the deviations that are of it.

    Raises:
        ValueError: a deviation is of a subject that is not in the run.
    """
    names = {order.name for order in orders}
    for one in expected:
        if one.subject is not None and one.subject not in names:
            raise ValueError(f"subject={one.subject!r} is not in this run: name one of {', '.join(sorted(names))}")
    return [
        replace(order, expect=tuple(e.deviation for e in expected if e.subject in (None, order.name)))
        for order in orders
    ]
