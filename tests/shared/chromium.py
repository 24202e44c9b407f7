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


def answer_of(folder: Path, scripts: Sequence[Path | str]) -> Any:
    """What the scripts, files or texts, pass to `answer`, in one new browser that may read files and keeps nothing."""
    tags = [
        f'<script src="{s.as_uri()}"></script>' if isinstance(s, Path) else f"<script>{s}</script>" for s in scripts
    ]
    page = folder / "page.html"
    page.write_text(f'<meta charset="utf-8"><pre id="answer">null</pre><script>{CATCH}</script>{"".join(tags)}')
    command = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    # Timers run at once, in order; the budget is far more than a page asks for.
    command += ["--allow-file-access-from-files", "--virtual-time-budget=60000", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-4000:]
    value = json.loads(html.unescape(found[1]))
    assert value is not None, f"the page gave no answer: {done.stderr[-4000:]}"
    assert "error" not in value, value["error"]
    return value
