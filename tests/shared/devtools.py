"""A page in headless Chromium that answers: it is given a width, a colour scheme and keys, and asked what it shows.

By the DevTools protocol over a pipe, which needs no package. Where a page can say all by itself, chromium.py does.
"""

import json
import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.shared.chromium import BROWSER

SECONDS = 60  # to answer one question
# What a key types, beside its name.
KEYS = {"Tab": {"windowsVirtualKeyCode": 9}, "Enter": {"windowsVirtualKeyCode": 13, "text": "\r"}}
KEYS["Space"] = {"windowsVirtualKeyCode": 32, "text": " "}


class Tab:
    """One page. Messages are JSON, and end with a zero byte."""

    def __init__(self, questions: int, answers: int) -> None:
        self.questions, self.answers = questions, answers
        self.asked, self.unread = 0, b""
        self.session: dict[str, str] = {}
        target = self.ask("Target.createTarget", url="about:blank")
        self.session = {"sessionId": self.ask("Target.attachToTarget", **target, flatten=True)["sessionId"]}
        self.ask("Page.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self.asked += 1
        question = {"id": self.asked, "method": method, "params": params, **self.session}
        os.write(self.questions, json.dumps(question).encode() + b"\0")
        answer = self.await_(lambda message: message.get("id") == self.asked)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def await_(self, is_it: Any) -> dict[str, Any]:
        """The next message of which `is_it` holds."""
        while True:
            while b"\0" not in self.unread:
                assert select.select([self.answers], [], [], SECONDS)[0], "Chromium says nothing"
                self.unread += (part := os.read(self.answers, 2**16))
                assert part, "Chromium is gone"
            message, _, self.unread = self.unread.partition(b"\0")
            if is_it(said := json.loads(message)):
                return dict(said)

    def show(self, url: str, width: int, scheme: str = "light") -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.ask("Page.navigate", url=url)
        self.await_(lambda message: message.get("method") == "Page.loadEventFired")

    def evaluate(self, script: str) -> Any:
        """The value of an expression, which may be a promise."""
        answer = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=" " if key == "Space" else key, code=key, **KEYS[key])


@contextmanager
def new_tab(folder: Path) -> Iterator[Tab]:
    """In a new browser that keeps what it keeps in `folder`."""
    theirs, questions = os.pipe()
    answers, back = os.pipe()
    command = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
    # Chromium reads from 3 and writes to 4.
    line = f'exec "$@" 3<&{theirs} 4>&{back}'
    with subprocess.Popen(
        ["bash", "-c", line, "bash", *command, "--remote-debugging-pipe"],
        pass_fds=(theirs, back),
        stderr=subprocess.DEVNULL,
    ) as browser:
        for end in (theirs, back):
            os.close(end)
        try:
            yield Tab(questions, answers)
        finally:
            os.close(questions)
            os.close(answers)
            browser.terminate()
