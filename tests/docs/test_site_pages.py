"""The site that `make docs` built, in headless Chromium: axe finds nothing, nothing is too wide, keys reach all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_playground_page import AXE
from tests.shared.chromium import needs_chromium
from tests.shared.devtools import Tab, new_tab

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"


def is_built() -> bool:
    """Whether `make docs` has built the pages as they are now."""
    sources = [
        ROOT / "README.md",
        *(path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".py", ".css")),
    ]
    made = SITE / "objects.inv"  # among the last that Sphinx writes
    return made.exists() and made.stat().st_mtime > max(path.stat().st_mtime for path in sources)


pytestmark = [needs_chromium, pytest.mark.skipif(not is_built(), reason="needs build/site as it is now: make docs")]

# Of each kind of page one: text, code, pictures, formulas and tables, definitions, the reference, and one of Sphinx's.
PAGES = ["index", "paper", "gallery", "experiments", "performance", "matrix", "glossary", "api/core", "search"]
WIDTHS = [1280, 400]


def address(page: str) -> str:
    return (SITE / f"{page}.html").as_uri()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with new_tab(tmp_path_factory.mktemp("site")) as tab:
        yield tab


def test_no_page_is_wider_than_its_window(tab: Tab) -> None:
    over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    pages = [str(path.relative_to(SITE).with_suffix("")) for path in sorted(SITE.rglob("*.html"))]
    assert set(PAGES) < set(pages)
    wide = {}
    for page in pages:
        tab.show(address(page), 400)
        wide[page] = tab.evaluate(over)
    assert wide == dict.fromkeys(pages, 0)


# The nodes of what passes are of no interest, and take time.
RUN = "axe.run({ resultTypes: ['violations'] }).then(({ violations, passes }) => [violations, passes.length])"


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: in node_modules/, or its folder in the variable AXE_CORE")
@pytest.mark.parametrize("page", PAGES)
def test_axe_finds_no_violation(tab: Tab, page: str) -> None:
    found: dict[Any, Any] = {}
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            tab.show(address(page), width, scheme)
            tab.evaluate(f"{AXE.read_text()}; 0")
            answer = tab.evaluate(RUN)
            found[width, scheme] = [(one["id"], [node["html"] for node in one["nodes"]]) for one in answer[0]]
            assert answer[1] > 20
    assert not any(found.values()), found


# What has the focus, if it is seen: within the window, and with an outline.
FOCUSED = """(() => {
  const it = document.activeElement, label = it.matches(".toctree-checkbox") ? it.nextElementSibling : it;
  const { left, right } = label.getBoundingClientRect();
  const isSeen = label.checkVisibility({ visibilityProperty: true }) && left >= 0 && right <= innerWidth;
  const isFramed = getComputedStyle(label).outlineStyle !== "none";
  return [it.href ?? it.getAttribute("aria-label") ?? it.tagName, it.className, isSeen, isFramed];
})()"""


@pytest.mark.parametrize("width", WIDTHS)
def test_keys_alone_reach_each_page_of_the_menu(tab: Tab, width: int) -> None:
    tab.show(address("index"), width)
    menu = tab.evaluate("[...document.querySelectorAll('.sidebar-tree a')].map((link) => link.href)")
    assert len(menu) > 30
    reached, opened = [], 0
    while not set(menu) <= set(reached):
        tab.press("Tab")
        name, classes, is_seen, is_framed = tab.evaluate(FOCUSED)
        assert is_seen, name
        assert is_framed, name
        assert name != "BODY", f"the keys reached {len(reached)} things, and not {set(menu) - set(reached)}"
        reached.append(name)
        if "navigation" in name and classes in ("icon", "toctree-checkbox"):
            tab.press("Enter" if classes == "icon" else "Space")
            tab.evaluate("new Promise((done) => setTimeout(done, 300))")  # the drawer slides
            opened += 1
    assert opened == (1 if width > 1000 else 2)
