# SPDX-License-Identifier: Apache-2.0
"""What changed between two runs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dropblock_conformance.result import WORST_FIRST, Outcome, Report


@dataclass(frozen=True)
class Change:
    """One thing that is no longer what it was; None where it was not, or is no more.

    `matters` tells a change of what was found from one of the circumstances: versions, profile, seed.
    """

    subject: str
    what: str
    before: Any
    after: Any
    matters: bool

    @property
    def worse(self) -> bool:
        """Whether an outcome got worse; a subject that is gone and a check that no longer applies count as worse."""
        if not self.matters or self.before is None:
            return False
        if not {self.before, self.after} <= set(Outcome):
            return self.after is None or self.after == "unavailable"
        if self.after == Outcome.NOT_APPLICABLE:
            return True
        return WORST_FIRST.index(Outcome(self.after)) < WORST_FIRST.index(Outcome(self.before))


def changes(before: Sequence[Report], after: Sequence[Report]) -> Iterator[Change]:
    """Subject by subject, in the order of the later run: verdict, claims, outcomes; then the circumstances."""
    old, new = (_by_name(reports) for reports in (before, after))
    for name in {**new, **old}:
        one, other = old.get(name), new.get(name)
        if one is None or other is None:
            yield Change(name, "verdict", one and one.verdict, other and other.verdict, True)
            continue
        found = [_flat(report) for report in (one, other)]
        for what in {**found[0], **found[1]}:
            was, now = (part.get(what) for part in found)
            if was != now:
                yield Change(name, what, was, now, what == "verdict" or "." in what or what.startswith("claims "))


def _by_name(reports: Sequence[Report]) -> dict[str, Report]:
    """Several of one name, as two versions of a layer, are told apart by their place: "mine", "mine (2)"."""
    named: dict[str, Report] = {}
    seen: Counter[str] = Counter()
    for report in reports:
        seen[report.subject] += 1
        number = seen[report.subject]
        named[report.subject if number == 1 else f"{report.subject} ({number})"] = report
    return named


def _flat(report: Report) -> dict[str, Any]:
    """What can change, by name: ids of checks have a dot."""
    return {
        "verdict": report.verdict,
        **{result.id: str(result.outcome) for result in report.results},
        **{f"claims {name}": value for name, value in (asdict(report.claims) if report.claims else {}).items()},
        "profile": report.profile,
        "seed": report.seed,
        **{f"version of {name}": version for name, version in report.versions.items()},
    }
