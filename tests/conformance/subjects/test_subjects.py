"""The subjects that come with the suite, and how a name becomes one."""

import sys
from pathlib import Path

import pytest

from dropblock_conformance import Deviation, Outcome, Subject, certify
from dropblock_conformance.checks import all_checks
from dropblock_conformance.subjects import BUILT_IN, load

from ..support import NUMPY

MODULE = """
from dropblock_conformance import Deviation, Subject
subject = Subject("mine", lambda x, **_: x)
known = [Deviation("law.paper", "drops nothing", effect=(-1, -1))]
pair = subject, known

def make(): return pair
def call(x, *, keep_prob, block_size, training, seed): return x

class Holder:
    inner = subject
"""
BROKEN = "import os\nos.no_such_thing\n"


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"my_subjects": MODULE, "my_broken": BROKEN, "my_needy": "import no_such_package"}.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize(("attribute", "declared"), [("subject", 0), ("pair", 1), ("make", 1)])
def test_a_subject_is_loaded_by_module_and_attribute(attribute: str, declared: int) -> None:
    candidate = load(f"my_subjects:{attribute}")
    assert isinstance(candidate.subject, Subject)
    assert candidate.subject.name == "mine"
    assert [type(deviation) for deviation in candidate.expect] == [Deviation] * declared
    assert candidate.repeat == f"my_subjects:{attribute}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nunpy", r"no subject is called 'nunpy': did you mean 'numpy'\?"),
        ("zzz", r"no subject is called 'zzz': built in are numpy, torch\b.*miguelvr\b.*name it as module:attribute"),
        ("", "no subject is called ''"),
        (
            "no_such_module:x",
            "subject 'no_such_module:x' cannot be imported: ModuleNotFoundError: No module named 'no_such_module'",
        ),
        ("my_needy:x", "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
        ("my_subjects:absent", "module 'my_subjects' has no attribute 'absent'"),
        ("my_subjects:known", "is a list, not a Subject"),
        # The module's own fault must not be told as a missing attribute.
        ("my_broken:subject", "no_such_thing"),
        # What a new user tries first: the layer's function itself.
        ("my_subjects:call", "Subject"),
        (":subject", "subject ':subject'"),
        (".my_subjects:subject", "subject '.my_subjects:subject'"),
    ],
)
def test_what_is_no_subject_is_told(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        load(name)


# At a fixed seed the outcomes are deterministic. A usual run leaves it to the honest ancestor of the mutants, and to
# `make conformance`.
@pytest.mark.parametrize("profile", [pytest.param(name, marks=pytest.mark.exhaustive) for name in ("tiny", "quick")])
def test_the_numpy_reference_conforms_in_full(profile: str) -> None:
    report = certify(NUMPY, profile=profile)
    fine = (Outcome.CONFORMS, Outcome.NOT_APPLICABLE)
    assert {r.id: (r.outcome, r.summary) for r in report.results if r.outcome not in fine} == {}
    assert len(report.results) == len(all_checks())
    assert report.conforms
    assert [r.id for r in report.results if r.outcome == Outcome.NOT_APPLICABLE] == ["mask.shared"]


def test_built_in_subjects_are_described() -> None:
    assert set(BUILT_IN) >= {"numpy", "miguelvr"}
    assert all(description for _, description in BUILT_IN.values())
