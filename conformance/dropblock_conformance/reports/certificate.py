# SPDX-License-Identifier: Apache-2.0
"""A certificate: what was judged, of which code, by which rules, and what was found, with a digest over all."""

import json
import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import dropblock_core
from dropblock_conformance.checks import RULES
from dropblock_conformance.reports.safe import finite
from dropblock_conformance.result import Outcome, Report
from dropblock_conformance.running.source import digest, digest_of_sources, digest_of_suite
from dropblock_conformance.subjects import OURS

SCHEMA = "dropblock-conformance-certificate/1"
SCHEMA_FILE = Path(__file__).with_name("certificate.schema.json")
RULES_VERSION = "1"  # of the rules R1 to R14, as docs/spec.md has them


def certificate(report: Report, name: str) -> dict[str, Any]:
    """What a report certifies, as ``certificate.schema.json`` describes it; `name` is that on the command line."""
    found = {
        "schema": SCHEMA,
        "subject": {
            "name": name,
            "title": report.subject,
            "version": version_of(name),
            "source": digest_of_sources(report.sources),
            "claims": report.claims and asdict(report.claims),
        },
        "run": {"profile": report.profile, "level": report.level, "seed": report.seed, "alpha": report.alpha},
        "suite": {
            "version": dropblock_core.__version__,
            "source": digest_of_suite(),
            "rules": RULES_VERSION,
            "judged": list(RULES),
        },
        "environment": {"python": platform.python_version(), "system": platform.platform(), **report.versions},
        "verdict": report.verdict,
        "conforms": {"paper": report.conforms_to("paper"), "robust": report.conforms_to("robust")},
        "as_declared": report.as_declared,
        "outcomes": {
            result.id: {
                "outcome": result.outcome,
                "level": result.level,
                "severity": result.severity,
                "effect": result.effect,
                **({"reason": result.evidence["reason"]} if result.outcome == Outcome.DECLARED else {}),
            }
            for result in report.results
        },
    }
    plain: dict[str, Any] = json.loads(json.dumps(finite(found)))
    return plain | {"digest": digest_of(plain)}


def digest_of(found: dict[str, Any]) -> str:
    """Over all but the digest itself, whatever the order and the spaces of the file."""
    rest = {key: value for key, value in found.items() if key != "digest"}
    return digest(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode())


def version_of(name: str) -> str | None:
    """The version of the distribution that a subject's module is of; of ours, this one's."""
    if name in OURS:  # where "numpy" is no module
        return dropblock_core.__version__
    package = name.partition(":")[0].partition(".")[0]
    try:
        return version(packages_distributions().get(package, [package])[0])
    except (PackageNotFoundError, ValueError):
        return None


def write_certificate(report: Report, name: str, path: Path) -> None:
    path.write_text(json.dumps(certificate(report, name), indent=1) + "\n", encoding="utf-8")


def read_certificate(path: Path) -> dict[str, Any]:
    """A certificate as it was written.

    Raises:
        ValueError: it cannot be read, or is something else. That it was changed is for :func:`is_unaltered`.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        if found["schema"] != SCHEMA:
            raise ValueError(f"its schema is {found['schema']!r}, not {SCHEMA!r}")
        for part in ("subject", "run", "suite", "verdict", "conforms", "outcomes", "digest"):
            found[part]
        return found
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{path} is no certificate: {error}") from error


def is_unaltered(found: dict[str, Any]) -> bool:
    return bool(found["digest"] == digest_of(found))
