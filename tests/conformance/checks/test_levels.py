"""Fair to the right, merciless to the wrong: honest variants of the paper conform to it, and wrong ones do not."""

import importlib.util
from dataclasses import replace

import pytest

from dropblock_conformance import Claims, Outcome, Subject, certify
from dropblock_conformance.checks import all_checks, asked_at
from dropblock_conformance.level import Severity
from dropblock_conformance.subjects import load
from tests.mutants import MUTANTS
from tests.mutants.variants import VARIANTS, WRONG

from ..support import NUMPY, returning

USUAL = ("AuthorsRule", "EpsilonInTheCount", "EqOneOnWholeMap", "ScaleByKeepProb")


def usually(names: object) -> list[object]:
    return [n if n in USUAL else pytest.param(n, marks=pytest.mark.exhaustive) for n in names]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", usually(VARIANTS))
def test_an_honest_variant_conforms_to_the_paper(name: str) -> None:
    report = certify(VARIANTS[name].build(), profile="tiny", level="paper")
    assert {r.id: r.summary for r in report.findings} == {}
    assert report.conforms_to("paper")
    assert report.verdict == "the paper's"


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


def test_torchvision_conforms_to_the_paper_in_float32() -> None:
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    candidate = load("torchvision")
    subject = replace(candidate.subject, claims=replace(candidate.subject.claims, dtypes=("float32",)))
    report = certify(subject, profile="tiny", level="paper", expect=candidate.expect)
    assert {r.id: r.summary for r in report.findings} == {}
    assert report.conforms_to("paper")


# --- what the levels are ----------------------------------------------------------------------------------------------

ROBUST = {
    *("law.non_square", "law.wide", "law.tall", "law.clipped", "law.keep_prob_zero", "law.rank1", "law.rank3"),
    *("law.everywhere", "mask.clipped", "schedule.training_calls", "output.dtype", "output.layout", "scale.large"),
    *("values.nothing_kept", "values.edges", "gradient.nothing_kept", "gradient.nonfinite", "gradient.edges"),
    *("seed.same", "seed.lasting", "seed.bits"),
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


def test_where_gamma_is_far_off_what_would_say_so_again_is_not_run_unless_it_is_asked_for() -> None:
    subject = MUTANTS["EqOneOnWholeMap"].build().subject("far off")
    report = certify(subject, profile="tiny")
    results = {r.id: r for r in report.results}
    assert results["law.paper"].outcome == Outcome.DEVIATES
    assert results["law.corners"].outcome == Outcome.NOT_APPLICABLE
    assert results["law.corners"].summary.startswith("not run: law.paper is off by +2")
    (alone,) = certify(subject, profile="tiny", checks=["law.corners"]).results
    assert alone.outcome == Outcome.DEVIATES
