"""The command line, as a user meets it: what it prints, what it writes, and what it exits with."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from dropblock_conformance.checks import all_checks
from dropblock_conformance.cli import main
from dropblock_conformance.judging.check import Check
from dropblock_conformance.judging.profile import PROFILES
from dropblock_conformance.subjects import BUILT_IN
from tests.shared.running import ROOT

# Cheap checks; the mutant below deviates at the first.
CHECKS = ["scale.claimed", "seed.same", "law.full_map"]
OPTIONS = ["--profile", "quick", *(word for check in CHECKS for word in ("--check", check))]

MODULE = """
from dropblock_conformance import Deviation, Subject
from tests.mutants import MUTANTS, Honest

right = Honest().subject("right")
wrong = MUTANTS["ScaleByKeepProb"].build().subject("wrong")
reason = "an old habit: [bold]1 / keep_prob[/nothing]"
known = wrong, [Deviation("scale.claimed", reason, effect=(0, 5)), Deviation("mask.blocks", "not asked", effect=(0, 1))]
forgotten = right, [Deviation("seed.same", "since repaired", effect=(0, 1))]
misspelt = right, [Deviation("seed.sane", "a typing error", effect=(0, 1))]
nothing = {"call": "me"}

def make():
    return known
"""
# A subject whose calls do something first.
HONEST = """
import os
from dropblock_conformance import Subject
from tests.mutants import Honest

def call(x, **arguments):
    {call}
    return x

