# SPDX-License-Identifier: Apache-2.0
"""What a report comes to: findings with one cause as one diagnosis, with what it does to users, gravest first."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dropblock_conformance.checks.law import paper
from dropblock_conformance.level import Severity, gravity
from dropblock_conformance.result import Outcome, Report, Result
from dropblock_core import gamma


@dataclass(frozen=True)
class Diagnosis:
    """One cause: what it is, what it does to users, and the checks that found it, the one that tells most first."""

    severity: Severity
    cause: str
    consequence: str
    findings: tuple[Result, ...]

    @property
    def checks(self) -> list[str]:
        return [result.id for result in self.findings]

    @property
    def is_declared(self) -> bool:
        return all(result.outcome == Outcome.DECLARED for result in self.findings)


Rule = Callable[[Sequence[Result]], Diagnosis | None]


def diagnoses(report: Report) -> list[Diagnosis]:
    """Every finding of a report is in exactly one of them; gravest first."""
    left = [result for result in report.findings if result.outcome != Outcome.INCONCLUSIVE]
    found = []
    for rule in RULES:
        if (diagnosis := rule(left)) is not None:
            found.append(diagnosis)
            left = [result for result in left if result not in diagnosis.findings]
    found += [_alone(result) for result in left]
    return sorted(found, key=lambda diagnosis: (gravity(diagnosis.severity), -len(diagnosis.findings)))


def _grave(result: Result) -> Severity:
    return result.severity or Severity.WRONG


def _diagnosis(cause: str, consequence: str, findings: Iterable[Result]) -> Diagnosis:
    ordered = tuple(findings)
    return Diagnosis(min(map(_grave, ordered), key=gravity), cause, consequence, ordered)


# --- the law ----------------------------------------------------------------------------------------------------------

CONFIGURATION = next(iter(paper.at.values()))  # 14x14, block 7, keep_prob 0.9


ALIKE = 0.01  # of two shares; several faults within it are told by the nearest


def known_faults() -> dict[str, tuple[float, float]]:
    """Faults that people make, with the shares of maps untouched and of middle units kept that each gives there."""
    c = CONFIGURATION
    drop, area, units = 1 - c.keep_prob, c.block_size**2, c.feat[0] * c.feat[1]
    swapped = gamma(drop, c.block_size, c.feat)
    gammas = {
        "Eq. (1)'s gamma, but seeds on the whole map": (c.gamma, units),
        "gamma is p / block_size^2 without Eq. (1)'s second factor": (drop / area, c.anchors),
        "gamma is p / block_size^2 without Eq. (1)'s second factor, and seeds on the whole map": (drop / area, units),
        "p is divided by block_size^2 twice, and seeds on the whole map": (drop / area**2, units),
        "p is divided by block_size^2 twice": (drop / area**2, c.anchors),
        "keep_prob is taken for the drop probability": (swapped, c.anchors),
        "nothing is ever dropped": (0.0, 1),
    }
    return {name: ((1 - g) ** anchors, (1 - g) ** area) for name, (g, anchors) in gammas.items()}


def _law(findings: Sequence[Result]) -> Diagnosis | None:
    laws = [result for result in findings if result.id.startswith("law.") and "law.each_" not in result.id]
    first = next((result for result in laws if result.id == paper.id), None)
    if first is None or first.outcome == Outcome.CRASHED:
        return None
    tests = _data(first)["tests"]
    seen = tuple(test["successes"] / max(1, test["trials"]) for test in tests)
    apart = {
        name: max(abs(one - other) for one, other in zip(seen, shares, strict=True))
        for name, shares in known_faults().items()
    }
    nearest = min(apart, key=lambda name: apart[name])
    cause = f"this looks like: {nearest}"
    if apart[nearest] > ALIKE:
        effect = first.effect or 0.0
        agree = max(test["low"] for test in tests) <= min(test["high"] for test in tests)
        size = f"{abs(effect):.0%} too {'large' if effect > 0 else 'small'}"
        cause = f"gamma is {size}" if agree else "seeds do not fall as in the paper, or too many or too few"
    over_the_border = [result for result in findings if result.id == "mask.blocks" and "whole map" in cause]
    units = [result for result in findings if result.id == "law.each_unit"]
    return _diagnosis(
        cause, dropped_share(first), [first, *(r for r in laws if r is not first), *units, *over_the_border]
    )


def _shape(findings: Sequence[Result]) -> Diagnosis | None:
    """Right on square maps, and wrong on others."""
    sides = [result for result in findings if result.id in ("law.non_square", "law.wide", "law.tall", "law.everywhere")]
    if not any(result.id == "law.non_square" for result in sides):
        return None
    cause = "right on square maps; where the sides differ one is taken for the other, or for both"
    return _diagnosis(cause, dropped_share(sides[0]), sides)


def dropped_share(result: Result) -> str:
    """What share of the units is dropped at a law's setting, and what the paper drops there."""
    drop_map = _data(result).get("drop_map")
    if not drop_map:
        return result.summary
    seen, exact = _mean(drop_map["observed"]), _mean(drop_map["exact"])
    where = _data(result)["configuration"]
    return f"it drops {_percent(seen)} of the units where Eq. (1) drops {_percent(exact)} ({where})"


def _percent(share: float) -> str:
    return f"{share:.2%}" if share < 0.01 else f"{share:.1%}"


def _mean(nested: Any) -> float:
    return sum(map(_mean, nested)) / len(nested) if isinstance(nested, list) else float(nested)


