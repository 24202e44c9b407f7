"""How many of the wild mutants does the suite kill at `standard`? Measured into docs/statistics.md.

`make judge-wild` takes half an hour on two cores. The outcome at `standard` counts. Which check to ask there is found
at `quick`, which costs less: the first that kills the mutant, or all of them where none does.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor

from dropblock_conformance.result import Outcome
from dropblock_conformance.running.run import Run
from tests.calibrate import DOCUMENT
from tests.mutants import WILD
from tests.shared.generated import write_generated

KILLED = (Outcome.DEVIATES, Outcome.CRASHED)
# The checks that look at a cause, by the beginning of their ids: asked first.
LOOKS_AT = {
    "values": ("values", "output", "scale"),
    "independence": ("mask.distinct", "independence"),
    "seeds": ("seed", "mask.distinct"),
    "law": ("law", "mask"),
    "gradients": ("gradient",),
    "inference": ("mode",),
    "schedules": ("schedule",),
}


def judged(name: str, profile: str, checks: Sequence[str] | None = None) -> tuple[Outcome, str]:
    """The first outcome that kills, or that the suite does not decide, with its check; else that it conforms."""
    wild = WILD[name]
    run = Run(wild.build().subject(name), profile=profile, checks=checks)
    undecided = ""
    for check in sorted(run.checks, key=lambda check: not check.id.startswith(LOOKS_AT[wild.cause])):
        outcome = run.result(check).outcome
        if outcome in KILLED:
            return outcome, check.id
        if outcome == Outcome.INCONCLUSIVE:
            undecided = undecided or check.id
    return (Outcome.INCONCLUSIVE, undecided) if undecided else (Outcome.CONFORMS, "")


def judge(name: str) -> tuple[str, Outcome, str]:
    """The outcome at `standard`; where the check that killed at `quick` does not kill there, that of all checks."""
    outcome, check = judged(name, "quick")
    found = judged(name, "standard", [check] if outcome in KILLED else None)
    if outcome in KILLED and found[0] not in KILLED:
        found = judged(name, "standard")
    print(f"{name} {found[0]} {found[1]}", flush=True)
    return name, *found


def document(found: Iterable[tuple[str, Outcome, str]]) -> str:
    """A table by cause, and one of those that are left."""
    outcomes = {name: (outcome, check) for name, outcome, check in found}
    of_cause: dict[str, Counter[str]] = {cause: Counter() for cause in LOOKS_AT}
    for name, (outcome, _) in outcomes.items():
        of_cause[WILD[name].cause]["killed" if outcome in KILLED else outcome] += 1
    total = sum(of_cause.values(), Counter())
    columns = ("killed", Outcome.INCONCLUSIVE, Outcome.CONFORMS)
    left = {name: found for name, found in outcomes.items() if found[0] not in KILLED}
    lines = [
        f"**Wild mutants**, by somebody who had not read the checks. At `standard`, seed 0, {total['killed']} of "
        f"{total.total()} are killed: they deviate or crash ({total['killed'] / total.total():.1%}).",
        "",
        "| cause | mutants | killed | inconclusive | conforms |",
        "|---|---|---|---|---|",
        *(
            f"| {cause} | {counts.total()} | {' | '.join(str(counts[column]) for column in columns)} |"
            for cause, counts in [*of_cause.items(), ("all", total)]
        ),
        "",
        "Those that are not killed:",
        "",
        "| mutant | fault | outcome |",
        "|---|---|---|",
        *(
            f"| {name} | {WILD[name].fault} | {outcome}{f' (`{check}`)' if check else ''} |"
            for name, (outcome, check) in left.items()
        ),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these, and the document is left as it is")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in WILD]:
        parser.error(f"{', '.join(unknown)}: no such mutant; their names are in tests/mutants/wild")
    with ProcessPoolExecutor(arguments.workers) as pool:
        generated = document(pool.map(judge, arguments.names or WILD))
    if not arguments.names:
        write_generated(DOCUMENT, "make judge-wild", generated)
    print(generated)


if __name__ == "__main__":
    main()
