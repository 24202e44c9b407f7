"""What section 4 of the paper claims, each as a difference that should be above 0. Written before the first result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from docs.experiments.published import TABLE_1, TABLE_2, TABLE_3, TABLE_4, Number
from docs.experiments.results import Results
from docs.experiments.statistics import Row, Value, paired

NONE, DROPBLOCK, BLOCK_1 = ("Table 1", "none"), ("Table 1", "DropBlock"), ("Table 1", "DropBlock, block 1")


@dataclass(frozen=True)
class Claim:
    """`differences` are in `unit`, one a seed (of photographs: one a photograph)."""

    where: str
    text: str
    differences: Callable[[Results], list[float]]
    published: float | None = None  # the paper's own difference
    unit: str = "points"


def percent(name: str) -> Value:
    return lambda metrics: 100 * metrics[name]


ACCURACY = percent("accuracy")


def gain(row: Row, other: Row, value: Value = ACCURACY) -> Callable[[Results], list[float]]:
    return lambda results: list(paired(results, row, other, value).values())


def plain(number: Number) -> float:
    return number[0] if isinstance(number, tuple) else number


def printed(table: dict[str, dict[str, Number]], row: str, other: str, column: str) -> float:
    """The paper's difference between two rows."""
    return round(plain(table[row][column]) - plain(table[other][column]), 2)


# --- Table 1 --------------------------------------------------------------------------------------------------------


def of_table_1(row: str, other: str, text: str) -> Claim:
    difference = printed(TABLE_1, row, other, "top-1")
    return Claim("Table 1", text, gain(("Table 1", row), ("Table 1", other)), difference)


OTHERS = [name for name in TABLE_1 if "DropBlock" not in name and name != "none"]
NO_GAIN = gain(NONE, ("Table 1", "Cutout"))
IN_TABLE_1 = [
    of_table_1("DropBlock", "none", "DropBlock improves accuracy."),
    *(of_table_1("DropBlock", other, f"DropBlock is better than {other}.") for other in OTHERS),
    *(
        of_table_1(other, "none", f"{other[0].upper()}{other[1:]} improves accuracy.")
        for other in OTHERS
        if other != "Cutout"
    ),
    Claim("Table 1", "Cutout does not improve accuracy.", NO_GAIN, -printed(TABLE_1, "Cutout", "none", "top-1")),
    of_table_1("SpatialDropout", "dropout", "SpatialDropout is better than dropout."),
    of_table_1("DropBlock + label smoothing", "DropBlock", "Label smoothing adds to DropBlock."),
    of_table_1("DropBlock + label smoothing", "label smoothing", "DropBlock adds to label smoothing."),
]

# --- Fig. 3 and 4 ---------------------------------------------------------------------------------------------------

KEEP_PROBS = (0.5, 0.7, 0.8, 0.9, 0.95)


def of_sweep(method: str, how: str, keep_prob: float) -> Row:
    """The row of a point of Fig. 3, which may be in Table 1 or Fig. 4."""
    elsewhere: dict[tuple[str, str, float], Row] = {
        ("DropBlock", "scheduled", 0.9): DROPBLOCK,
        ("dropout", "scheduled", 0.7): ("Table 1", "dropout"),
        ("SpatialDropout", "scheduled", 0.9): ("Table 1", "SpatialDropout"),
        ("DropBlock", "fixed", 0.9): ("Fig. 4", "groups 3 and 4, skip, block 7"),
    }
    return elsewhere.get((method, how, keep_prob), ("Fig. 3", f"{method}, {how}, keep_prob {keep_prob}"))


def of_panel(groups: str, how: str, block_size: int) -> Row:
    """The row of a point of Fig. 4."""
    if (groups, how) == ("groups 3 and 4", "scheduled") and block_size in (1, 7):
        return DROPBLOCK if block_size == 7 else BLOCK_1
    in_first = block_size == 7 or (groups, how) == ("groups 3 and 4", "scheduled")
    return ("Fig. 4" if in_first else "Fig. 4, other blocks"), f"{groups}, {how}, block {block_size}"


def over_sweep(first: tuple[str, str], other: tuple[str, str]) -> Callable[[Results], list[float]]:
    """The mean over keep_prob, for the seeds that have all of it."""

    def differences(results: Results) -> list[float]:
        points = [paired(results, of_sweep(*first, p), of_sweep(*other, p), ACCURACY) for p in KEEP_PROBS]
        seeds = set.intersection(*(set(point) for point in points))
        return [float(np.mean([point[seed] for point in points])) for seed in sorted(seeds)]

    return differences


BOTH = "groups 3 and 4"
IN_FIGURES_3_AND_4 = [
    Claim(
        "Fig. 3",
        "Over keep_prob from 0.5 to 0.95, DropBlock is better than dropout.",
        over_sweep(("DropBlock", "scheduled"), ("dropout", "scheduled")),
    ),
    Claim(
        "Fig. 3",
        "Over keep_prob from 0.5 to 0.95, a schedule is better than a fixed value.",
        over_sweep(("DropBlock", "scheduled"), ("DropBlock", "fixed")),
    ),
    Claim("Fig. 4", "Block 7 is better than block 1.", gain(DROPBLOCK, BLOCK_1)),
    Claim("Fig. 4", "Groups 3 and 4 are better than group 4.", gain(DROPBLOCK, of_panel("group 4", "scheduled", 7))),
    Claim(
        "Fig. 4",
        "Skip connections too are better than branches alone.",
        gain(of_panel(BOTH, "skip", 7), of_panel(BOTH, "branch", 7)),
    ),
    Claim(
        "Fig. 4",
        "At keep_prob 0.9, a schedule is better than a fixed value.",
        gain(DROPBLOCK, of_panel(BOTH, "skip", 7)),
    ),
]