def _data(result: Result) -> dict[str, Any]:
    attempts = result.evidence.get("attempts") or [{}]
    data: dict[str, Any] = attempts[0].get("data") or {}
    return data


# --- what is exact ----------------------------------------------------------------------------------------------------


def _together(cause: str, consequence: str, **ids: Severity) -> Rule:
    """Findings of these checks, each of this severity, have one cause."""
    wanted = {id.replace("__", "."): severity for id, severity in ids.items()}

    def rule(findings: Sequence[Result]) -> Diagnosis | None:
        found = [r for r in findings if r.id in wanted and r.severity == wanted[r.id] and r.outcome != Outcome.CRASHED]
        return _diagnosis(cause, consequence, found) if found else None

    return rule


def _rounding(findings: Sequence[Result]) -> Diagnosis | None:
    found = [
        result
        for result in findings
        if result.severity == Severity.COSMETIC and result.id.startswith(("scale.", "gradient.", "values.e", "mode."))
    ]
    errors = [
        result.effect for result in found if result.effect and not result.id.endswith(("edges", "_one", "inference"))
    ]
    size = f", by at most {max(errors):.2g} of themselves" if errors else ""
    consequence = f"values differ in their last digits{size}: below the noise of training"
    return (
        _diagnosis("factor or product is rounded more than once, or has an epsilon", consequence, found)
        if found
        else None
    )


def _lost(findings: Sequence[Result]) -> Diagnosis | None:
    lost = [r for r in findings if r.id in ("scale.float16", "scale.bfloat16") and "% of" in r.summary]
    consequence = "a large batch comes out as zeros, the whole layer with it"
    return (
        _diagnosis("kept units are counted in half precision, which cannot hold the count", consequence, lost)
        if lost
        else None
    )


RULES: tuple[Rule, ...] = (
    _law,
    _shape,
    _lost,
    _rounding,
    _together(
        "activations are multiplied by the mask",
        "NaN and infinity go through a dropped unit, and their gradients too: one bad value spoils what is masked",
        values__dropped_zero=Severity.HYGIENE,
        gradient__nonfinite=Severity.HYGIENE,
        values__edges=Severity.HYGIENE,
        gradient__edges=Severity.HYGIENE,
    ),
    _together(
        "a block larger than the map is not clipped to it axis by axis",
        "with small maps, as a network's last ones, other units are dropped, or more of them",
        mask__clipped=Severity.SERIOUS,
        law__clipped=Severity.SERIOUS,
    ),
    _together(
        "products overflow or lose digits on the way",
        "very large or very small activations come out infinite, or wrong",
        values__edges=Severity.EDGE,
        gradient__edges=Severity.EDGE,
    ),
    _together(
        "no rule for a call in which nothing is kept",
        "NaN, or units that should be zero: in rare calls, as with a block as large as the map and a low keep_prob",
        values__nothing_kept=Severity.EDGE,
        gradient__nothing_kept=Severity.EDGE,
    ),
    _together(
        "the schedule is not the line from 1 to keep_prob",
        "training uses another keep_prob than was asked for",
        schedule__ends=Severity.WRONG,
        schedule__linear=Severity.WRONG,
    ),
)

# Where a finding stands alone: what it does to users. The longest prefix of the id counts.
CONSEQUENCES = {
    "mode.": "evaluation, or keep_prob 1, changes activations that it should return",
    "output.dtype": "the next layer gets another dtype, or the caller's array is changed under it",
    "output.layout": "the same activations give another answer in another memory layout, as channels last",
    "seed.": "a run cannot be repeated, or two runs are the same where they should differ",
    "seed.fresh": "the same units are dropped at every step",
    "mask.blocks": "what is dropped is not made of whole blocks",
    "mask.clipped": "a block larger than the map does something else than to cover it",
    "mask.distinct": "maps that should have masks of their own lose the same units, so there is less noise",
    "mask.shared": "maps have masks of their own where they should share one",
    "mask.ignores_values": "which units are dropped depends on the activations",
    "values.": "activations that are kept are wrong",
    "values.dropped_zero": "a dropped unit is not zero",
    "scale.": "activations that are kept have the wrong scale, so training and evaluation see different sizes",
    "gradient.": "training follows a wrong gradient",
    "gradient.layout": "the gradient is another one where the upstream one lies otherwise in memory, as that of a sum",
    "schedule.": "training uses another keep_prob than was asked for",
    "schedule.ends": "a schedule without steps does not hold keep_prob",
    "schedule.training_calls": "gradient accumulation, or a layer called twice, moves the schedule ahead",
    "schedule.evaluation": "an evaluation during training moves the schedule ahead",
    "law.": "units are dropped more or less often than the paper says",
    "independence.": "maps are dropped together, so there is less noise than the batch suggests",
}


def _alone(result: Result) -> Diagnosis:
    prefix = max((p for p in CONSEQUENCES if result.id.startswith(p)), key=len)
    consequence = CONSEQUENCES[prefix]
    if result.outcome == Outcome.CRASHED:
        return _diagnosis(f"it fails: {result.summary}", f"{result.title}: not known", [result])
    if result.outcome == Outcome.SURPRISE:
        return _diagnosis("a declared deviation is gone", "take the declaration out", [result])
    if result.id.startswith("law.") and "drop_map" in _data(result):
        consequence = dropped_share(result)
    what = "another law" if result.id.startswith("law.") else "not so"
    return _diagnosis(f"{what}: {result.title[0].lower()}{result.title[1:]}", consequence, [result])
