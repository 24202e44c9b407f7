"""What docs/ci.md tells a machine holds: its job's command runs as written, and exits as its table says."""

import json
import shlex
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from dropblock_conformance.cli import main

DOCUMENT = (Path(__file__).parents[2] / "docs" / "ci.md").read_text()
MODULE = """
from dataclasses import replace
from dropblock_conformance.subjects import load
subject = load("numpy").subject
wrong = replace(subject, name="wrong", call=lambda x, **_: x + 1)
"""
FEW = ["--check", "seed.same", "--check", "mode.inference"]


def job_command() -> list[str]:
    yaml = pytest.importorskip("yaml")
    steps = yaml.safe_load(DOCUMENT.partition("```yaml\n")[2].partition("```")[0])["jobs"]["conformance"]["steps"]
    (command,) = (step["run"] for step in steps if step.get("run", "").startswith("dropblock-conformance"))
    return shlex.split(command)[1:]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's project, with the name that the document gives it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "__init__.py").touch()
    (tmp_path / "mypackage" / "mymodule.py").write_text(MODULE)
    for name in ("mypackage", "mypackage.mymodule"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def status(*command: str) -> int:
    return CliRunner().invoke(main, list(command), catch_exceptions=False).exit_code


def test_the_jobs_command_runs_as_written(tmp_path: Path) -> None:
    assert status(*job_command(), *FEW) == 0
    assert {path.name for path in tmp_path.glob("report.*")} == {"report.xml", "report.json", "report.html"}
    assert status("diff", "report.json", "report.json") == 0


def test_a_wrong_layer_is_a_failure_for_the_job_and_a_change_for_diff(tmp_path: Path) -> None:
    assert status(*job_command(), *FEW) == 0
    (tmp_path / "report.json").rename(tmp_path / "released.json")
    command = [word.replace(":subject", ":wrong") for word in job_command()]
    assert status(*command, *FEW) == 1
    assert status("diff", "released.json", "report.json") == 1
    suite = ElementTree.parse("report.xml").getroot().find("testsuite")
    assert suite is not None
    assert int(suite.get("failures", 0)) >= 1
    assert json.loads((tmp_path / "report.json").read_text())["reports"][0]["verdict"] == "does not conform"
