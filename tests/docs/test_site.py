"""The site, as its sources say it: `make docs` builds it, and reads what it built."""

import ast
import re
import textwrap
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests.docs.example_support import imported
from tests.docs.test_docs import run_snippets, said_lines

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
API = {path.stem: path.read_text() for path in (DOCS / "api").glob("*.md")}
PACKAGES = {
    "core": ROOT / "dropblock_core",
    **{name: ROOT / "adapters" / f"dropblock_{name}" for name in ("torch", "jax", "tf", "keras")},
    "conformance": ROOT / "conformance" / "dropblock_conformance",
}
# What is public beside the packages' own lists: modules that import more than their package.
BESIDE = {
    "core": ["plot.plot_mask", "plot.plot_law", "plot.plot_schedule"],
    "torch": [
        f"trainers.{name}"
        for name in ("lightning.KeepProbCallback", "transformers.KeepProbCallback", "mmengine.KeepProbHook")
    ],
    "jax": ["flax.DropBlock", "linen.DropBlock", "equinox.DropBlock"],
}


def public(package: Path) -> list[str]:
    """`__all__`, read and not imported."""
    for node in ast.parse((package / "__init__.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    raise AssertionError(f"{package} has no __all__")


def test_every_package_with_a_list_of_names_is_in_the_reference() -> None:
    fronts = [path for folder in (".", "adapters", "conformance") for path in ROOT.glob(f"{folder}/*/__init__.py")]
    listing = [path.parent for path in fronts if "__all__" in path.read_text()]
    assert sorted(listing) == sorted(PACKAGES.values())


@pytest.mark.parametrize("name", PACKAGES)
def test_the_reference_names_every_public_name(name: str) -> None:
    package, page = PACKAGES[name].name, API[name]
    documented = re.findall(r"^\.\. auto(?:function|class):: (\S+)$", page, re.MULTILINE)
    elsewhere = re.findall(r"`(\w+\.\w+)` is \{class\}`dropblock_core\.\w+`", page)
    expected = {f"{package}.{public_name}" for public_name in public(PACKAGES[name]) + BESIDE.get(name, [])}
    assert expected <= {*documented, *elsewhere}
    assert len(documented) == len(set(documented))


def pages() -> set[str]:
    """Every page of the site, by the name that a toctree has for it."""
    found = (path.relative_to(DOCS) for path in DOCS.rglob("*.md"))
    return {str(path.with_suffix("")) for path in found if path.parts[0] not in ("examples", "playground")}


def listed() -> set[str]:
    """What the toctrees name."""
    known, found = pages(), set()
    for page in known:
        text = (DOCS / f"{page}.md").read_text()
        for options, entries in re.findall(r"^```\{toctree\}\n((?::.*\n)*)([^`]*)```$", text, re.MULTILINE):
            for entry in entries.split():
                name = str(Path(page).parent / entry)
                found |= {other for other in known if fnmatch(other, name)} if ":glob:" in options else {name}
    return found


def test_every_page_is_in_a_toctree_and_every_entry_is_a_page() -> None:
    assert listed() == pages() - {"index"}


def test_the_paper_s_page_has_every_line_every_rule_and_code_that_is_there() -> None:
    text = (DOCS / "paper.md").read_text()
    lines = [range(int(a), int(b or a) + 1) for a, b in re.findall(r"^\*\*Lines? (\d)(?: to (\d))?\.\*\*", text, re.M)]
    assert [number for line in lines for number in line] == list(range(1, 9))
    assert {f"[R{n}](#r{n})" for n in range(1, 15)} == set(re.findall(r"\[R\d+\]\(#r\d+\)", text))
    included = re.findall(r"^:::\{literalinclude\} (\S+)\n((?::.*\n)+):::$", text, re.MULTILINE)
    assert len(included) == text.count("{literalinclude}")
    for path, options in included:
        source = (DOCS / path).read_text()
        for mark in re.findall(r'^:(?:start|end)-\w+: "?(.*?)"?$', options, re.MULTILINE):
            assert source.count(mark.strip()) >= 1, (path, mark)


@pytest.mark.parametrize("page", ["start", "faq", "migration"])
# PyTorch's own modules warn so when its compiler is first imported.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_snippets_run_and_print_what_they_say(page: str) -> None:
    for package in ("torch", "jax", "tensorflow", "keras"):
        pytest.importorskip(package)
    from dropblock_conformance.subjects.third_party.import_torchvision import import_torchvision

    import_torchvision()
    text = (DOCS / f"{page}.md").read_text()
    assert run_snippets(text).splitlines() == said_lines(text)


def test_the_gallery_s_lines_draw_and_each_picture_says_what_it_shows() -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    text = (DOCS / "gallery.md").read_text()
    plots = re.findall(r"^\.\. plot::\n(.*?)^\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(plots) == text.count("```{eval-rst}") > 8
    for options, lines in plots:
        assert re.findall(r"^   :([\w-]+): \S.*$", options, re.MULTILINE) == ["filename-prefix", "alt", "caption"]
        with plt.rc_context({"backend": "Agg", "figure.constrained_layout.use": True}):
            exec(textwrap.dedent(lines), {})
            [figure] = map(plt.figure, plt.get_fignums())
            assert all(ax.has_data() for ax in figure.axes)
            plt.close(figure)


def test_every_question_is_one_and_its_answer_leads_on() -> None:
    sections = re.split(r"^## ", (DOCS / "faq.md").read_text(), flags=re.MULTILINE)[1:]
    assert len(sections) >= 8
    for section in sections:
        question, answer = section.split("\n", 1)
        assert question.endswith("?")
        assert "](" in answer, question


def test_the_glossary_has_a_line_a_term() -> None:
    [entries] = re.findall(r"```\{glossary\}\n(.*?)```", (DOCS / "glossary.md").read_text(), re.DOTALL)
    terms = dict(re.findall(r"^(\S.*)\n  (\S.*)\n", entries, re.MULTILINE))
    assert len(terms) == len(entries.strip().split("\n\n"))
    assert {"keep_prob", "block_size", "gamma", "feat_size", "mask", "seed", "anchor", "valid region"} <= terms.keys()
    assert {"renorm", "scope", "stream", "segment"} <= terms.keys()


@pytest.fixture(scope="module")
def check_links() -> Any:
    return imported(DOCS / "check_links.py")


GOOD = '<h1 id="top">a</h1><a href="other.html#there">b</a> <a href="#top">c</a> <a href="https://example.org">d</a>'


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        (GOOD, None),
        ('<a href="gone.html">a</a>', "links gone.html, which is no file"),
        ('<a href="sub">a</a>', "links sub, which is no file"),
        ('<img src="gone.png">', "links gone.png, which is no file"),
        ('<a href="#gone">a</a>', "links #gone, and that page has no such anchor"),
        ('<a href="other.html#gone">a</a>', "links other.html#gone, and that page has no such anchor"),
        ('<script src="https://example.org/a.js"></script>', "fetches https://example.org/a.js"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "fetches //example.org/a.css"),
    ],
)
def test_a_broken_link_is_found(check_links: Any, tmp_path: Path, page: str, fault: str | None) -> None:
    (tmp_path / "page.html").write_text(page)
    (tmp_path / "other.html").write_text('<p id="there">')
    (tmp_path / "sub").mkdir()
    assert list(check_links.faults(tmp_path)) == ([] if fault is None else [f"page.html {fault}"])


@pytest.mark.parametrize("rule", ["@import 'https://example.org/a.css';", "p { background: url(//example.org/a.png) }"])
def test_a_style_sheet_that_fetches_is_found(check_links: Any, tmp_path: Path, rule: str) -> None:
    (tmp_path / "good.css").write_text("p { background: url(a.png) }  /* https://example.org */")
    (tmp_path / "site.css").write_text(rule)
    [fault] = check_links.faults(tmp_path)
    assert fault.startswith("site.css fetches ")
