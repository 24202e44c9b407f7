"""Check a built site: every link in it leads to a page and an anchor that are there, and viewing it fetches nothing.

python docs/check_links.py build/site
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# The attributes by which a page loads what it needs, and the one by which it leads elsewhere.
LOADS = {"link": "href", **dict.fromkeys(("audio", "iframe", "img", "script", "source", "video"), "src")}
FETCHED_BY_CSS = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")


class Page(HTMLParser):
    """The anchors of a page, what it links and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if LOADS.get(tag) in given:
            self.loads.append(given[LOADS[tag]])


def faults(site: Path) -> Iterator[str]:
    """What is wrong with each page and style sheet of `site`, a line each."""
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        where = path.relative_to(site.resolve())
        for target in page.links + page.loads:
            url = urlsplit(target)
            if url.scheme or url.netloc:
                if target in page.loads and url.scheme != "data":
                    yield f"{where} fetches {target}"
                continue
            file = (path.parent / unquote(url.path)).resolve() if url.path else path
            if not file.is_file():
                yield f"{where} links {target}, which is no file"
            elif url.fragment and file in pages and unquote(url.fragment) not in pages[file].anchors:
                yield f"{where} links {target}, and that page has no such anchor"
    for path in sorted(site.rglob("*.css")):
        for target in FETCHED_BY_CSS.findall(path.read_text()):
            yield f"{path.relative_to(site)} fetches {target}"


def count(site: Path) -> tuple[int, int]:
    """The number of pages, and of what they link and load."""
    pages = [Page(path) for path in site.rglob("*.html")]
    return len(pages), sum(len(page.links) + len(page.loads) for page in pages)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    found = list(faults(folder))
    print(*found, sep="\n", end="\n" if found else "")
    number, links = count(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {number} pages, {links:,} links, {len(found)} faults, {size / 2**20:.1f} MiB")
    sys.exit(bool(found) or not number)
