"""Certificates, what becomes of them, badges, and deviations that are known from a file."""

import json
import shlex
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from click.testing import CliRunner, Result

import dropblock_core
from dropblock_conformance.cli import main
from dropblock_conformance.reports import certificate
from dropblock_conformance.reports.certificate import digest_of, is_unaltered

CHECKS = ["seed.same", "scale.claimed", "law.full_map"]
OPTIONS = ["--profile", "quick", *(word for check in CHECKS for word in ("--check", check))]
MODULE = """
from dropblock_conformance import Deviation
from tests.mutants import MUTANTS, Honest

right = Honest().subject("right")
wrong = MUTANTS["ScaleByKeepProb"].build().subject("wrong <&>")
rounded = MUTANTS["CountsAnEpsilonMore"].build().subject("rounded")
known = wrong, [Deviation("scale.claimed", "an old habit", effect=(0, 5))]
"""
Name = Callable[[str], str]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(
        main, list(map(str, arguments)), env={"COLUMNS": "200", "TERM": "dumb"}, catch_exceptions=False
    )


@pytest.fixture
def module(make_module: Callable[[str], Name]) -> Name:
    return make_module(MODULE)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The certificate of each subject, made once."""
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "their_dropblock.py").write_text(MODULE)
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        for attribute in ("right", "wrong", "known"):
            run("run", f"their_dropblock:{attribute}", *OPTIONS, "--certificate", folder / "c.json")
            found[attribute] = (folder / "c.json").read_text()
    return found


@pytest.fixture
def certified(module: Name, certificates: dict[str, str], tmp_path: Path) -> Callable[[str], Path]:
    def certify(attribute: str) -> Path:
        file = tmp_path / f"{attribute}.json"
        file.write_text(certificates[attribute])
        return file

    return certify


@pytest.mark.parametrize("attribute", ["right", "wrong", "known"])
def test_a_certificate_is_as_its_schema_says_which_knows_every_field(
    attribute: str, certificates: dict[str, str]
) -> None:
    found = json.loads(certificates[attribute])
    schema = json.loads(certificate.SCHEMA_FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(found, schema)
    assert set(found) == set(schema["properties"])
    for part in ("subject", "run", "suite", "conforms"):
        assert set(found[part]) == set(schema["properties"][part]["properties"])
    assert set(found["subject"]["claims"]) == set(schema["properties"]["subject"]["properties"]["claims"]["properties"])


def test_a_built_in_subject_has_the_version_of_what_it_is() -> None:
    assert certificate.version_of("numpy") == certificate.version_of("torch-compile") == dropblock_core.__version__
    assert certificate.version_of("timm") == version("timm")
    assert certificate.version_of("no_such_package:layer") is None


def test_a_certificate_says_what_was_judged_by_what_and_how_it_came_out(certified: Callable[[str], Path]) -> None:
    found = json.loads(certified("known").read_text())
    assert found["schema"] == certificate.SCHEMA
    assert found["subject"]["name"] == "their_dropblock:known"
    assert found["subject"]["claims"]["spatial"] == [1, 2, 3]
    assert len(found["subject"]["source"]) == len(found["suite"]["source"]) == len(found["digest"]) == 64
    assert found["run"] == {"profile": "quick", "level": "robust", "seed": 0, "alpha": found["run"]["alpha"]}
    assert found["environment"]["numpy"]
    assert {id: said["outcome"] for id, said in found["outcomes"].items()} == {
        "seed.same": "conforms",
        "scale.claimed": "declared",
        "law.full_map": "conforms",
    }
    assert found["outcomes"]["scale.claimed"]["reason"] == "an old habit"
    assert found["conforms"] == {"paper": False, "robust": False}
    assert is_unaltered(found)


def test_its_digest_is_over_all_of_it_and_not_of_its_spaces(certified: Callable[[str], Path]) -> None:
    found = json.loads(certified("right").read_text())
    shuffled = json.loads(json.dumps(dict(reversed(found.items())), indent=7))
    assert is_unaltered(shuffled)
    for change in ({"verdict": "perfect"}, {"more": 1}, {"outcomes": {}}):
        assert not is_unaltered(found | change)
    assert digest_of(found) == found["digest"]


def test_a_certificate_that_holds_is_verified_from_a_new_seed(certified: Callable[[str], Path]) -> None:
    file = certified("right")
    answer = run("verify", file, "--checks", 2, "--seed", 77)
    assert answer.exit_code == 0, answer.output
    assert "2 checks of their_dropblock:right, seed 77" in answer.output
    assert "the subject's source is the same" in answer.output
    assert "law.full_map" in answer.output  # a law is always among them
    assert answer.output.rstrip().endswith("it holds")


def test_one_is_verified_at_the_level_that_it_was_made_at(module: Name, tmp_path: Path) -> None:
    """A scale that is off in its last digits is the paper's, and not robust."""
    file = tmp_path / "c.json"
    options = ["--profile", "quick", "--check", "scale.claimed", "--level", "paper"]
    assert run("run", module("rounded"), *options, "--certificate", file).exit_code == 0
    assert run("verify", file, "--seed", 1).exit_code == 0
    assert run("run", module("rounded"), *options[:-2]).exit_code == 1


def test_one_that_no_longer_holds_says_what_came_out_otherwise(
    certified: Callable[[str], Path], make_module: Callable[[str], Name]
) -> None:
    file = certified("right")
    make_module(MODULE.replace("Honest().subject", 'MUTANTS["ScaleByKeepProb"].build().subject'))
    answer = run("verify", file, "--seed", 1)
    assert answer.exit_code == 1, answer.output
    assert "the subject's source is another one" in answer.output
    assert "deviates  !" in answer.output
    assert answer.output.rstrip().endswith("it does not hold")


