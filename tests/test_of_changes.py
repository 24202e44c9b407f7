"""What `make check` runs for what changed."""

import subprocess
from pathlib import Path

import pytest

from tests.of_changes import ALWAYS, changed, selected


@pytest.mark.parametrize(
    ("file", "paths"),
    [
        ("dropblock_core/gamma.py", [ALWAYS]),
        ("tests/core/test_gamma.py", [ALWAYS]),
        ("tests/torch/test_gone.py", [ALWAYS]),
        (
            "conformance/dropblock_conformance/judging/inference.py",
            [ALWAYS, "tests/conformance/judging/test_inference.py"],
        ),
        ("conformance/dropblock_conformance/checks/scale.py", [ALWAYS, "tests/conformance/judging/test_scale.py"]),
        ("adapters/dropblock_tf/namespace.py", [ALWAYS, "tests/tf"]),
        ("README.md", [ALWAYS, *(f"tests/docs/test_{name}.py" for name in ("docs", "readme", "site"))]),
        ("docs/spec.md", [ALWAYS, *(f"tests/docs/test_{name}.py" for name in ("docs", "readme", "site"))]),
        (
            "docs/playground/stream.js",
            [ALWAYS, "tests/docs/test_playground.py", "tests/docs/test_playground_page.py"],
        ),
        (
            "docs/experiments/full_size/cost.py",
            [
                ALWAYS,
                "tests/docs/test_full_size.py",
                *(f"tests/docs/test_full_size_{part}.py" for part in ("metrics", "parts", "refusals", "samples")),
            ],
        ),
        (
            "docs/experiments/data.py",
            [ALWAYS, *(f"tests/docs/test_experiments{part}.py" for part in ("", "_page", "_parts"))],
        ),
        ("Makefile", [ALWAYS]),
    ],
)
def test_a_change_runs_the_tests_of_its_name_or_its_folder(file: str, paths: list[str]) -> None:
    assert selected([file]) == paths


def test_what_lies_in_a_folder_that_runs_anyway_is_not_named_again() -> None:
    assert selected(["adapters/dropblock_tf/namespace.py", "tests/tf/test_masks.py"]) == [ALWAYS, "tests/tf"]


def test_what_changed_is_committed_staged_or_new(tmp_path: Path) -> None:
    def git(*command: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    for name in ("kept", "staged", "committed"):
        (tmp_path / name).write_text("before")
    git("add", ".")
    git("commit", "-qm", "before")
    (tmp_path / "staged").write_text("after")
    git("add", "staged")
    (tmp_path / "new").touch()
    assert changed(tmp_path) == ["staged", "new"]
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    (tmp_path / "committed").write_text("after")
    git("commit", "-qam", "after")
    assert changed(tmp_path) == ["committed", "staged", "new"]
