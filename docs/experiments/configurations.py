"""Every run, in the order of its worth. The list was written before the first result; all have the same seeds.

A run is named by the experiment it belongs to and by its row; its settings are all that it depends on.
"""

from dataclasses import dataclass
from typing import Any

Settings = dict[str, Any]


@dataclass(frozen=True)
class Run:
    experiment: str
    row: str
    settings: Settings

    @property
    def seed(self) -> int:
        return self.settings["seed"]

    @property
    def key(self) -> tuple[str, str, int]:
        return self.experiment, self.row, self.seed

    @property
    def name(self) -> str:
        return f"{self.experiment}, {self.row}, seed {self.seed}"


# --- classification -------------------------------------------------------------------------------------------------

# 20 epochs, the first 400 images of a class, no augmentation of its own.
CLASSIFICATION: Settings = {
    "training_images": 4000, "test_images": 10_000, "epochs": 20, "batch_size": 50, "learning_rate": 0.1,
    "weight_decay": 5e-4, "method": "none", "keep_prob": 1.0, "block_size": 7, "groups": [3, 4], "skip": True,
    "scheduled": True, "augmentation": "none", "cutout_size": 12, "label_smoothing": 0.0, "analysis": 0,
}  # fmt: skip
DROPBLOCK: Settings = {"method": "DropBlock", "keep_prob": 0.9}
SMOOTHING: Settings = {"label_smoothing": 0.1}
ANALYSED: Settings = {"analysis": 2000}  # of Fig. 5 and 6, on so many test images

# keep_prob as the paper's Table 1 has it. On this network dropout at 0.7 is one value of Fig. 3 among others.
FIRST: dict[str, Settings] = {
    "none": {**ANALYSED},
    "DropBlock": {**DROPBLOCK, **ANALYSED},
    "DropBlock, block 1": {**DROPBLOCK, "block_size": 1, **ANALYSED},
}
TABLE_1: dict[str, Settings] = {
    **FIRST,
    "dropout": {"method": "dropout", "keep_prob": 0.7},
    "DropPath": {"method": "DropPath", "keep_prob": 0.9, "groups": [4]},
    "SpatialDropout": {"method": "SpatialDropout", "keep_prob": 0.9},
    "Cutout": {"augmentation": "Cutout"},
    "AutoAugment": {"augmentation": "AutoAugment"},
    "label smoothing": {**SMOOTHING},
    "DropBlock + label smoothing": {**DROPBLOCK, **SMOOTHING},
}
# Fig. 4's panels: the groups, then the branch, the skip too, the schedule too. The last of groups 3 and 4 with block 7
# or 1 is in Table 1.
BRANCH: Settings = {**DROPBLOCK, "skip": False, "scheduled": False}
SKIP: Settings = {**DROPBLOCK, "scheduled": False}
FIG_4: dict[str, Settings] = {
    "groups 3 and 4, scheduled, block 3": {**DROPBLOCK, "block_size": 3},
    "groups 3 and 4, scheduled, block 5": {**DROPBLOCK, "block_size": 5},
    "groups 3 and 4, branch, block 7": BRANCH,
    "groups 3 and 4, skip, block 7": SKIP,
    "group 4, branch, block 7": {**BRANCH, "groups": [4]},
    "group 4, skip, block 7": {**SKIP, "groups": [4]},
    "group 4, scheduled, block 7": {**DROPBLOCK, "groups": [4]},
}
FIG_4_REST: dict[str, Settings] = {
    f"{place}, {how}, block {block_size}": {**settings, "groups": groups, "block_size": block_size}
    for place, groups in {"groups 3 and 4": [3, 4], "group 4": [4]}.items()
    for how, settings in {"branch": BRANCH, "skip": SKIP, "scheduled": DROPBLOCK}.items()
    for block_size in (1, 3, 5)
    if (place, how) != ("groups 3 and 4", "scheduled")
}
FIG_3: dict[str, Settings] = {
    f"{method}, {how}, keep_prob {keep_prob}": {
        "method": method, "keep_prob": keep_prob, "scheduled": how == "scheduled", "skip": method == "DropBlock",
    }
    for keep_prob in (0.95, 0.8, 0.7, 0.5, 0.9)
    for method, how in (
        ("DropBlock", "scheduled"), ("dropout", "scheduled"), ("DropBlock", "fixed"), ("SpatialDropout", "scheduled"),
    )
    # These three are in Table 1 and Fig. 4.
    if (method, how, keep_prob)
    not in (
        ("DropBlock", "scheduled", 0.9), ("dropout", "scheduled", 0.7), ("SpatialDropout", "scheduled", 0.9),
        ("DropBlock", "fixed", 0.9),
    )
}  # fmt: skip
# The paper trains three times longer than is common, and says that DropBlock needs it.
LONGER: dict[str, Settings] = {"none": {"epochs": 60}, "DropBlock": {**DROPBLOCK, "epochs": 60}}