# --- Fig. 5 and 6 ---------------------------------------------------------------------------------------------------


def under(block_size: int) -> Value:
    """The mean accuracy with DropBlock at inference, over the values of keep_prob below 1."""
    return lambda metrics: 100 * float(np.mean(metrics["inference"][str(block_size)][1:]))


def spread_by(name: str) -> Value:
    return lambda metrics: 100 * metrics["activation_maps"][name]


def of_photographs(name: str) -> Callable[[Results], list[float]]:
    """Block 1 less block 7, over the values of keep_prob below 1, by photograph."""

    def differences(results: Results) -> list[float]:
        found = results.get(("photographs", "EfficientNet-lite0", 0))
        if found is None:
            return []
        by_block: dict[str, Any] = found["metrics"]["inference"]
        one, seven = (100 * np.array(by_block[block][name])[:, 1:].mean(1) for block in ("1", "7"))
        return list(map(float, one - seven))

    return differences


IN_FIGURES_5_AND_6 = [
    Claim(
        "Fig. 5",
        "At inference, block 7 costs a network that was trained without DropBlock more than block 1.",
        lambda results: list(paired(results, NONE, NONE, under(1), under(7)).values()),
    ),
    Claim(
        "Fig. 5",
        "With ImageNet's weights too, on photographs: how probable the first class is.",
        of_photographs("probability"),
    ),
    Claim(
        "Fig. 5",
        "With ImageNet's weights too, on photographs: how often the first class stays.",
        of_photographs("kept"),
    ),
    Claim(
        "Fig. 5 (a)",
        "With block 1 at inference, training with block 7 is better than with block 1.",
        gain(DROPBLOCK, BLOCK_1, under(1)),
    ),
    Claim(
        "Fig. 5 (b)",
        "With block 7 at inference, training with block 7 is better than with block 1.",
        gain(DROPBLOCK, BLOCK_1, under(7)),
    ),
    Claim(
        "Fig. 5 (a)",
        "With block 1 at inference, training with block 1 is better than without.",
        gain(BLOCK_1, NONE, under(1)),
    ),
    Claim(
        "Fig. 6",
        "Class activation maps are more spread with block 7 than without: area.",
        gain(DROPBLOCK, NONE, spread_by("area")),
    ),
    Claim(
        "Fig. 6",
        "Class activation maps are more spread with block 7 than without: entropy.",
        gain(DROPBLOCK, NONE, spread_by("entropy")),
    ),
]

# --- Tables 2 to 4 --------------------------------------------------------------------------------------------------

AP, MIOU = percent("ap"), percent("miou")
HEAD = "head, keep_prob 0.2, block"
AT_09 = "keep_prob 0.9, block 4"


def of_table_3(row: str, other: str, text: str) -> Claim:
    return Claim("Table 3", text, gain(("Table 3", row), ("Table 3", other), AP), printed(TABLE_3, row, other, "AP"))


def of_table_4(row: str, other: str, text: str, published: float | None) -> Claim:
    return Claim("Table 4", text, gain(("Table 4", row), ("Table 4", other), MIOU), published)


IN_TABLES_2_TO_4 = [
    Claim(
        "Table 2",
        "DropBlock in the last half of the cells improves accuracy.",
        gain(("Table 2", "DropBlock"), ("Table 2", "none")),
        printed(TABLE_2, "DropBlock", "none", "top-1"),
    ),
    *(of_table_3(f"block {b}", "none", f"In the backbone, block {b} improves AP.") for b in (1, 3, 5, 7)),
    of_table_3("block 5", "block 1", "Block 5 is better than block 1."),
    *(
        of_table_4(
            f"{HEAD} {b}",
            "none",
            f"In the head, keep_prob 0.2 and block {b} improve mIOU.",
            printed(TABLE_4, f"block {b}", "none", "mIOU"),
        )
        for b in (1, 4, 16)
    ),
    of_table_4(
        f"{HEAD} 16", f"{HEAD} 1", "Block 16 is better than block 1.", printed(TABLE_4, "block 16", "block 1", "mIOU")
    ),
    of_table_4(f"head, {AT_09}", f"backbone, {AT_09}", "DropBlock does more in the head than in the backbone.", None),
    of_table_4(f"backbone, {AT_09}", "none", "In the backbone, keep_prob 0.9 and block 4 improve mIOU.", None),
]


def gain_of_longer(results: Results) -> list[float]:
    long = paired(results, ("longer", "DropBlock"), ("longer", "none"), ACCURACY)
    short = paired(results, DROPBLOCK, NONE, ACCURACY)
    return [long[seed] - short[seed] for seed in sorted(long.keys() & short.keys())]


LONGER = Claim(
    "Section 4.1", "DropBlock gains more from training three times longer than no regulariser does.", gain_of_longer
)

CLAIMS = [*IN_TABLE_1, *IN_FIGURES_3_AND_4, *IN_FIGURES_5_AND_6, *IN_TABLES_2_TO_4, LONGER]
