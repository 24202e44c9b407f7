"""What docs/experiments.md says is what the results file has, by the rule that was written before."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for package in ("matplotlib", "scipy", "sklearn"):
    pytest.importorskip(package)

from docs.examples.images import DATA  # noqa: E402  # after the skips
from docs.experiments import tables  # noqa: E402
from docs.experiments.__main__ import FIGURES_FOLDER, PAGE, runs_on  # noqa: E402
from docs.experiments.claims import ACCURACY, CLAIMS, DROPBLOCK, NONE  # noqa: E402
from docs.experiments.figures import FIGURES  # noqa: E402
from docs.experiments.page import written  # noqa: E402
from docs.experiments.pictures import PICTURES  # noqa: E402
from docs.experiments.results import RESULTS, Results, read  # noqa: E402
from docs.experiments.statistics import paired, summary, verdict  # noqa: E402

RUNS = runs_on("fashion-mnist", (), smoke=False)


@pytest.fixture(scope="module")
def committed() -> Results:
    return read(RESULTS, RUNS)


@pytest.fixture(scope="module")
def invented() -> Results:
    """A result for every run: seed s of the row of number r has s + r / 1000."""
    rows = list(dict.fromkeys(run.key[:2] for run in RUNS))
    results: Results = {}
    for run in RUNS:
        value = run.seed + rows.index(run.key[:2]) / 1000
        curves: Any = {block: [value + 0.1 * i for i in range(6)] for block in ("1", "7")}
        metrics: dict[str, Any] = {name: value for name in ("accuracy", "nll", "ap", "miou")}
        metrics |= {"dropped": {"group 4": value}, "inference": curves}
        metrics["activation_maps"] = {"area": value, "entropy": value}
        if run.experiment == "photographs":
            by_photograph = [[1.0, 0.5, 0.25, 0.0, 0.0], [1.0, 0.75, 0.5, 0.5, 0.5], [1.0, 0.5, 0.5, 0.25, 0.0]]
            metrics["inference"] = {b: {"kept": by_photograph, "probability": by_photograph} for b in ("1", "7")}
        results[run.key] = {
            "settings": run.settings, "metrics": metrics, "cpu_seconds": 10.0, "date": "2026-01-01", "machine": "one",
            "versions": {"torch": "2"},
        }  # fmt: skip
    return results


# --- the committed page ---------------------------------------------------------------------------------------------


def test_the_page_is_what_the_results_file_says(committed: Results) -> None:
    assert PAGE.read_text() == written(committed, {path.stem for path in FIGURES_FOLDER.glob("*.svg")})


@pytest.mark.parametrize("name", [*FIGURES, *PICTURES])
def test_a_figure_is_what_the_results_file_says(name: str, committed: Results, tmp_path: Path) -> None:
    if "photographs" in name or name == "fig_1":
        pytest.importorskip("skimage")
    if name in ("fig_6", "scenes") and not Path(DATA).is_dir():
        pytest.skip("Fashion-MNIST is not installed")
    {**FIGURES, **PICTURES}[name](committed, tmp_path / "new.svg")
    paths = tmp_path / "new.svg", FIGURES_FOLDER / f"{name}.svg"
    drawn, there = (path.read_text() if path.exists() else "" for path in paths)
    assert drawn == there
    assert len(there) < 200_000


# --- the rule -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        # Student's t of two degrees of freedom: 4.3027 standard errors, which are 1 / sqrt(3) here.
        ([1.485, 2.485, 3.485], "holds"),
        ([1.483, 2.483, 3.483], "cannot be told"),
        ([-1.483, -2.483, -3.483], "cannot be told"),
        ([-1.485, -2.485, -3.485], "does not hold"),
        ([1.0, 1.0, 1.0], "holds"),
        ([0.0, 0.0, 0.0], "cannot be told"),
        ([5.0, 5.1], "too few runs"),
        ([], "too few runs"),
    ],
)
def test_the_verdict_is_by_the_95_percent_interval(differences: list[float], expected: str) -> None:
    assert verdict(differences) == expected


def test_a_summary_is_of_the_textbook() -> None:
    assert summary([1.0]) is None
    summed = summary([1.0, 2.0, 3.0])
    assert summed is not None
    assert (summed.number, summed.mean) == (3, 2)
    assert summed.error == pytest.approx(1 / math.sqrt(3))
    assert summed.half_width == pytest.approx(4.302653 / math.sqrt(3))


def test_differences_are_taken_within_a_seed(invented: Results) -> None:
    """Rows 1 and 2: none and DropBlock. A seed's own part, which is much larger, cancels."""
    few = {key: result for key, result in invented.items() if key != (*NONE, 2)}
    assert paired(few, DROPBLOCK, NONE, ACCURACY) == pytest.approx({seed: 0.1 for seed in (0, 1, 3, 4)})


