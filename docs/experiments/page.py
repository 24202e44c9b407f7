"""docs/experiments.md, whose every number comes from the results file."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from docs.experiments.claims import ACCURACY, AP, CLAIMS, MIOU, Claim, percent, plain
from docs.experiments.configurations import CLASSIFICATION, DETECTION, RUNS, SEGMENTATION
from docs.experiments.published import TABLE_1, TABLE_2, TABLE_3, TABLE_4, Number
from docs.experiments.results import Results
from docs.experiments.statistics import ENOUGH, Row, Value, paired, summary, values, verdict


def likelihood(metrics: dict[str, Any]) -> float:
    return metrics["nll"]


def written(results: Results, drawn: set[str]) -> str:
    """The page, with the figures that were drawn."""
    return "\n\n".join(sections(results, drawn)) + "\n"


def sections(results: Results, drawn: set[str]) -> list[str]:
    def figure(name: str, text: str) -> str:
        return f"![{text}](experiments/figures/{name}.svg)" if name in drawn else f"*{text}* Not run."

    return [
        "# The paper in miniature",
        INTRODUCTION,
        figure("fig_1", "Fig. 1: a photograph, with units dropped one by one, and by DropBlock."),
        "## What came out",
        counted(results),
        table(
            ["Where", "The paper says", "Its difference", "Here, with a 95% interval", "Pairs", "Verdict"],
            [claim_row(claim, results) for claim in CLAIMS],
        ),
        RULE,
        figure("gains", "What each method gains over none, in Tables 1 to 4, beside what the paper reports."),
        "## Table 1: methods that regularise",
        ABOUT_CLASSIFICATION,
        measured("Table 1", ACCURACY, "Accuracy, %", results, column(TABLE_1, "top-1")),
        "### Trained three times longer",
        measured("longer", ACCURACY, "Accuracy, %", results, {}),
        "## Fig. 3: keep_prob",
        figure("fig_3", "Accuracy over keep_prob, and over the share that was really dropped."),
        measured("Fig. 3", ACCURACY, "Accuracy, %", results, {}, ("Table 1", "none")),
        "## Fig. 4: where, and in which blocks",
        figure("fig_4", "Accuracy over block_size, for two sets of groups and three ways to apply DropBlock."),
        measured("Fig. 4", ACCURACY, "Accuracy, %", results, {}, ("Table 1", "none")),
        measured("Fig. 4, other blocks", ACCURACY, "Accuracy, %", results, {}, ("Table 1", "none")),
        "## Fig. 5: DropBlock at inference",
        ABOUT_FIG_5,
        figure("fig_5", "Accuracy falls faster with block 7 at inference, slowest for networks trained with block 7."),
        figure("fig_5_photographs", "On photographs, block 7 takes more from a network with ImageNet's weights."),
        "## Fig. 6: class activation maps",
        ABOUT_FIG_6,
        spread_table(results),
        figure("fig_6", "Class activation maps of six test images, by networks trained without and with DropBlock."),
        figure("fig_6_photographs", "Class activation maps of photographs, by a network with ImageNet's weights."),
        "## Table 2: cells",
        ABOUT_CELLS,
        measured("Table 2", ACCURACY, "Accuracy, %", results, column(TABLE_2, "top-1")),
        "## Table 3: detection",
        ABOUT_DETECTION,
        figure("scenes", "Four test scenes: above with the boxes to find, below with the labels of their pixels."),
        measured("Table 3", AP, "AP, %", results, column(TABLE_3, "AP")),
        "## Table 4: segmentation",
        ABOUT_SEGMENTATION,
        measured("Table 4", MIOU, "mIOU, %", results, column(TABLE_4, "mIOU", "head, keep_prob 0.2, ")),
        "## What it cost",
        cost(results),
        "## What this does not say",
        LIMITS,
    ]  # fmt: skip


# --- tables ---------------------------------------------------------------------------------------------------------


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def column(table: dict[str, dict[str, Number]], name: str, prefix: str = "") -> dict[str, float]:
    """A column of the paper's table, by our names of its rows."""
    return {row if row == "none" else f"{prefix}{row}": plain(cells[name]) for row, cells in table.items()}