# NASNet-like cells. The block is as wide as the last maps, as the paper's 11 is.
CELLS: dict[str, Settings] = {"none": {}, "DropBlock": {"keep_prob": 0.9}}

# --- scenes ---------------------------------------------------------------------------------------------------------

SEGMENTATION: Settings = {
    "training_scenes": 200, "test_scenes": 400, "epochs": 60, "batch_size": 10, "learning_rate": 0.05,
    "weight_decay": 1e-4, "place": "head", "keep_prob": 1.0, "block_size": 1, "scheduled": True,
}  # fmt: skip
# The maps of the head are 16x16: block 16 covers them, block 4 is a quarter of their side.
TABLE_4: dict[str, Settings] = {
    "none": {},
    **{f"head, keep_prob 0.2, block {b}": {"keep_prob": 0.2, "block_size": b} for b in (1, 4, 16)},
    "head, keep_prob 0.9, block 4": {"keep_prob": 0.9, "block_size": 4},
    **{f"backbone, keep_prob 0.9, block {b}": {"place": "backbone", "keep_prob": 0.9, "block_size": b} for b in (1, 4)},
}
DETECTION: Settings = {
    "training_scenes": 300, "test_scenes": 200, "epochs": 40, "batch_size": 10, "learning_rate": 0.02,
    "weight_decay": 1e-4, "clip": 5.0, "keep_prob": 1.0, "block_size": 1, "scheduled": True,
}  # fmt: skip
TABLE_3: dict[str, Settings] = {
    "none": {},
    **{f"block {b}": {"keep_prob": 0.9, "block_size": b} for b in (1, 3, 5, 7)},
}

# Fig. 5 and 6 of a network with ImageNet's weights. Nothing is trained, so its one seed is for the masks.
PHOTOGRAPHS: dict[str, Settings] = {"EfficientNet-lite0": {"draws": 8}}


def of(experiment: str, rows: dict[str, Settings], base: Settings, seeds: range) -> list[Run]:
    """All rows of a seed before the next, so that what has run so far compares them all."""
    return [Run(experiment, row, {**base, **own, "seed": seed}) for seed in seeds for row, own in rows.items()]


RUNS: list[Run] = [
    *of("photographs", PHOTOGRAPHS, {}, range(1)),
    *of("Table 1", FIRST, CLASSIFICATION, range(3)),
    *of("Table 1", {row: own for row, own in TABLE_1.items() if row not in FIRST}, CLASSIFICATION, range(3)),
    *of("Table 1", TABLE_1, CLASSIFICATION, range(3, 5)),
    *of("Table 4", TABLE_4, SEGMENTATION, range(3)),
    *of("Fig. 4", FIG_4, CLASSIFICATION, range(3)),
    *of("Table 3", TABLE_3, DETECTION, range(3)),
    *of("Table 4", TABLE_4, SEGMENTATION, range(3, 5)),
    *of("Table 2", CELLS, CLASSIFICATION, range(3)),
    *of("Fig. 3", FIG_3, CLASSIFICATION, range(3)),
    *of("Fig. 4", FIG_4, CLASSIFICATION, range(3, 5)),
    *of("longer", LONGER, CLASSIFICATION, range(5)),
    *of("Table 3", TABLE_3, DETECTION, range(3, 5)),
    *of("Fig. 4, other blocks", FIG_4_REST, CLASSIFICATION, range(3)),
]

# The same code on little: what a test can wait for.
SMOKE: Settings = {
    "training_images": 40, "test_images": 100, "epochs": 2, "batch_size": 4, "training_scenes": 24,
    "test_scenes": 10, "draws": 1, "analysis": 50,
}  # fmt: skip


def small(run: Run) -> Run:
    """The run at smoke size."""
    shrunk = {key: SMOKE[key] for key, value in run.settings.items() if key in SMOKE and value}
    return Run(run.experiment, run.row, {**run.settings, **shrunk})
