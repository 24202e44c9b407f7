"""The page's tables, in Markdown, from the results file alone."""

from collections import Counter

import numpy as np

from docs.experiments.claims import ACCURACY, BLOCK_1, CLAIMS, DROPBLOCK, NONE, Claim, plain, spread_by
from docs.experiments.configurations import RUNS
from docs.experiments.published import Number
from docs.experiments.results import Results
from docs.experiments.statistics import ENOUGH, Row, Summary, Value, paired, summary, values, verdict

VERDICTS = ("holds", "does not hold", "cannot be told", "too few runs")


def table(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])


# --- claims ---------------------------------------------------------------------------------------------------------


def claims(results: Results) -> str:
    """Each claim of the paper beside what came out."""
    header = ["Where", "The paper says", "Its difference", "Here, with a 95% interval", "Pairs", "Verdict"]
    return table(header, [of_claim(claim, results) for claim in CLAIMS])


def of_claim(claim: Claim, results: Results) -> list[str]:
    differences = claim.differences(results)
    summed = summary(differences)
    here = f"{summed.mean:+.2f} ± {summed.half_width:.2f}" if summed and summed.number >= ENOUGH else ""
    published = "" if claim.published is None else f"{claim.published:+.2f}"
    return [claim.where, claim.text, published, here, str(len(differences)), f"**{verdict(differences)}**"]


def counts(results: Results) -> str:
    found = Counter(verdict(claim.differences(results)) for claim in CLAIMS)
    return f"Of {len(CLAIMS)} claims: " + ", ".join(f"{name} {found[name]}" for name in VERDICTS) + "."


# --- rows -----------------------------------------------------------------------------------------------------------


def column(published: dict[str, dict[str, Number]], name: str, prefix: str = "") -> dict[str, float]:
    """A column of the paper's table, by our names of its rows."""
    return {row if row == "none" else f"{prefix}{row}": plain(cells[name]) for row, cells in published.items()}


def rows(results: Results, experiment: str, value: Value, quantity: str, base: Row, published: dict[str, float]) -> str:
    """What each row of an experiment measured, and its difference to `base`, with standard errors."""
    classifies = value is ACCURACY
    header = ["Trained with", "Seeds", quantity, "Difference"]
    header += ["NLL", "Difference"] if classifies else []
    header += ["Dropped, %", "CPU s a run"] + ["The paper's"] * bool(published)
    lines, not_run = [], []
    for name in dict.fromkeys(run.row for run in RUNS if run.experiment == experiment):
        row = experiment, name
        found = [result for (*key, _), result in results.items() if tuple(key) == row]
        if not found:
            not_run.append(name)
            continue
        line = [name, str(len(found)), *cells(results, row, base, value, 2)]
        if classifies:
            line += cells(results, row, base, lambda metrics: metrics["nll"], 3)
        line += [dropped([result["metrics"]["dropped"] for result in found])]
        line += [f"{np.mean([result['cpu_seconds'] for result in found]):.0f}"]
        lines.append(line + [f"{published[name]:.2f}" if name in published else ""] * bool(published))
    said = [table(header, lines)] * bool(lines) + [f"Not run: {'; '.join(not_run)}."] * bool(not_run)
    return "\n\n".join(said)


def cells(results: Results, row: Row, base: Row, value: Value, digits: int) -> list[str]:
    """A row's mean, and that of its paired differences to `base`."""
    numbers = list(values(results, row, value).values())
    pairs = list(paired(results, row, base, value).values()) if row != base else []
    mean = with_error(summary(numbers), f".{digits}f") or f"{numbers[0]:.{digits}f}"
    return [mean, with_error(summary(pairs), f"+.{digits}f")]


def with_error(summed: Summary | None, form: str) -> str:
    return f"{summed.mean:{form}} ± {summed.error:{form.lstrip('+')}}" if summed else ""


def dropped(shares: list[dict[str, float]]) -> str:
    """By place, the mean over seeds."""
    return ", ".join(f"{place}: {100 * np.mean([share[place] for share in shares]):.1f}" for place in shares[0])


def spread(results: Results) -> str:
    """How spread class activation maps are."""
    lines = []
    for name, row in {"none": NONE, "DropBlock, block 1": BLOCK_1, "DropBlock, block 7": DROPBLOCK}.items():
        area, entropy = (summary(list(values(results, row, spread_by(kind)).values())) for kind in ("area", "entropy"))
        if area and entropy:
            lines.append([name, str(area.number), with_error(area, ".2f"), with_error(entropy, ".2f")])
    return table(["Trained with", "Seeds", "Area, %", "Entropy, %"], lines) if lines else "Not run."


# --- cost -----------------------------------------------------------------------------------------------------------


def cost(results: Results) -> str:
    lines = []
    for experiment, planned in Counter(run.experiment for run in RUNS).items():
        spent = [result["cpu_seconds"] for key, result in results.items() if key[0] == experiment]
        lines.append([experiment, f"{len(spent)} of {planned}", f"{sum(spent):,.0f}"])
    total = sum(result["cpu_seconds"] for result in results.values())
    return table(["Experiment", "Runs", "CPU s"], [*lines, ["all", f"{len(results)} of {len(RUNS)}", f"{total:,.0f}"]])


def where_and_when(results: Results) -> str:
    machines = " and on ".join(sorted({result["machine"] for result in results.values()}))
    torch = " and ".join(sorted({result["versions"]["torch"] for result in results.values()}))
    dates = sorted({result["date"] for result in results.values()})
    return f"On {machines}, PyTorch {torch}, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}." if dates else ""
