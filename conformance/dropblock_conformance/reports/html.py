# SPDX-License-Identifier: Apache-2.0
"""The report for people: one HTML file that stands alone, pictures and all. Jinja escapes whatever a subject says."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dropblock_conformance.checks import RULES, all_checks
from dropblock_conformance.reports import matrix, pictures
from dropblock_conformance.reports.diagnosis import diagnoses
from dropblock_conformance.reports.json_junit import as_document
from dropblock_conformance.reports.templates import template
from dropblock_conformance.result import Report


def write_html(reports: Sequence[Report], path: Path) -> None:
    path.write_text(render(reports), encoding="utf-8")


def render(reports: Sequence[Report]) -> str:
    document = as_document(reports)
    return template("report.html").render(
        exhibits=exhibits,
        cells=matrix.cells,
        columns=matrix.columns(),
        diagnoses=diagnoses,
        legend=matrix.LEGEND,
        limits=matrix.limits,
        dropped=matrix.dropped,
        claims=claims,
        rules=RULES,
        drops=matrix.DROPS,
        created=document["created"],
        reports=[Report.from_json(report) for report in document["reports"]],  # where infinity is None
        checks=all_checks(),
    )


def claims(report: Report) -> dict[str, Any]:
    return {} if report.claims is None else asdict(report.claims)


def exhibits(attempt: dict[str, Any]) -> list[dict[str, Any]]:
    """What a statistical attempt shows, a setting at a time: its tests, the interval picture, the drop map."""
    data = attempt["data"]
    return [
        {
            "configuration": part["configuration"],
            "tests": part["tests"],
            "intervals": pictures.intervals(part["tests"]),
            "drop_map": pictures.drop_map(part),
        }
        for part in data.get("settings", [data])
        if "tests" in part
    ]
