"""What the README says: its snippets run, and its tables are the exact law, the matrix and what was measured."""

import re
import tomllib
from pathlib import Path

import pytest

from dropblock_core import expected_keep, gamma
from tests.docs.test_docs import run_snippets, said_lines, seeds_on_whole_map
from tests.shared.generated import read_generated

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MATRIX = (ROOT / "docs" / "matrix.md").read_text()
PERFORMANCE = ROOT / "docs" / "performance.md"


def table(text: str, first: str) -> list[list[str]]:
    """The cells of the table whose heading begins with `first`, row by row."""
    rows = text.split(f"\n| {first} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


# PyTorch's own modules warn so when its compiler is first imported.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_snippets_run_and_print_what_they_say() -> None:
    for package in ("torch", "jax", "tensorflow", "keras", "triton"):  # Triton first: TensorFlow brings an LLVM too
        pytest.importorskip(package)
    *summary, keeps, calibrated = run_snippets(README).splitlines()
    assert "DropBlock2d" in "".join(summary)
    assert [keeps, calibrated] == said_lines(README)[-2:] == ["0.9071", "0.9000"]


OF_MATRIX = {"miguelvr's `dropblock`": "miguelvr", "MMDetection": "mmdet", "KerasCV": "keras-cv"}  # other names here
# How a verdict of the matrix begins, by the first word of the README's.
VERDICTS = {"conforms": "conforms", "wrong:": "deviates", "wrong": "deviates", "the": "the paper's"}
# Gamma of those with seeds on the whole map, by the side of the map.
ON_WHOLE_MAP = {
    "timm": lambda feat: gamma(0.9, 7, feat),
    "pylocron": lambda feat: 0.1 / 7**4,
    "miguelvr": lambda feat: 0.1 / 7**2,
}


def test_the_table_of_layers_is_the_exact_law_and_the_matrix() -> None:
    drops = {cells[0].split("](")[0].strip("["): cells[1] for cells in table(MATRIX, "implementation | drops")}
    judged = {name: f"{verdict}: {worst}" for name, verdict, worst, _ in table(MATRIX, "implementation | verdict")}
    ours, *theirs = table(README, "Layer | drops of 7x7")
    rows = [([name for name in drops if judged[name].startswith("conforms")], ours)]
    rows += [([OF_MATRIX.get(name, name) for name in cells[0].split(", ")], cells) for cells in theirs]
    for names, (_, of_7, of_14, verdict) in rows:
        for feat, said in ((7, of_7), (14, of_14)):
            if names[0] in ON_WHOLE_MAP:
                law = seeds_on_whole_map(ON_WHOLE_MAP[names[0]](feat), 7, feat)
            else:
                law = 1 - expected_keep(gamma(0.9, 7, feat), 7, feat)
            assert said.strip("*") == f"{100 * law:.{1 if law > 0.01 else 2}f}%", (names, feat)
        for name in names:
            assert drops[name] == f"{100 * law:.{0 if law > 0.01 else 1}f}%", name
            assert judged[name].startswith(VERDICTS[verdict.split()[0]]), name
            assert set(re.findall(r"[\d.]+%", verdict)) <= set(re.findall(r"[\d.]+%", judged[name]))
    judged_all = {name for name, share in drops.items() if share}
    assert judged_all - {"timm-per-channel"} == {name for names, _ in rows for name in names}


def measured(command: str, direction: str) -> dict[str, str]:
    """What a command of `make bench` found for its first activations, by the headings of its table."""
    text = "\n" + read_generated(PERFORMANCE, f"make bench {command}")
    [headings] = re.findall(r"^\| Activations \|(.*)\|$", text, re.MULTILINE)
    rows = table(text, "Activations")
    assert rows[0][0] == "[32, 1024, 14, 14], block 7, keep_prob 0.9"
    found = next(cells[1:] for cells in rows if cells[1] == direction)
    return dict(zip([heading.strip() for heading in headings.split("|")], found, strict=True))


def test_the_table_of_speed_is_what_was_measured() -> None:
    both = "forward + backward"
    kinds = {
        "PyTorch": measured("torch", both),
        "JAX, jit": measured("jax", both),
        "TensorFlow, XLA": measured("tf", f"XLA, {both}"),
        "TensorFlow, graph": measured("tf", f"graph, {both}"),
        "NumPy, forward": measured("numpy", "forward"),
    }
    said = {cells[0]: cells[1:] for cells in table(README, "With | Time")}
    assert said.keys() == kinds.keys()
    for kind, (time, floors, others) in said.items():
        found = kinds[kind]
        assert [time, floors] == [found.pop("Time"), found.pop("/ floor")], kind
        for other in others.split(", "):
            names = [name for name in found if name.split()[0].lower() in other.lower()]
            assert [found[name] for name in names] == re.findall(r"^\d+\.\d+", other), other


def test_what_the_readme_installs_is_an_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"\[(\w+)\](?=[',]| for|;)", README)) <= extras.keys()