def test_another_subject_may_be_asked(certified: Callable[[str], Path], module: Name) -> None:
    assert run("verify", certified("right"), module("wrong"), "--seed", 1).exit_code == 1
    assert run("verify", certified("right"), "no_such_module:subject").exit_code == 3
    assert "did you mean 'numpy'?" in run("verify", certified("right"), "nunpy").output


def test_a_command_that_a_file_names_is_run_only_where_it_is_given_again(
    certified: Callable[[str], Path], tmp_path: Path
) -> None:
    file, name = certified("right"), f"--worker 'touch {tmp_path / 'ran'}'"
    found = json.loads(file.read_text())
    found["subject"]["name"] = name
    file.write_text(json.dumps(found | {"digest": digest_of(found)}))
    result = run("verify", file)
    assert result.exit_code == 2
    assert f"add -- {shlex.quote(name)}" in " ".join(result.output.replace("│", "").split())
    assert not (tmp_path / "ran").exists()
    assert run("verify", file, "--", name).exit_code == 3  # touch answers no question
    assert (tmp_path / "ran").exists()


def test_one_that_was_altered_is_told_and_nothing_is_run(certified: Callable[[str], Path]) -> None:
    file = certified("right")
    file.write_text(file.read_text().replace('"conforms"', '"deviates"', 1))
    for command in ("verify", "badge"):
        answer = run(command, file)
        assert answer.exit_code == 1
        assert "was altered: its digest is not that of what it says" in " ".join(answer.output.split())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "another/1"}', "\0"])
@pytest.mark.parametrize("command", ["verify", "badge"])
def test_what_is_no_certificate_is_a_wrong_command(command: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    answer = run(command, file)
    assert answer.exit_code == 2
    assert "other.json is no certificate" in " ".join(answer.output.replace("│", " ").split())
    assert run(command, tmp_path / "missing.json").exit_code == 2


def test_a_certificate_is_of_one_subject_that_can_be_had(module: Name, tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    answer = run("run", module("right"), module("wrong"), *OPTIONS, "--certificate", file)
    assert answer.exit_code == 2
    assert "--certificate is of one subject, and 2 are named" in answer.output
    assert run("run", "no_such_module:subject", *OPTIONS, "--certificate", file).exit_code == 3
    assert not file.exists()


@pytest.mark.parametrize(
    ("attribute", "message", "colour"),
    [
        ("right", "conforms (quick)", "brightgreen"),
        ("known", "deviates as declared (quick)", "yellow"),
        ("wrong", "does not conform (quick)", "red"),
    ],
)
def test_a_badge_says_it_in_words_and_colour(
    certified: Callable[[str], Path], attribute: str, message: str, colour: str
) -> None:
    file = certified(attribute)
    assert run("badge", file).exit_code == 0
    said = json.loads(file.with_suffix(".badge.json").read_text())
    assert said == {"schemaVersion": 1, "label": "DropBlock", "message": message, "color": colour}
    picture = ElementTree.fromstring(file.with_suffix(".svg").read_text())
    assert picture.get("aria-label") == f"DropBlock: {message}"
    assert run("badge", file, "--svg", file.parent / "none" / "b.svg").exit_code == 2


# --- deviations that are known from a file ----------------------------------------------------------------------------

KNOWN = """
[[deviation]]
check = "scale.claimed"
reason = "an old habit"
effect = [0, 5]
subject = "their_dropblock:wrong"
"""


def expecting(module: Name, tmp_path: Path, text: str, attribute: str = "wrong") -> Any:
    file = tmp_path / "known.toml"
    file.write_text(text)
    return run("run", module(attribute), *OPTIONS, "--expect", file)


def test_a_deviation_known_from_a_file_is_declared(module: Name, tmp_path: Path) -> None:
    answer = expecting(module, tmp_path, KNOWN)
    assert answer.exit_code == 0, answer.output
    assert "deviates as declared" in answer.output
    assert "an old habit" in answer.output


def test_one_that_heals_is_reported(module: Name, tmp_path: Path) -> None:
    answer = expecting(module, tmp_path, KNOWN.replace("their_dropblock:wrong", "their_dropblock:right"), "right")
    assert answer.exit_code == 1
    assert "a declared deviation is gone" in answer.output


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("scale.claimed", "scale.claimd"), "did you mean 'scale.claimed'?"),
        (("effect", "efect"), "'efect'"),
        (("effect = [0, 5]", ""), "give a bound on the effect or an exception type"),
        (("[0, 5]", "[0, inf]"), "has no bound"),
        (("[0, 5]", "[nan, 1]"), "is no (lowest, highest) effect"),
        (("effect = [0, 5]", 'raises = "Exception"'), "covers any failure: name its type"),
        (("an old habit", " "), "has no reason"),
        (("their_dropblock:wrong", "timm"), "is not in this run"),
        (("[[deviation]]", "[deviation]"), "write tables [[deviation]]"),
        (("[[deviation]]", "[["), "cannot be read"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_before_anything_runs(
    module: Name, tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    answer = expecting(module, tmp_path, KNOWN.replace(*change))
    assert answer.exit_code == 2
    assert "".join(told.split()) in "".join(answer.output.replace("│", "").split())


def test_one_that_the_subject_declares_too_is_refused(module: Name, tmp_path: Path) -> None:
    answer = expecting(module, tmp_path, KNOWN.replace("wrong", "known"), "known")
    assert answer.exit_code == 3
    assert "expect declares 'scale.claimed' twice" in answer.output
