"""What the documents promise: their snippets run, their numbers come out, the names they cite exist."""

import ast
import os
import re
import runpy
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dropblock_conformance.checks import all_checks
from dropblock_conformance.cli import main
from dropblock_conformance.judging.profile import PROFILES
from dropblock_core import expected_keep, gamma
from tests.calibrate import DOCUMENT
from tests.conformance.support import PROFILES_OF_TESTS
from tests.mutants import MUTANTS, WILD
from tests.mutants.variants import VARIANTS, WRONG
from tests.shared.generated import read_generated

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "masks.svg"
README = (ROOT / "README.md").read_text()
SPEC = (ROOT / "docs" / "spec.md").read_text()
STATISTICS = (ROOT / "docs" / "statistics.md").read_text()
PYTORCH = (ROOT / "docs" / "pytorch.md").read_text()
JAX = (ROOT / "docs" / "jax.md").read_text()
TENSORFLOW = (ROOT / "docs" / "tensorflow.md").read_text()
KERAS = (ROOT / "docs" / "keras.md").read_text()
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")])


def snippets(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run_snippets(text: str) -> str:
    """Run a document's Python blocks in order, as one program, and return what they print."""
    printed, names = StringIO(), {"__name__": "snippets"}
    with redirect_stdout(printed):
        for block in snippets(text):
            exec(block, names)
    return printed.getvalue()


def said_lines(text: str) -> list[str]:
    """What a document's print statements print: the comments after them, and blocks of text that follow them."""
    said = re.findall(r"^ *print\(.*\)  # (.+)$|^```\n\n```text\n([^`]*)\n```$", text, re.MULTILINE)
    return "\n".join(comment or block for comment, block in said).splitlines()


def test_the_readmes_picture_is_what_its_script_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    pictures = runpy.run_path(str(ROOT / "docs" / "pictures.py"))
    monkeypatch.setitem(pictures["main"].__globals__, "PICTURE", tmp_path / "masks.svg")
    pictures["main"]()
    # The drawing of letters is Matplotlib's affair.
    shapes = [re.findall(r"<image.*?/>", path.read_text(), re.DOTALL) for path in (tmp_path / "masks.svg", PICTURE)]
    assert shapes[0] == shapes[1]
    assert len(shapes[0]) == 3


# The page's own profile takes a minute; a wider margin finds the same in seconds.
@pytest.mark.parametrize("profile", ["tiny", pytest.param("quick", marks=pytest.mark.exhaustive)])
def test_certify_your_own_says_what_it_finds(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setitem(PROFILES, "quick", {**PROFILES, **PROFILES_OF_TESTS}[profile])
    printed = run_snippets((ROOT / "docs" / "certify-your-own.md").read_text())
    first, *lines = printed.splitlines()
    assert first == "does not conform"
    assert lines[-1] == "True False"
    for check in ("mask.blocks", "law.paper", "values.dropped_zero"):
        assert any(line.startswith(f"{check} - ") for line in lines)
    assert "unit (6, 6)" in (paper := next(line for line in lines if line.startswith("law.paper")))
    assert "effect -67" in paper


# PyTorch's own modules warn so when its compiler is first imported.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_pytorch_snippets_run_and_print_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision

    import_torchvision()
    monkeypatch.chdir(tmp_path)
    assert run_snippets(PYTORCH).splitlines() == said_lines(PYTORCH)


def test_jax_snippets_run_and_print_what_they_say() -> None:
    for package in ("equinox", "flax", "jax", "optax", "torch"):
        pytest.importorskip(package)
    assert run_snippets(JAX).splitlines() == said_lines(JAX)


def test_tensorflow_snippets_run_and_print_what_they_say() -> None:
    pytest.importorskip("tensorflow")
    assert run_snippets(TENSORFLOW).splitlines() == said_lines(TENSORFLOW)


def keras_on(backend: str, folder: Path, *blocks: str) -> list[str]:
    """Run blocks as one program in `folder`, in a process of its own, since Keras has one backend in each."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1", "XLA_FLAGS": ""}
    command = [sys.executable, "-c", "\n".join(blocks)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.splitlines()


# What the document's own program leaves to those that serve its model, and how they start and end.
LEAVE = "np.savez('served.npz', images=images, scores=scores)"
WITHOUT_US = """
import sys

class Missing:
    def find_spec(self, name, *others):
        if name.startswith("dropblock"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import numpy as np
images, expected = np.load("served.npz").values()
"""
# Sums of 27 products, 196 values and 64 products, all below 10, at an error of 2^-24 each: 2e-4.
SAME_SCORES = "np.testing.assert_allclose(scores, expected, rtol=0, atol=2e-4); print('served')"


KERAS_HERE = [block for block in snippets(KERAS) if not block.startswith("# Elsewhere")]


def test_keras_snippets_run_and_print_what_they_say(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    assert keras_on("torch", tmp_path, *KERAS_HERE) == said_lines(KERAS)


# Three processes each.
@pytest.mark.exhaustive
@pytest.mark.parametrize(("backend", "other"), [("torch", "tensorflow"), ("tensorflow", "jax"), ("jax", "torch")])
def test_a_model_of_the_keras_snippets_is_served_elsewhere(backend: str, other: str, tmp_path: Path) -> None:
    pytest.importorskip("keras")
    plain, saved_model, stand_in = (block for block in snippets(KERAS) if block.startswith("# Elsewhere"))
    assert keras_on(backend, tmp_path, *KERAS_HERE, LEAVE) == said_lines(KERAS)

    assert keras_on(other, tmp_path, WITHOUT_US, plain, SAME_SCORES, stand_in, SAME_SCORES) == ["served"] * 2
    if backend == "torch":
        saved_model = """
from onnx.reference import ReferenceEvaluator
served = ReferenceEvaluator("served.onnx")
[scores] = served.run(None, {served.input_names[0]: images})
"""
    assert keras_on(backend, tmp_path, WITHOUT_US, saved_model, SAME_SCORES) == ["served"]


def test_the_table_of_the_migration_is_the_exact_law_and_what_the_layers_do() -> None:
    torch = pytest.importorskip("torch")
    from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision

    theirs = import_torchvision().ops.DropBlock2d
    from dropblock import DropBlock2D
    from timm.layers import DropBlock2d

    import dropblock_torch

    rows = {
        "ours, torchvision": [dropblock_torch.DropBlock2d(0.9, 7), theirs(0.1, 7)],
        "timm": [DropBlock2d(0.1, 7)],
        "dropblock": [DropBlock2D(0.1, 7)],
    }
    laws = {
        "ours, torchvision": lambda feat: 1 - expected_keep(gamma(0.9, 7, feat), 7, feat),
        "timm": lambda feat: seeds_on_whole_map(gamma(0.9, 7, feat), 7, feat),
        "dropblock": lambda feat: seeds_on_whole_map(0.1 / 7**2, 7, feat),
    }
    said = re.findall(r"^\| ([a-z, ]+) \| ([\d.]+%) \| ([\d.]+%) \|$", PYTORCH, re.MULTILINE)
    assert said == [(name, f"{law(7):.1%}", f"{law(14):.1%}") for name, law in laws.items()]
    same = 1 - round(laws["timm"](14), 3)
    assert f"`keep_prob={same:.3f}, calibrated=True`" in PYTORCH
    assert f"Eq. (1), which keeps {expected_keep(gamma(0.9, 7, 14), 7, 14):.4f} at 14x14, block 7" in PYTORCH
    torch.manual_seed(0)
    for name, layers in rows.items():
        for feat in (7, 14):
            for layer in layers:
                dropped = (layer(torch.ones(50_000, 1, feat, feat)) == 0).double().mean().item()
                # Hoeffding's bound over the maps, which are independent: 2 exp(-2 * 50000 * 0.0125^2) = 3e-7.
                assert dropped == pytest.approx(laws[name](feat), abs=0.0125), (name, feat)


def test_torchvision_s_count_in_float16_ends_where_the_page_says() -> None:
    torch = pytest.importorskip("torch")
    from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision

    [bound] = re.findall(r"all zeros from ([\d,]+) kept units on", PYTORCH)
    kept = int(bound.replace(",", ""))
    layer, threads = import_torchvision().ops.DropBlock2d(p=1e-9, block_size=1), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert layer(torch.ones(1, 1, 1, kept - 1, dtype=torch.float16)).all()
        assert not layer(torch.ones(1, 1, 1, kept, dtype=torch.float16)).any()
    finally:
        torch.set_num_threads(threads)


def test_float16_ends_in_every_document_where_it_does() -> None:
    [row] = re.findall(r"^\| Line 8 in half precision \|.*$", SPEC, re.MULTILINE)
    _, last, first = said = re.findall(r"65,\d{3}", row)
    with np.errstate(over="ignore"):
        rounded = np.array([int(number.replace(",", "")) for number in said], np.float32).astype(np.float16)
    assert rounded.tolist() == [65504, 65504, np.inf]
    assert int(first.replace(",", "")) == int(last.replace(",", "")) + 1
    for document in DOCUMENTS:
        others = set(re.findall(r"65,5[012]\d", document.read_text().replace(row, "")))
        assert others <= {first}, f"{document} has float16 end elsewhere"


def seeds_on_whole_map(g: float, block: int, feat: int) -> float:
    """The expected drop fraction where every unit is an anchor, as the centre of a block that may hang over."""
    axis = np.array([sum(0 <= i - offset + block // 2 < feat for offset in range(block)) for i in range(feat)])
    return float(np.mean(1 - (1 - g) ** np.multiply.outer(axis, axis)))


def test_commands_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text()
        made = set(re.findall(r"(?:`|\$ )make ([a-z0-9-]+)", text))
        assert made <= targets, document
        for line in re.findall(r"dropblock-conformance ((?:run|list|explain)[^`\n]*)", text):
            command = main.commands[line.split()[0]]
            options = {option for parameter in command.params for option in parameter.opts}
            assert set(re.findall(r"(?<!\S)--[a-z]+", line)) <= options, line


def test_make_help_knows_every_command_of_the_readme() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {"make conformance", "make test", "make install", "make dist"} <= {
        " ".join(line.split()[:2]) for line in shown.splitlines()
    }


def test_ci_runs_what_the_documents_ask_for_before_a_push() -> None:
    ran = re.findall(r"^make (\S+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert ran == ["test", "conformance", "dist", "docs"]
    assert set(ran) < set(re.findall(r"^\$ make (\S+)  +#", README, re.MULTILINE))
    assert set(ran) < set(re.findall(r"^make (\S+)  +#", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))


def test_hooks_run_what_make_runs() -> None:
    hooks = re.findall(r"entry: (.venv/bin/.*)$", (ROOT / ".pre-commit-config.yaml").read_text(), re.MULTILINE)
    made = re.findall(r"^\t\$\(BIN\)/((?:ruff|mypy).*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [hook.removeprefix(".venv/bin/").removesuffix(" --force-exclude") for hook in hooks] == [
        command.removesuffix(" --check")
        for command in made  # a hook formats, and fails if that changed something
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "examples").glob("*_mnist.py")), ids=lambda path: path.stem)
def test_an_example_says_first_what_it_needs_and_how_long_it_takes(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert "needs what `make install` installs" in said
    assert re.search(r"pip install\s'\.\[\w+,conformance\]'.* in a\scheckout", said.replace("\n", " "))
    assert re.search(r"epoch of the digits takes about \d+ s", said)


def test_links_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), (document, target)


def test_spec_has_every_rule_in_order_with_its_tests() -> None:
    rules = re.findall(r"^\*\*R(\d+) ", SPEC, re.MULTILINE)
    assert rules == [str(n) for n in range(1, 15)]
    names = set(re.findall(r"def (test_\w+)", "".join(p.read_text() for p in (ROOT / "tests" / "core").glob("*.py"))))
    for cited in re.findall(r"`(test_\w+)\*?`", SPEC):
        assert any(name.startswith(cited) for name in names), cited


def test_spec_names_every_check_and_no_other() -> None:
    families = {check.split(".")[0] for check in all_checks()}
    cited = set(re.findall(rf"`((?:{'|'.join(families)})\.(?!py`)\w+)`", SPEC))
    assert cited == set(all_checks())


def test_spec_cites_a_check_under_the_rule_it_tests() -> None:
    sections = re.split(r"^\*\*R\d+ ", SPEC, flags=re.MULTILINE)[1:]
    for number, section in enumerate(sections, 1):
        for cited in re.findall(r"`(\w+\.\w+)`", section):
            if cited in all_checks():
                assert f"R{number}" in re.findall(r"R\d+", all_checks()[cited].rule), (number, cited)


def test_profiles_are_as_the_documents_say() -> None:
    of_users = PROFILES.keys() - PROFILES_OF_TESTS.keys()  # in one process with the suite's tests
    margins = {name: f"{100 * p.margin:g}%" for name, p in PROFILES.items() if name in of_users}
    prose = " ".join(STATISTICS.split())
    assert ", ".join(f"{m} (`{n}`)" for n, m in margins.items()).replace(", 0.25", " or 0.25") in prose
    table = (ROOT / "docs" / "certify-your-own.md").read_text()
    assert re.findall(r"^\| `(\w+)` \| ([\d.]+%) \|", table, re.MULTILINE) == list(margins.items())


def test_measured_figures_are_of_the_mutants_there_are() -> None:
    generated = read_generated(DOCUMENT, "make calibrate")
    assert set(re.findall(r"^\| (\w+) \| .* of \d+ \|$", generated, re.MULTILINE)) == set(MUTANTS)


def test_every_wild_mutant_that_conforms_is_named_among_what_cannot_be_seen() -> None:
    generated = read_generated(DOCUMENT, "make judge-wild")
    assert f" of {len(WILD)} are killed" in generated
    unseen = STATISTICS.split("## What the suite cannot see")[1].split("\n## ")[0]
    left = re.findall(r"^\| (\w+) \| (.*) \| (\w+).* \|$", generated.split("not killed:")[1], re.MULTILINE)[1:]
    assert {name: WILD[name].fault for name, _, _ in left} == {name: fault for name, fault, _ in left}
    conforming = {name for name, _, outcome in left if outcome == "conforms"}
    assert conforming == set(re.findall(r"\w+", " ".join(re.findall(r"\((.*?)\)", unseen)))) & set(WILD)


def test_the_table_of_variants_has_all_of_them() -> None:
    table = STATISTICS.split("## Two levels")[1].split("\n## ")[0]
    for variant in VARIANTS.values():
        assert f"| {variant.does} |" in table
    for name in WRONG:
        assert f"| {MUTANTS[name].fault} |" in table


def test_changelog_and_versions_agree() -> None:
    import dropblock_core

    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{dropblock_core.__version__}"' in project
    assert f"\nversion: {dropblock_core.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    bounds: dict[str, Any] = dict(re.findall(r'"(numpy|array-api-compat)>=([\d.]+)"', project))
    pins = dict(re.findall(r"^(numpy|array-api-compat)==(\d+\.\d+)", (ROOT / "constraints.txt").read_text(), re.M))
    stated = next(line for line in README.splitlines() if line.startswith("- Supported and tested"))
    for name, words in (("numpy", "NumPy"), ("array-api-compat", "array-api-compat")):
        assert f"{words} {bounds[name]} and {pins[name]}" in stated
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    assert f"Python {', '.join(named[:-1])} and {named[-1]};" in stated


def test_sections_of_the_changelog_are_in_order() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert text.index("## [Unreleased]" if "## [Unreleased]" in text else "## Unreleased") > 0
    for one, other in pairwise(re.findall(r"^## (\d+\.\d+\.\d+)", text, re.MULTILINE)):
        assert tuple(map(int, one.split("."))) > tuple(map(int, other.split(".")))
