"""docs/worker.md and its example say what the suite asks and understands, byte for byte."""

import io
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from dropblock_conformance import Outcome, certify
from dropblock_conformance.pipe.client import connect
from dropblock_conformance.pipe.protocol import receive

from .support import sent

pytestmark = pytest.mark.usefixtures("nothing_stays")

ROOT = Path(__file__).parents[3]
EXAMPLE = shlex.join([sys.executable, str(ROOT / "docs" / "examples" / "worker.py")])


def exchange() -> dict[str, bytes]:
    """The two sides of the exchange that worker.md shows, byte for byte."""
    [text] = re.findall(r"```text\n(.*?)```", (ROOT / "docs" / "worker.md").read_text(), re.DOTALL)
    sides = {">": b"", "<": b""}
    for line in text.splitlines():
        side, _, said = line.partition(" ")
        sides[side] += said.encode() + b"\n" if said.startswith("{") else bytes.fromhex(said)
    return sides


def test_the_exchange_is_what_the_example_says_byte_for_byte() -> None:
    process = psutil.Popen(shlex.split(EXAMPLE), stdin=-1, stdout=-1)
    assert process.communicate(exchange()[">"])[0] == exchange()["<"]
    assert process.returncode == 0


def test_the_exchange_is_what_the_suite_asks_byte_for_byte() -> None:
    asked = io.BytesIO(exchange()[">"])
    said = io.BytesIO(exchange()["<"])
    with pytest.MonkeyPatch.context() as patch:

        def compare(pipe: Any, header: dict[str, Any], arrays: Any = ()) -> None:
            question = sent(header, *arrays)
            assert asked.read(len(question)) == question

        patch.setattr("dropblock_conformance.pipe.client.send", compare)
        patch.setattr("dropblock_conformance.pipe.client.receive", lambda pipe: receive(said))
        subject, _ = connect("cat")
        x = np.arange(1.0, 5.0, dtype=np.float32).reshape(1, 1, 1, 4)
        y = subject.call(x, keep_prob=0.5, block_size=1, training=True, seed=10)
        assert y.tolist() == [[[[2, 0, 6, 0]]]]  # two of four are kept, and doubled
        assert subject.schedule is not None
        assert subject.schedule(0.5, 2) == [1.0, 0.75, 0.5]
    assert asked.readline() == b'{"do": "next", "arrays": []}\n'


def test_the_example_conforms() -> None:
    subject, expect = connect(EXAMPLE)
    checks = ["mode.inference", "seed.same", "mask.blocks", "mask.clipped", "values.nothing_kept", "scale.claimed"]
    checks += ["gradient.scale", "schedule.ends", "schedule.linear", "law.full_map", "law.paper", "law.rank1"]
    report = certify(subject, profile="tiny", checks=checks, expect=expect)
    assert {result.id: result.outcome for result in report.results} == dict.fromkeys(checks, Outcome.CONFORMS)


def test_the_example_needs_numpy_alone() -> None:
    text = (ROOT / "docs" / "examples" / "worker.py").read_text()
    assert set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)) <= {"numpy", *sys.stdlib_module_names}
    assert f"one in {len(text.splitlines())} lines" in " ".join((ROOT / "docs" / "worker.md").read_text().split())
