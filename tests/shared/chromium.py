"""Pages in headless Chromium, without a driver: a page writes what it found into its DOM, and Chromium prints that."""

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)

needs_chromium = pytest.mark.skipif(
    BROWSER is None, reason="needs Chromium: none is on the path, and the variable CHROMIUM names none"
)

# What goes wrong in a page is its answer, so that a test says it.
CATCH = """
const answer = (value) => { document.getElementById("answer").textContent = JSON.stringify(value); };
addEventListener("error", (event) => answer({ error: `${event.message} (${event.filename}:${event.lineno})` }));
addEventListener("unhandledrejection", (event) => answer({ error: String(event.reason?.stack ?? event.reason) }));
"""


def dumped(folder: Path, url: str, *options: str) -> str:
    """A page's document once its scripts and timers are done, in a new browser that keeps what it keeps in `folder`."""
    command = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    # Timers run at once, in order; the budget is far more than a page asks for.
    command += ["--virtual-time-budget=60000", *options, "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout, done.stderr[-4000:]
    return done.stdout


def answer_of(folder: Path, scripts: Sequence[Path | str]) -> Any:
    """What the scripts, files or texts, pass to `answer`, in a browser whose pages may look into one another."""
    tags = [
        f'<script src="{s.as_uri()}"></script>' if isinstance(s, Path) else f"<script>{s}</script>" for s in scripts
    ]
    page = folder / "page.html"
    page.write_text(f'<meta charset="utf-8"><pre id="answer">null</pre><script>{CATCH}</script>{"".join(tags)}')
    document = dumped(folder, page.as_uri(), "--allow-file-access-from-files")
    found = re.search(r'<pre id="answer">(.*?)</pre>', document, re.DOTALL)
    assert found, document[:4000]
    value = json.loads(html.unescape(found[1]))
    assert value is not None, "the page gave no answer"
    assert "error" not in value, value["error"]
    return value
