"""docs/experiments.md, whose every number comes from the results file or from the list of runs."""

from docs.experiments import tables
from docs.experiments.claims import ACCURACY, AP, MIOU, NONE
from docs.experiments.configurations import CLASSIFICATION, DETECTION, SEGMENTATION
from docs.experiments.published import TABLE_1, TABLE_2, TABLE_3, TABLE_4
from docs.experiments.results import Results
from docs.experiments.statistics import ENOUGH
from docs.experiments.tables import column


def written(results: Results, drawn: set[str]) -> str:
    """The page, with those figures that were drawn."""

    def figure(name: str, text: str) -> str:
        return f"![{text}](experiments/figures/{name}.svg)" if name in drawn else f"{text} Not run."

    def of_images(experiment: str, base: tuple[str, str], published: dict[str, float] | None = None) -> str:
        return tables.rows(results, experiment, ACCURACY, "Accuracy, %", base, published or {})

    def of_scenes(experiment: str, value: tables.Value, quantity: str, published: dict[str, float]) -> str:
        return tables.rows(results, experiment, value, quantity, (experiment, "none"), published)

    sections = [
        "# The paper in miniature",
        INTRODUCTION,
        figure("fig_1", "Fig. 1: a photograph, with units dropped one by one, and by DropBlock."),
        "## What came out",
        tables.counts(results),
        tables.claims(results),
        RULE,
        figure("gains", "What each method gains over none, in Tables 1 to 4, beside what the paper reports."),
        "## Table 1: methods that regularise",
        ABOUT_CLASSIFICATION,
        of_images("Table 1", NONE, column(TABLE_1, "top-1")),
        "### Trained three times longer",
        of_images("longer", ("longer", "none")),
        "## Fig. 3: keep_prob",
        figure("fig_3", "Accuracy over keep_prob, and over the share that was really dropped."),
        of_images("Fig. 3", NONE),
        "## Fig. 4: where, and in which blocks",
        figure("fig_4", "Accuracy over block_size, for two sets of groups and three ways to apply DropBlock."),
        of_images("Fig. 4", NONE),
        of_images("Fig. 4, other blocks", NONE),
        "## Fig. 5: DropBlock at inference",
        ABOUT_FIG_5,
        figure(
            "fig_5", "Accuracy with DropBlock at inference, of networks trained without it, with block 1 and block 7."
        ),
        ABOUT_PHOTOGRAPHS,
        figure("fig_5_photographs", "The same of a network with ImageNet's weights, on photographs."),
        "## Fig. 6: class activation maps",
        ABOUT_FIG_6,
        tables.spread(results),
        figure("fig_6", "Class activation maps of six test images, by networks trained without and with DropBlock."),
        figure("fig_6_photographs", "Class activation maps of photographs, by a network with ImageNet's weights."),
        "## Table 2: cells",
        ABOUT_CELLS,
        of_images("Table 2", ("Table 2", "none"), column(TABLE_2, "top-1")),
        "## Table 3: detection",
        ABOUT_DETECTION,
        figure("scenes", "Four test scenes: above with the boxes to find, below with the labels of their pixels."),
        of_scenes("Table 3", AP, "AP, %", column(TABLE_3, "AP")),
        "## Table 4: segmentation",
        ABOUT_SEGMENTATION,
        of_scenes("Table 4", MIOU, "mIOU, %", column(TABLE_4, "mIOU", "head, keep_prob 0.2, ")),
        "## What it cost",
        tables.cost(results),
        tables.where_and_when(results),
        ABOUT_COST,
        "## What this does not say",
        LIMITS,
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


# --- words ----------------------------------------------------------------------------------------------------------

INTRODUCTION = """\
Section 4 of the paper trains on ImageNet, COCO and PASCAL VOC for weeks of accelerator time. This page asks the same
questions of networks that a CPU trains in a minute, on Fashion-MNIST. It says which of the paper's claims show at this
size. It is no test of the claims at the paper's size.

`make experiments` makes the page: it runs what the [results file](experiments/results.jsonl) lacks, a run a line, and
draws the figures. The [list of runs](experiments/configurations.py), the [claims](experiments/claims.py) and the
[rule that decides them](experiments/statistics.py) were written before the first result. Nothing was chosen after."""

RULE = f"""\
Each claim says that a difference is above 0, in points of percent. It is taken seed by seed between two rows, whose
networks begin with the same weights; on photographs it is taken photograph by photograph. The interval is Student's t
of the mean of these pairs. A claim **holds** if the interval lies above 0, **does not hold** if it lies below 0, and
**cannot be told** if it contains 0. With fewer than {ENOUGH} pairs there are **too few runs**. One in twenty intervals
misses what it estimates, so one or two of these verdicts may be chance. Accuracy is that of the last epoch; the paper
reports the best epoch. In the tables below ± is a standard error."""

ABOUT_CLASSIFICATION = f"""\
A residual network of a block a group, with maps of 14x14 in group 3 and 7x7 in group 4, as ResNet-50 has on ImageNet.
It is trained on the first {CLASSIFICATION["training_images"] // 10} images of each class for {CLASSIFICATION["epochs"]}
epochs, and tested on all 10,000 test images. DropBlock has block 7 and keep_prob 0.9 in groups 3 and 4, with skip
connections and a schedule, if a row does not say otherwise. Differences are to "none", seed by seed. "Dropped" is the
share of units that was really dropped in the last epoch. Eq. (1) drops less than 1 - keep_prob, since blocks overlap;
group 3 has a quarter of the rate. NLL is the negative log-likelihood of the test images: lower is better."""

ABOUT_FIG_5 = """\
The trained networks of Table 1, tested with DropBlock in groups 3 and 4. The paper writes that accuracy drops more
quickly for block 1 than for block 7. Its figure, and its conclusion from it, say the opposite, which is the claim
above."""

ABOUT_PHOTOGRAPHS = """\
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

ABOUT_COST = """\
A run has one thread, and two ran at a time beside other work. So these are CPU seconds, not wall time, and more of them
than on an idle machine."""

LIMITS = """\
- A gain here, or none, says little about ResNet-50 on ImageNet: the networks, the images and the training are small.
- keep_prob was not tuned for each method, as the paper tuned it for its baselines. Fig. 3 shows what it changes.
- Each row of Table 1 changes one thing. Settings that suit one method best may not suit another.
- AutoAugment's policy is that of ImageNet. Its changes of colour leave grey images as they are.
- Ten classes leave no use for a top-5 accuracy.
- On maps of 7x7, block 7 drops whole channels, which is SpatialDropout."""