def claim_row(claim: Claim, results: Results) -> list[str]:
    differences = claim.differences(results)
    summed = summary(differences)
    here = f"{summed.mean:+.2f} ± {summed.half_width:.2f}" if summed else ""
    published = "" if claim.published is None else f"{claim.published:+.2f}"
    return [claim.where, claim.text, published, here, str(len(differences)), f"**{verdict(differences)}**"]


def counted(results: Results) -> str:
    counts = Counter(verdict(claim.differences(results)) for claim in CLAIMS)
    order = ("holds", "does not hold", "cannot be told", "not run")
    return f"Of {len(CLAIMS)} claims: " + ", ".join(f"{name} {counts[name]}" for name in order) + "."


def measured(
    experiment: str,
    value: Value,
    quantity: str,
    results: Results,
    published: dict[str, float],
    base: Row | None = None,
) -> str:
    """An experiment's rows: what was measured, and its difference to the row without regularisation."""
    rows = list(dict.fromkeys(run.row for run in RUNS if run.experiment == experiment))
    base = base or (experiment, "none")
    classifies = value is ACCURACY
    header = ["", "Seeds", quantity, "Difference to none"]
    header += ["NLL", "Its difference"] if classifies else []
    header += ["Dropped, %", "CPU s a run"] + ["The paper's"] * bool(published)
    lines = []
    for row in rows:
        found = values(results, (experiment, row), value)
        if not found:
            lines.append([row, "not run", *[""] * (len(header) - 2)])
            continue
        line = [
            row,
            str(len(found)),
            with_error(list(found.values())),
            *difference(results, experiment, row, base, value, 2),
        ]
        if classifies:
            nll: Value = lambda metrics: metrics["nll"]  # noqa: E731
            line += [f"{np.mean(list(values(results, (experiment, row), nll).values())):.3f}"]
            line += difference(results, experiment, row, base, nll, 3)
        cpu = [result["cpu_seconds"] for (*key, _), result in results.items() if key == [experiment, row]]
        line += [dropped_shares(results, experiment, row), f"{np.mean(cpu):.0f}"]
        lines.append(line + [f"{published[row]:.2f}" if row in published else ""] * bool(published))
    return table(header, lines)


def with_error(numbers: list[float], digits: int = 2) -> str:
    """A mean and its standard error."""
    summed = summary(numbers)
    return f"{summed.mean:.{digits}f} ± {summed.error:.{digits}f}" if summed else f"{numbers[0]:.{digits}f}"


def difference(results: Results, row: Row, base: Row, value: Value, digits: int) -> str:
    pairs = list(paired(results, row, base, value).values()) if row != base else []
    summed = summary(pairs)
    return f"{summed.mean:+.{digits}f} ± {summed.error:.{digits}f}" if summed else ""


def dropped_shares(results: Results, experiment: str, row: str) -> str:
    """What was really dropped by the end, by place."""
    found = [result["metrics"]["dropped"] for (*key, _), result in results.items() if key == [experiment, row]]
    return ", ".join(f"{place} {100 * np.mean([shares[place] for shares in found]):.1f}" for place in found[0])


def spread_table(results: Results) -> str:
    kinds: dict[str, Callable[[str], Value]] = {
        "Area, %": lambda name: percent_of(name, "area"), "Entropy, %": lambda name: percent_of(name, "entropy"),
    }  # fmt: skip
    rows = []
    for row in ("none", "DropBlock, block 1", "DropBlock"):
        found = [list(values(results, ("Table 1", row), kind("activation_maps")).values()) for kind in kinds.values()]
        if found[0]:
            rows.append([row, str(len(found[0])), *map(with_error, found)])
    return table(["Trained with", "Seeds", *kinds], rows)


def percent_of(group: str, name: str) -> Value:
    return lambda metrics: percent(name)(metrics[group])


def cost(results: Results) -> str:
    planned = Counter(run.experiment for run in RUNS)
    rows = []
    for experiment, number in planned.items():
        spent = [result["cpu_seconds"] for key, result in results.items() if key[0] == experiment]
        rows.append([experiment, f"{len(spent)} of {number}", f"{sum(spent):,.0f}"])
    total = sum(result["cpu_seconds"] for result in results.values())
    rows.append(["all", f"{len(results)} of {len(RUNS)}", f"{total:,.0f}"])
    said = table(["Experiment", "Runs", "CPU s"], rows)
    if not results:
        return said
    machines = " and on ".join(sorted({result["machine"] for result in results.values()}))
    torch = ", ".join(sorted({result["versions"]["torch"] for result in results.values()}))
    dates = [result["date"] for result in results.values()]
    where = f"On {machines}; PyTorch {torch}; {' to '.join(sorted({min(dates), max(dates)}))}."
    return f"{said}\n\n{where} One thread a run, two runs at a time, beside other work: CPU seconds and not wall time."


