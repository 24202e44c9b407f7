"""Is the judge fair, and does it see? Measured on the reference and the mutants, into docs/statistics.md.

`make calibrate` takes about ten minutes on two cores. The calibration test of tests/conformance does the same on a
smaller scale.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from scipy.stats import binomtest, kstest

from dropblock_conformance.checks import all_checks
from dropblock_conformance.judging.check import Context
from dropblock_conformance.judging.inference import Judgement
from dropblock_conformance.judging.profile import Profile
from dropblock_conformance.result import Outcome
from dropblock_conformance.running.run import Run
from dropblock_conformance.subjects import load
from tests.mutants import MUTANTS
from tests.shared.generated import write_generated

DOCUMENT = Path(__file__).parents[1] / "docs" / "statistics.md"
# A wide margin plans small samples: whether p-values are honest does not depend on it.
SMALL = Profile("calibration", margin=0.2, examples=1, programs=1, drawn_laws=1, timeout=60)
LEVELS = (0.5, 0.1, 0.05, 0.01, 0.001)


def judged_reference(seed: int) -> list[tuple[str, Judgement]]:
    """Every statistical test of the reference on small samples: (check and event, test)."""
    subject = load("numpy").subject
    found = []
    for check in all_checks().values():
        # The events of others vary, or are many at once; those of places vary less than a binomial count.
        if check.at and check.needs(subject) is None and check.id not in ("law.each_sample", "law.each_channel"):
            finding = check.run(Context(subject, SMALL, 1e-6, seed, check.id))
            found += [(f"{check.id}: {test['event']}", Judgement(**test)) for test in finding.data["tests"]]
    return found


def p_values(runs: Iterable[list[tuple[str, Judgement]]]) -> dict[str, np.ndarray]:
    """For each event (exact, randomised) p-values over the runs, ``[runs, 2]``."""
    by_event = defaultdict(list)
    for run in runs:
        for event, test in run:
            by_event[event].append((test.p_value, test.randomised_p))
    return {event: np.array(pairs) for event, pairs in by_event.items()}


def smallest_ks(p: dict[str, np.ndarray]) -> float:
    """The smallest Kolmogorov-Smirnov p-value of an event's randomised p-values, times the number of events."""
    return min(1.0, len(p) * min(kstest(pairs[:, 1], "uniform").pvalue for pairs in p.values()))


def excess(p: dict[str, np.ndarray], level: float) -> float:
    """How surprising the event with the most exact p-values <= level is, times the number of events."""
    tails = [binomtest(int((q[:, 0] <= level).sum()), len(q), level, "greater").pvalue for q in p.values()]
    return min(1.0, len(p) * min(tails))


def whole_run(seed: int) -> dict[Outcome, int]:
    run = Run(load("numpy").subject, profile="quick", seed=seed)
    return dict(run.report(run.results()).counts)


def kill(job: tuple[str, int, str | None]) -> tuple[str, Outcome]:
    """By the check meant for a mutant, at its own profile or at another."""
    name, seed, profile = job
    mutant = MUTANTS[name]
    run = Run(mutant.build().subject(name), profile=profile or mutant.profile, seed=seed, checks=[mutant.killer])
    (result,) = run.results()
    return name, result.outcome


def document(seeds: int, runs: int, kills: int, workers: int) -> str:
    with ProcessPoolExecutor(workers) as pool:
        p = p_values(pool.map(judged_reference, range(seeds)))
        outcomes = list(pool.map(whole_run, range(runs)))
        killed = defaultdict(int)
        jobs = [(name, seed, None) for name in MUTANTS for seed in range(kills)]
        for name, outcome in pool.map(kill, jobs, chunksize=1):
            killed[name] += outcome == Outcome.DEVIATES
        at_standard = list(pool.map(kill, [(name, 0, "standard") for name in MUTANTS], chunksize=1))
    pooled = np.concatenate([pairs[:, 0] for pairs in p.values()])
    applied = sum(sum(counts.values()) - counts.get(Outcome.NOT_APPLICABLE, 0) for counts in outcomes)
    lines = [
        f"**P-values of the reference.** {len(p)} events, {seeds} seeds each. Randomised p-values against the uniform "
        f"law: the smallest Kolmogorov-Smirnov p-value times {len(p)} is {smallest_ks(p):.3g}. Exact p-values:",
        "",
        "| a | share of p <= a | most excessive event, binomial p times the number of events |",
        "|---|---|---|",
        *(f"| {a:g} | {(pooled <= a).mean():.5f} | {excess(p, a):.3g} |" for a in LEVELS),
        "",
        f"**Whole runs of the reference** at `quick`, seeds 0 to {runs - 1}: {applied:,} results that apply, of which "
        + ", ".join(
            f"{sum(counts.get(outcome, 0) for counts in outcomes):,} {outcome.replace('_', ' ')}"
            for outcome in Outcome
            if outcome != Outcome.NOT_APPLICABLE
        )
        + ".",
        "",
        f"**Mutants**, each judged {kills} times (seeds 0 to {kills - 1}) by the check meant to kill it: "
        f"{sum(killed.values())} of {kills * len(MUTANTS)} deaths. At `standard`, seed 0, "
        f"{sum(outcome == Outcome.DEVIATES for _, outcome in at_standard)} of {len(MUTANTS)} died. Left alive there: "
        f"{', '.join(name for name, outcome in at_standard if outcome != Outcome.DEVIATES) or 'none'}.",
        "",
        "| mutant | fault | killed by | profile | deaths |",
        "|---|---|---|---|---|",
        *(
            f"| {m.name} | {m.fault} | `{m.killer}` | {m.profile} | {killed[m.name]} of {kills} |"
            for m in MUTANTS.values()
        ),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="seeds for p-values")
    parser.add_argument("--runs", type=int, default=30, help="whole runs of the reference")
    parser.add_argument("--kills", type=int, default=5, help="trials a mutant")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    generated = document(**vars(arguments))
    write_generated(DOCUMENT, "make calibrate", generated)
    print(generated)


if __name__ == "__main__":
    main()