def test_every_claim_is_decided_once_all_has_run(invented: Results) -> None:
    assert len({(claim.where, claim.text) for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        assert len(claim.differences(invented)) >= 3, claim.text
        assert claim.differences({}) == [], claim.text
    few = f"too few runs {len(CLAIMS)}."
    assert tables.counts({}).endswith(few)
    assert tables.counts(invented).endswith("too few runs 0.")


def test_a_claim_about_photographs_is_block_1_less_block_7() -> None:
    [claim] = [claim for claim in CLAIMS if "how often the first class stays" in claim.text]
    kept = {"1": [[1, 1, 1], [1, 1, 0.5], [1, 0.5, 0.5]], "7": [[1, 0, 0], [1, 1, 0], [1, 0.5, 0.5]]}
    inference = {block: {"kept": values} for block, values in kept.items()}
    found: Any = {("photographs", "EfficientNet-lite0", 0): {"metrics": {"inference": inference}}}
    assert claim.differences(found) == [100, 25, 0]


# --- what is drawn and written of it --------------------------------------------------------------------------------


def test_what_was_not_run_is_said_and_not_drawn(tmp_path: Path) -> None:
    page = written({}, set())
    assert "Of 43 claims: holds 0, does not hold 0, cannot be told 0, too few runs 43." in page
    assert "Not run: none; DropBlock; DropBlock, block 1; dropout; " in page
    assert page.count("Not run") == 9 + 9  # the tables, and the figures
    assert ".svg" not in page
    assert "| all | 0 of 255 | 0 |" in page
    for name in ("fig_3", "fig_4", "fig_5", "fig_5_photographs", "fig_6", "fig_6_photographs"):
        {**FIGURES, **PICTURES}[name]({}, tmp_path / f"{name}.svg")
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_the_page_are_means_errors_and_paired_differences(invented: Results) -> None:
    """Five seeds of 100 s + r / 10 points: their mean is 200 + r / 10, their standard error sqrt(1 / 2) * 100."""
    page = written(invented, set())
    accuracy, nll = "200.20 ± 70.71 | +0.10 ± 0.00", "2.002 ± 0.707 | +0.001 ± 0.000"
    assert f"| DropBlock | 5 | {accuracy} | {nll} | group 4: 200.2 | 10 | 78.13 |" in page
    assert "| Table 1 | DropBlock improves accuracy. | +1.62 | +0.10 ± 0.00 | 5 | **holds** |" in page
    assert f"| all | 255 of 255 | {2550:,} |" in page
    few = written({key: result for key, result in invented.items() if key[-1] < 2}, set())
    assert "| Table 1 | DropBlock improves accuracy. | +1.62 |  | 2 | **too few runs** |" in few


def test_the_gains_are_drawn_where_they_are(invented: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    drawn = []
    errorbar = Axes.errorbar

    def noted(ax: Axes, x: float, y: float, **options: Any) -> Any:
        drawn.append((ax.get_title(loc="left"), y, x, options["xerr"]))
        return errorbar(ax, x, y, **options)

    monkeypatch.setattr(Axes, "errorbar", noted)
    FIGURES["gains"](invented, tmp_path / "gains.svg")
    assert len(drawn) == 9 + 1 + 4 + 6
    assert np.allclose([x for *_, x, _ in drawn[:9]], np.arange(1, 10) / 10)  # rows 1 to 9 less row 0, in points
    assert max(half_width for *_, half_width in drawn) < 1e-6
    drawn.clear()
    FIGURES["gains"]({key: result for key, result in invented.items() if key[-1] < 2}, tmp_path / "few.svg")
    assert drawn == []  # an interval of two says nothing


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_is_drawn_of_all_results(name: str, invented: Results, tmp_path: Path) -> None:
    FIGURES[name](invented, tmp_path / f"{name}.svg")
    text = (tmp_path / f"{name}.svg").read_text()
    assert text.startswith("<?xml")
    assert "DejaVu" in text  # letters as letters
