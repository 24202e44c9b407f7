"""Fair to the right, merciless to the wrong: honest variants of the paper conform to it, and wrong ones do not."""

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dropblock_conformance import Claims, Deviation, Outcome, Subject, certify
from dropblock_conformance.checks import all_checks, asked_at, law, mode
from dropblock_conformance.level import Severity
from dropblock_conformance.subjects import load
from tests.mutants import MUTANTS
from tests.mutants.variants import VARIANTS, WRONG

from ..support import NUMPY, TINY, returning

USUAL = ("AuthorsRule", "EpsilonInTheCount", "EqOneOnWholeMap", "ScaleByKeepProb")
# What a usual run asks for: all that is exact, and three laws. The rest is left to `make test-all`.
QUICK = [c.id for c in asked_at("paper") if not c.tests(TINY)] + ["law.paper", "law.even_block", "independence.samples"]


def usually(names: Iterable[str]) -> list[Any]:
    return [n if n in USUAL else pytest.param(n, marks=pytest.mark.exhaustive) for n in names]


def require_the_papers(subject: Subject, checks: list[str] | None = None, expect: Sequence[Deviation] = ()) -> None:
    profile = "small" if checks is None else "tiny"
    report = certify(subject, profile=profile, level="paper", checks=checks, expect=expect)
    assert {r.id: r.summary for r in report.findings} == {}
    assert report.conforms_to("paper")
    assert report.verdict.startswith("the paper's")


@pytest.mark.parametrize("name", usually(VARIANTS))
def test_an_honest_variant_conforms_to_the_paper(name: str) -> None:
    require_the_papers(VARIANTS[name].build(), QUICK)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", VARIANTS)
def test_an_honest_variant_conforms_to_all_of_the_paper(name: str) -> None:
    require_the_papers(VARIANTS[name].build())


def torchvision_in_float32() -> tuple[Subject, Sequence[Deviation]]:
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    candidate = load("torchvision")
    claims = replace(candidate.subject.claims, dtypes=("float32",))
    # What it is declared to do in half precision is not asked for.
    return replace(candidate.subject, claims=claims), [d for d in candidate.expect if not d.check.endswith("float16")]


def test_torchvision_conforms_to_the_paper_in_float32() -> None:
    subject, expect = torchvision_in_float32()
    require_the_papers(subject, QUICK, expect)


@pytest.mark.exhaustive
def test_torchvision_conforms_to_all_of_the_paper_in_float32() -> None:
    subject, expect = torchvision_in_float32()
    require_the_papers(subject, None, expect)


@pytest.mark.parametrize("name", usually(WRONG))
def test_a_wrong_one_does_not(name: str) -> None:
    mutant = MUTANTS[name]
    report = certify(mutant.build().subject(name), profile="closer", level="paper", checks=[mutant.killer])
    assert not report.conforms_to("paper")
    (result,) = report.results
    assert (result.outcome, result.severity, result.level) == (Outcome.DEVIATES, Severity.WRONG, "paper")


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["EpsilonInTheCount", "MultipliesAsPrinted", "NanWhereNothingKept"])
def test_asked_for_robustness_it_is_still_the_papers_and_says_what_it_lacks(name: str) -> None:
    report = certify(VARIANTS[name].build(), profile="small")
    assert report.conforms_to("paper")
    assert not report.conforms
    assert report.verdict.startswith("the paper's; ")
    assert report.verdict.rstrip("s").endswith(" robustness finding")


def test_there_are_twelve_of_each() -> None:
    assert len(VARIANTS) >= 12
    assert len(WRONG) >= 12
    assert all(all_checks()[MUTANTS[name].killer].level == "paper" for name in WRONG)


# --- what the levels are ----------------------------------------------------------------------------------------------

ROBUST = {
    *("law.non_square", "law.wide", "law.tall", "law.clipped", "law.keep_prob_zero", "law.rank1", "law.rank3"),
    *("law.everywhere", "mask.clipped", "schedule.training_calls", "output.dtype", "output.layout", "scale.large"),
    *("values.nothing_kept", "values.edges", "gradient.nothing_kept", "gradient.nonfinite", "gradient.edges"),
    *("seed.same", "seed.lasting", "seed.bits", "gradient.layout", "law.special"),
}


def test_every_check_belongs_to_a_level() -> None:
    assert {id for id, check in all_checks().items() if check.level == "robust"} == ROBUST
    assert {check.id for check in asked_at("paper")} == set(all_checks()) - ROBUST
    assert [check.id for check in asked_at("robust")] == list(all_checks())


def test_an_unknown_level_is_refused_with_those_there_are() -> None:
    told = "level='strict' is unknown: choose one of 'paper', 'robust'"
    with pytest.raises(ValueError, match=told):
        certify(NUMPY, level="strict")
    with pytest.raises(ValueError, match=told):
        certify(NUMPY, profile="tiny", checks=["mask.shared"]).conforms_to("strict")


def test_what_was_not_asked_is_no_pass() -> None:
    report = certify(NUMPY, profile="tiny", level="paper", checks=["mode.inference"])
    assert report.conforms
    assert report.conforms_to("paper")
    assert not report.conforms_to("robust")


def test_the_commands_that_repeat_a_check_say_the_level() -> None:
    (result,) = certify(NUMPY, profile="tiny", level="paper", checks=["mode.inference"]).results
    assert "level='paper'" in result.repeat


@pytest.mark.parametrize(
    ("claims", "said"),
    [(Claims(renorm="none"), "no renormalisation"), (Claims(per_sample=False), "one mask for a whole batch")],
)
def test_a_variant_says_that_it_is_one(claims: Claims, said: str) -> None:
    report = certify(Subject("variant", NUMPY.call, claims), profile="tiny", checks=["mode.inference"])
    assert report.conforms
    assert f"; a variant: {said}" in report.verdict


def test_a_layer_that_never_drops_passes_nothing_by_that() -> None:
    checks = [
        "mask.blocks",
        "values.dropped_zero",
        "scale.claimed",
        "values.every_unit",
        "mask.ignores_values",
        "seed.fresh",
    ]
    report = certify(returning(lambda x: x.copy()), profile="tiny", checks=checks)
    assert {r.outcome for r in report.results} == {Outcome.INCONCLUSIVE}
    assert not report.conforms_to("paper")


def test_where_gamma_is_far_off_what_would_say_so_again_is_not_run_unless_it_is_asked_for(
    only_checks: Callable[..., None],
) -> None:
    only_checks(law.corners, law.paper, mode.inference)  # in whatever order they come
    subject = MUTANTS["EqOneOnWholeMap"].build().subject("far off")
    corners, paper, inference = certify(subject, profile="tiny").results
    assert (paper.outcome, inference.outcome) == (Outcome.DEVIATES, Outcome.CONFORMS)
    assert corners.outcome == Outcome.NOT_APPLICABLE
    assert corners.summary.startswith("not run: law.paper is off by +2")
    (alone,) = certify(subject, profile="tiny", checks=["law.corners"]).results
    assert alone.outcome == Outcome.DEVIATES
    little = MUTANTS["GammaFivePercentLess"].build().subject("a little off")
    assert Outcome.NOT_APPLICABLE not in {r.outcome for r in certify(little, profile="tiny").results}