# --- words ----------------------------------------------------------------------------------------------------------

INTRODUCTION = """\
Section 4 of the paper trains on ImageNet, COCO and PASCAL VOC for weeks of accelerator time. This page asks the same
questions of networks that a CPU trains in a minute, on Fashion-MNIST. It says which of the paper's claims show at this
size. It is no test of the claims at the paper's size.

`make experiments` makes the page: it runs what the [results file](experiments/results.jsonl) lacks, a run a line, and
draws the figures. The [list of runs](experiments/configurations.py), the [claims](experiments/claims.py) and the
[rule that decides them](experiments/statistics.py) were written before the first run. Nothing was chosen afterwards."""

RULE = f"""\
Each claim says that a difference is above 0. It is taken seed by seed between two rows, all with the same seeds and so
the same order of images. The interval is Student's t of the mean of these pairs. A claim **holds** if the interval lies
above 0, **does not hold** if it lies below 0, and **cannot be told** if it contains 0. With fewer than {ENOUGH} pairs
it was **not run**. One in twenty intervals misses what it estimates, so one or two of these verdicts may be chance.
Accuracy is that of the last epoch; the paper reports the best epoch. Elsewhere on this page ± is a standard error."""

ABOUT_CLASSIFICATION = f"""\
A residual network of a block a group, with maps of 14x14 in group 3 and 7x7 in group 4, as ResNet-50 has on ImageNet.
It is trained on the first {CLASSIFICATION["training_images"] // 10} images of each class for {CLASSIFICATION["epochs"]}
epochs, and tested on all 10,000 test images. DropBlock has block 7 and keep_prob 0.9 in groups 3 and 4, with skip
connections and a schedule, if a row does not say otherwise. "Dropped" is the share of units that was really dropped in
the last epoch. Eq. (1) drops less than 1 - keep_prob, since blocks overlap; group 3 has a quarter of the rate. NLL is
the negative log-likelihood of the test images: lower is better."""

ABOUT_FIG_5 = """\
The trained networks of Table 1, tested with DropBlock in groups 3 and 4. The paper writes that accuracy drops more
quickly for block 1 than for block 7. Its figure, and its conclusion from it, say the opposite, and so do these numbers.

The photographs come with scikit-image and scikit-learn. The network is EfficientNet-lite0, whose first class is taken
for the right one where its probability is above 0.3."""

ABOUT_FIG_6 = """\
Two numbers say how spread a map is: the share of units with at least half of its maximum, and its entropy as a share of
the largest possible. Maps are of the true class, without negative values, and have 7x7 units."""

ABOUT_CELLS = """\
Four cells of separable convolutions, pooling and skip connections, after NASNet. DropBlock comes after all norms and on
the skip connections of the last two, with block 7, the width of the last maps."""

ABOUT_DETECTION = f"""\
torchvision's RetinaNet with a ResNet-FPN of four blocks, from random weights, on {DETECTION["training_scenes"]} scenes
of 64x64 for {DETECTION["epochs"]} epochs. DropBlock is in groups 3 and 4 of the backbone. AP is COCO's."""

ABOUT_SEGMENTATION = f"""\
The same backbone with a head of three convolutions, from random weights, on {SEGMENTATION["training_scenes"]} scenes
for {SEGMENTATION["epochs"]} epochs. The head's maps have 16x16 units."""

LIMITS = """\
- Small networks underfit: there is less to regularise than in a ResNet-50 that trains for 270 epochs.
- keep_prob was not tuned for each method, as the paper tuned it for its baselines. Fig. 3 shows what it changes.
- AutoAugment's policy is that of ImageNet. Its changes of colour leave grey images as they are.
- Ten classes leave no use for a top-5 accuracy.
- On maps of 7x7, block 7 drops whole channels, which is SpatialDropout."""
