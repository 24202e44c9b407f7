"""What checks there are, and the randomness each works with."""

import importlib
import re
from pkgutil import iter_modules

import numpy as np
import pytest

from dropblock_conformance import checks
from dropblock_conformance.checks import all_checks, find
from dropblock_conformance.judging.check import Check
from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.judging.profile import PROFILES

from ..support import NUMPY, TINY, check_that_finds, context, finding

CHECKS = all_checks()

# What a check may point to: a line, an equation, a figure or a section of the paper.
PLACE = re.compile(r"Algorithm 1 line|[Ll]ines? \d|Eq\. \(1\)|Fig\. \d|[Ss]ection \d")


def test_every_check_of_a_family_is_listed_once() -> None:
    families = (importlib.import_module(f"{checks.__name__}.{home.name}") for home in iter_modules(checks.__path__))
    written = {id(value): value for family in families for value in vars(family).values() if isinstance(value, Check)}
    assert {check.id for check in checks.ALL} == {check.id for check in written.values()}
    assert len(CHECKS) == len(checks.ALL) == len(written) == 62


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_every_check_says_what_it_tests_and_where_the_paper_says_so(check: Check) -> None:
    rules, _, place = check.rule.partition(" · ")
    assert re.fullmatch(r"R\d+(, R\d+)*|R\d+ to R\d+", rules), check.rule
    assert all(1 <= int(number) <= 14 for number in re.findall(r"\d+", rules))
    assert PLACE.search(place), check.rule
    assert check.title
    assert not check.title.endswith(".")
    assert check.explanation.endswith(".")
    assert check.effect_is
    assert re.fullmatch(r"[a-z]+\.[a-z0-9_]+", check.id)


def test_what_all_checks_returns_can_be_changed_without_harm() -> None:
    all_checks().clear()
    assert all_checks() == CHECKS


def test_checks_are_found_by_id_in_the_order_asked() -> None:
    assert [check.id for check in find(["seed.same", "law.paper"])] == ["seed.same", "law.paper"]
    assert find([]) == []


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("mask.block", "no check is called 'mask.block': did you mean 'mask.blocks'?"),
        ("law.papr", "no check is called 'law.papr': did you mean 'law.paper'?"),
        ("Mask.Blocks", "did you mean 'mask.blocks'?"),
        ("zzz", "no check is called 'zzz': `dropblock-conformance list` shows all checks"),
        ("", "no check is called ''"),
    ],
)
def test_an_unknown_id_is_told_the_nearest_known_one(wanted: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        find(["law.paper", wanted])


def numbers(**changes: object) -> list[int]:
    return context(**changes).rng.integers(2**63, size=4).tolist()  # type: ignore[arg-type]


def test_a_stream_depends_on_seed_check_and_attempt_and_on_nothing_else() -> None:
    assert numbers() == numbers()
    assert numbers(alpha=0.5, profile=PROFILES["thorough"]) == numbers()
    others = [numbers(seed=1), numbers(check_id="another.check"), numbers(attempt=1), numbers(seed=-1)]
    assert len({tuple(stream) for stream in [numbers(), *others]}) == 5


def test_streams_are_the_same_in_every_process() -> None:
    # Evidence of an old report must be repeatable: Python's hash(), or a counter over checks, would not do.
    assert context(check_id="law.paper").digest == 276332127755333467822291931365381138158


def test_a_new_check_shifts_no_stream(only_checks) -> None:
    before = numbers(check_id="law.paper")
    only_checks(check_that_finds(finding(Verdict.CONFORMS)), *CHECKS.values())
    assert numbers(check_id="law.paper") == before


def test_seeds_for_a_subject_leave_room_for_a_successor() -> None:
    drawn = context()
    drawn.rng = np.random.default_rng(1)
    seeds = [drawn.new_seed() for _ in range(1000)]
    assert len(set(seeds)) == 1000
    assert all(0 <= seed < 2**31 - 1 for seed in seeds)
    assert all(type(seed) is int for seed in seeds)


def test_only_statistical_checks_have_tests_and_a_plan() -> None:
    for check in CHECKS.values():
        tests, plan = check.tests(TINY), check.plan(NUMPY, TINY, 1e-6, 0)
        assert sum(row["tests"] for row in plan) == tests
        assert (tests > 0) == check.id.startswith(("law.", "independence."))
        assert all(row["maps"] >= 64 for row in plan)
