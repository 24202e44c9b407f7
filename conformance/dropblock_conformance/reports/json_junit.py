# SPDX-License-Identifier: Apache-2.0
"""JSON with a versioned schema, and JUnit XML."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from dropblock_conformance.reports.safe import finite, printable
from dropblock_conformance.result import GOOD, SCHEMA, Outcome, Report

SCHEMA_FILE = Path(__file__).with_name("report.schema.json")


def as_document(reports: Sequence[Report]) -> dict[str, Any]:
    """A run as data, as ``report.schema.json`` beside this file describes it."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    document: dict[str, Any] = finite(
        {"schema": SCHEMA, "created": created, "reports": [report.as_json() for report in reports]}
    )
    return document


def read_json(path: Path) -> list[Report]:
    """The reports that :func:`write_json` wrote.

    Raises:
        ValueError: the file cannot be read, or holds something else.
    """
    try:
        document = json.loads(path.read_bytes())
        if document["schema"] != SCHEMA:
            raise ValueError(f"its schema is {document['schema']!r}, not {SCHEMA!r}")
        return [Report.from_json(report) for report in document["reports"]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no report in JSON: {error}") from error


def write_json(reports: Sequence[Report], path: Path) -> None:
    path.write_text(json.dumps(as_document(reports), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_junit(reports: Sequence[Report], path: Path) -> None:
    """One test suite a subject, one test case a check.

    conforms and declared pass; not applicable is skipped; crashed is an error; everything else is a failure.
    """
    root = ElementTree.Element("testsuites")
    for report in reports:
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=printable(report.subject),
            tests=str(len(report.results)),
            failures=str(sum(_tag(result.outcome) == "failure" for result in report.results)),
            errors=str(report.counts[Outcome.CRASHED]),
            skipped=str(report.counts[Outcome.NOT_APPLICABLE]),
            time=f"{report.seconds:.3f}",
        )
        if report.unavailable is not None:
            suite.set("errors", "1")
            suite.set("tests", "1")
            case = ElementTree.SubElement(suite, "testcase", classname=printable(report.subject), name="available")
            ElementTree.SubElement(case, "error", message=printable(report.unavailable))
        for result in report.results:
            case = ElementTree.SubElement(
                suite, "testcase", classname=printable(report.subject), name=result.id, time=f"{result.seconds:.3f}"
            )
            if tag := _tag(result.outcome):
                note = ElementTree.SubElement(case, tag, message=printable(f"{result.outcome}: {result.summary}"))
                lines = [f"rule: {result.rule}", *result.evidence.get("traceback", []), f"repeat: {result.repeat}"]
                note.text = printable("\n".join(lines))
    tree = ElementTree.ElementTree(root)
    ElementTree.indent(tree)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _tag(outcome: Outcome) -> str | None:
    if outcome == Outcome.NOT_APPLICABLE:
        return "skipped"
    if outcome == Outcome.CRASHED:
        return "error"
    return None if outcome in (*GOOD, Outcome.DECLARED) else "failure"