subject = Subject("leaving", call)
"""


Name = Callable[[str], str]


def dropblock_conformance(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"COLUMNS": "200", "TERM": "dumb"}, catch_exceptions=False)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Name:
    """How to name an attribute of MODULE as a SUBJECT."""
    (tmp_path / "my_dropblock.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_dropblock", raising=False)
    return lambda attribute: f"my_dropblock:{attribute}"


@pytest.fixture(scope="module")
def numpy_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, dict[str, Any]]:
    """What certifying the reference prints, and its report: one run, which several tests look at."""
    file = tmp_path_factory.mktemp("numpy") / "report.json"
    result = dropblock_conformance("run", "numpy", *OPTIONS, "--verbose", "--json", str(file))
    (report,) = json.loads(file.read_text())["reports"]
    return result, report


# --- list and explain -----------------------------------------------------------------------------------------------


def test_list_shows_every_subject_and_every_check() -> None:
    result = dropblock_conformance("list")
    assert result.exit_code == 0
    for name in [*BUILT_IN, *all_checks()]:
        assert name in result.output


@pytest.mark.parametrize("check", all_checks().values(), ids=list(all_checks()))
def test_explain_says_what_a_check_is_about(check: Check) -> None:
    result = dropblock_conformance("explain", check.id)
    assert result.exit_code == 0
    said = " ".join(result.output.split())
    for part in (f"{check.id}: {check.title}", f"Rule: {check.rule}", f"Effect: {check.effect_is}", check.explanation):
        assert part in said
    tests = check.tests(PROFILES["standard"])
    assert (f"standard: {tests} tests, margin 1.00%" in said) == (tests > 0)


def test_explain_measures_what_a_check_costs() -> None:
    result = dropblock_conformance("explain", "values.nothing_kept", "--cost")
    # [2, 3, 5, 5] in four dtypes, and float32 in the two other ranks.
    megabytes = (2 * 3 * 5**2 * (2 + 2 + 4 + 8) + 2 * 3 * (5 + 5**3) * 4) / 1e6
    said = " ".join(result.output.split())
    assert "for 6 calls of 6 kinds (shape, dtype, block_size, direction, mode)" in said
    assert f"gives it {megabytes:.1f} MB" in said


def test_explain_of_an_unknown_check_hints_at_the_nearest() -> None:
    result = dropblock_conformance("explain", "law.papper")
    assert result.exit_code == 2
    assert "no check is called 'law.papper': did you mean 'law.paper'?" in result.output


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("list", "-h"), ("explain", "-h")])
def test_help_is_there(arguments: tuple[str, ...]) -> None:
    assert "Usage:" in dropblock_conformance(*arguments).output


# --- exit status ----------------------------------------------------------------------------------------------------


def test_a_built_in_subject_that_conforms_exits_with_0(numpy_run: tuple[Result, dict[str, Any]]) -> None:
    result, _ = numpy_run
    assert result.exit_code == 0
    assert "numpy: profile quick, seed 0. 1 tests on 425,984 maps, each at alpha " in result.output
    for number, check in enumerate(CHECKS, 1):
        assert re.search(rf"^{number}/3 numpy +{check} +conforms +[\d.]+ s$", result.output, re.MULTILINE)
    assert "numpy: conforms" in result.output
    assert "Who conforms" in result.output


@pytest.mark.parametrize(
    ("attribute", "status", "said"),
    [
        pytest.param("right", 0, "right: conforms", marks=pytest.mark.exhaustive),
        pytest.param("wrong", 1, "wrong: does not conform", marks=pytest.mark.exhaustive),
        pytest.param("known", 0, "wrong: deviates as declared", marks=pytest.mark.exhaustive),
        ("make", 0, "wrong: deviates as declared"),
        ("forgotten", 1, "right: a declared deviation is gone"),
    ],
)
def test_subjects_by_module_and_attribute(module: Name, attribute: str, status: int, said: str) -> None:
    result = dropblock_conformance("run", module(attribute), *OPTIONS)
    assert result.exit_code == status
    assert said in result.output


def test_one_of_several_that_deviates_is_enough_for_1_and_all_of_them_are_in_the_files(
    module: Name, tmp_path: Path
) -> None:
    files = {kind: tmp_path / f"report.{kind}" for kind in ("html", "json", "junit")}
    options = [word for kind, file in files.items() for word in (f"--{kind}", str(file))]
    result = dropblock_conformance("run", "numpy", module("wrong"), *OPTIONS, *options)
    assert result.exit_code == 1
    assert "numpy: conforms" in result.output
    # The command repeats the check as it was judged here: among two.
    command = f"dropblock-conformance run {module('wrong')} --profile quick --seed 0 --among 2 --check scale.claimed"
    assert command in result.output
    for file in files.values():
        assert f"wrote {file}" in result.output.replace("\n", "")
    document = json.loads(files["json"].read_text())
    assert [report["subject"] for report in document["reports"]] == ["numpy", "wrong"]
    assert "<!doctype html>" in files["html"].read_text()
    assert len(ElementTree.parse(files["junit"]).getroot().findall("testsuite/testcase")) == 2 * len(CHECKS)


def test_where_nothing_applies_nothing_is_certified() -> None:
    result = dropblock_conformance("run", "numpy", "--profile", "quick", "--check", "mask.shared")
    assert "numpy: nothing applied" in result.output
    assert result.exit_code == 1


def test_the_command_that_repeats_a_check_repeats_it(module: Name) -> None:
    first = dropblock_conformance("run", module("wrong"), *OPTIONS, "--seed", "5")
    (line,) = (line.strip() for line in first.output.splitlines() if "repeat: " in line)
    command = line.removeprefix("repeat: dropblock-conformance ").split()
    again = dropblock_conformance(*command)
    assert again.exit_code == 1
    (summary,) = (line.strip() for line in first.output.splitlines() if "are wrong, by" in line and "again" not in line)
    assert summary in again.output


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["nunpy"], "no subject is called 'nunpy': did you mean 'numpy'?"),
        (["numpy", "--check", "law.papper"], "did you mean 'law.paper'?"),
        (["my_dropblock:"], "name a module before the colon and an attribute after it"),
        (["numpy", "--profile", "fast"], "'fast' is not one of"),
        (["numpy", "--among", "0"], "0 is not in the range x>=1"),
        (["numpy", "--seed", "x"], "'x' is not a valid integer"),
        (["numpy", "--jobs", "2", "--dask", "tcp://nowhere:1"], "leave it out with --dask"),
        (["--worker", "no-such-program", "--check", "law.papper"], "did you mean 'law.paper'?"),
        (["numpy", "--timeout", "inf"], "timeout=inf is not above 0 and at most 86400"),
        (["numpy", "--timeout", "nan"], "timeout=nan is not above 0"),
        (["numpy", "--timeout", "-1"], "timeout=-1 is not above 0"),
        (["numpy", "--jobs", "0"], "0 is not in the range x>=1"),
        ([], "Missing argument 'SUBJECT...', or a --worker COMMAND that answers for one"),
    ],
)
def test_a_wrong_command_exits_with_2_and_a_hint_before_anything_runs(
    module: Name, arguments: list[str], hint: str
) -> None:
    result = dropblock_conformance("run", *arguments)
    assert result.exit_code == 2
    assert hint in " ".join(result.output.split())
    assert "profile standard" not in result.output


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module:subject", "cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        pytest.param(
            "my_dropblock:absent", "module 'my_dropblock' has no attribute 'absent'", marks=pytest.mark.exhaustive
        ),
        pytest.param("my_dropblock:nothing", "is a dict, not a Subject", marks=pytest.mark.exhaustive),
        ("my_dropblock:misspelt", "no check is called 'seed.sane': did you mean 'seed.same'?"),
    ],
)
def test_a_subject_that_its_own_process_cannot_load_exits_with_3(module: Name, name: str, said: str) -> None:
    result = dropblock_conformance("run", name, *OPTIONS)
    assert result.exit_code == 3
    assert said in " ".join(result.output.split())
    assert "my_dropblock" not in sys.modules


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys; sys.exit(0)", "its process ended while it was loaded"),
        (HONEST.format(call="os._exit(0)"), "the subject's process ended with exit status 0"),
        *(
            pytest.param(*case, marks=pytest.mark.exhaustive)
            for case in (
                ("import os; os._exit(0)", "its process ended while it was loaded"),
                ("raise KeyboardInterrupt", "its process ended while it was loaded"),
                ("def subject(): raise SystemExit(0)", "its process ended while it was loaded"),
                (HONEST.format(call="os.kill(os.getpid(), 9)"), "the subject's process ended with signal 9"),
            )
        ),
    ],
)
def test_a_subject_that_leaves_does_not_make_it_0(make_module: Callable[[str], Name], text: str, said: str) -> None:
    result = dropblock_conformance("run", make_module(text)("subject"), *OPTIONS[:4])
    assert result.exit_code == 3
    assert said in " ".join(result.output.split())


def test_a_module_is_found_in_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "here.py").write_text(MODULE)
    command = [str(Path(sys.executable).with_name("dropblock-conformance")), "run", "here:right", *OPTIONS[:4]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # for the mutants
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_file_is_written_whole_or_not_at_all_whatever_becomes_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(reports: Any, path: Path) -> None:
        path.write_text("half a rep")
        raise OSError("no space left")

    monkeypatch.setattr("dropblock_conformance.reports.html.write_html", half)
    html, json_file = tmp_path / "report.html", tmp_path / "report.json"
    html.write_text("of an earlier run")
    result = dropblock_conformance("run", "numpy", *OPTIONS[:4], "--html", str(html), "--json", str(json_file))
    assert result.exit_code == 4
    assert "report.html could not be written: OSError: no space left" in result.output.replace("\n", "")
    assert html.read_text() == "of an earlier run"
    assert json.loads(json_file.read_text())["reports"][0]["verdict"] == "conforms"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]


@pytest.mark.parametrize("option", ["--json", "--journal"])
def test_files_that_cannot_be_written_are_refused_before_the_run(tmp_path: Path, option: str) -> None:
    result = dropblock_conformance("run", "numpy", *OPTIONS, option, str(tmp_path / "no" / "such" / "folder.json"))
    assert result.exit_code == 2
    assert "there is no folder" in result.output
    assert "conforms" not in result.output


def test_a_subject_that_cannot_be_had_is_said_to_be_and_the_others_are_certified(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    options = ["--profile", "quick", "--check", "seed.same", "--json", str(file)]
    result = dropblock_conformance("run", "--worker", "no-such-program", "numpy", *options)
    assert result.exit_code == 3
    said = "--worker no-such-program: unavailable: no-such-program: the worker cannot be started: "
    assert said in result.output
    assert "numpy: conforms" in result.output
    right, missing = json.loads(file.read_text())["reports"]
    assert (right["verdict"], right["unavailable"]) == ("conforms", None)
    assert (missing["verdict"], missing["claims"], missing["results"]) == ("unavailable", None, [])
    assert f"--worker no-such-program: unavailable: {missing['unavailable']}" in " ".join(result.output.split())


# --- options --------------------------------------------------------------------------------------------------------


def test_every_sample_size_is_printed_before_the_run(numpy_run: tuple[Result, dict[str, Any]]) -> None:
    result, _ = numpy_run
    planned, _, ran = result.output.partition("1/3")
    (line,) = (line for line in planned.splitlines() if "law.full_map" in line)
    assert "7x7, block 7, keep_prob 0.75" in line
    assert "law.full_map" in ran


def test_among_shares_alpha_and_seed_keys_the_streams(numpy_run: tuple[Result, dict[str, Any]], tmp_path: Path) -> None:
    def report(*arguments: str) -> dict[str, Any]:
        file = tmp_path / "report.json"
        options = ["--profile", "quick", "--check", "law.full_map", "--json", str(file)]
        dropblock_conformance("run", "numpy", *options, *arguments)
        (found,) = json.loads(file.read_text())["reports"]
        return found

    _, plain = numpy_run
    among, seeded = report("--among", "3"), report("--seed", "9")
    assert among["alpha"] == pytest.approx(plain["alpha"] / 3)
    assert seeded["alpha"] == plain["alpha"]
    assert (plain["seed"], seeded["seed"]) == (0, 9)
    evidence = [found["results"][-1]["evidence"] for found in (plain, report(), seeded)]
    assert evidence[0] == evidence[1]
    assert evidence[0] != evidence[2]


def test_a_timeout_makes_a_check_hung() -> None:
    result = dropblock_conformance("run", "numpy", "--profile", "quick", "--check", "law.anchors", "--timeout", "1e-6")
    assert result.exit_code == 1
    assert "TimeoutExceededError: no answer within 1e-06 s" in result.output


def test_without_its_extra_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['scipy'] = None; from dropblock_conformance.__main__ import main; main()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (run.returncode, run.stdout) == (1, "")
    sentence = "dropblock-conformance needs the package scipy: pip install 'dropblock-core[conformance]' brings it\n"
    assert run.stderr == sentence


def test_the_command_is_the_function_that_imports_late() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert declared == {"dropblock-conformance": "dropblock_conformance.__main__:main"}
