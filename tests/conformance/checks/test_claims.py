"""What is not claimed is not asked for, and what is claimed is judged by it: no false alarm, no pass by silence."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from dropblock_conformance import Claims, Outcome, Subject, certify
from dropblock_conformance.checks import all_checks
from dropblock_conformance.subject import DTYPES
from dropblock_core import LinearSchedule, drop_block

# It costs seconds at any claims, and calls at one shape: tests/conformance/subjects/test_subjects.py runs it.
CHECKS = [check for check in all_checks() if check != "scale.large"]

# One claim at a time, each with the checks that it concerns and some that it must not.
ONE_AT_A_TIME = [
    (Claims(spatial=(1,)), ["mask.blocks", "mask.clipped", "values.nothing_kept", "schedule.evaluation", "law.rank1"]),
    (Claims(spatial=(3,)), ["mask.blocks", "mask.clipped", "seed.same", "law.rank3", "independence.calls"]),
    (Claims(dtypes=("float16",)), ["scale.claimed", "scale.float16", "gradient.scale", "law.float16", "law.full_map"]),
    (Claims(dtypes=("bfloat16",)), ["scale.claimed", "scale.bfloat16", "gradient.scale", "law.bfloat16", "seed.same"]),
    (Claims(dtypes=("float64",)), ["output.dtype", "scale.claimed", "gradient.scale", "law.full_map"]),
    (Claims(even_blocks=False), ["mask.blocks", "mask.clipped", "scale.claimed", "law.even_block", "law.drawn"]),
    (Claims(clips=False), ["mask.blocks", "mask.clipped", "gradient.mask", "law.clipped", "law.full_map"]),
    (Claims(non_square=False), ["mask.blocks", "mask.clipped", "values.every_unit", "law.everywhere", "law.clipped"]),
    (Claims(keep_prob_zero=False), ["mask.blocks", "gradient.scale", "values.nothing_kept", "law.keep_prob_zero"]),
    (Claims(seedable=False), ["seed.same", "seed.fresh", "mask.blocks", "gradient.mask", "independence.calls"]),
    (Claims(per_channel=False), ["mask.shared", "scale.claimed", "law.full_map", "law.pairs", "independence.samples"]),
    (Claims(per_sample=False), ["mask.shared", "scale.claimed", "law.full_map", "law.pairs", "independence.channels"]),
    (Claims(per_sample=False, per_channel=False), ["mask.shared", "scale.claimed", "seed.fresh", "law.full_map"]),
    (Claims(renorm="sample"), ["scale.claimed", "gradient.scale", "values.nothing_kept", "law.full_map"]),
    (Claims(renorm="map"), ["scale.claimed", "gradient.scale", "values.nothing_kept", "law.full_map"]),
    (Claims(renorm="expected"), ["scale.claimed", "gradient.scale", "values.nothing_kept", "law.full_map"]),
    (Claims(renorm="none"), ["scale.claimed", "gradient.scale", "values.nothing_kept", "law.full_map"]),
]

# Several claims at once where they do not hide one another: each run takes a few seconds.
CLAIMS = [
    Claims(even_blocks=False),
    *(
        pytest.param(claims, marks=pytest.mark.exhaustive)
        for claims in (
            Claims(spatial=(1, 2, 3), dtypes=DTYPES),
            Claims(spatial=(1,), seedable=False, per_channel=False),
            Claims(spatial=(3,), clips=False, renorm="none"),
            Claims(dtypes=("float16",)),
            Claims(dtypes=("bfloat16", "float64"), renorm="sample"),
            Claims(seedable=False, renorm="map"),
            Claims(per_channel=False, renorm="expected"),
            Claims(per_sample=False),
            Claims(per_sample=False, per_channel=False),
        )
    ),
]


def claimed(claims: object) -> str:
    """What differs from the defaults, as a test's id."""
    if not isinstance(claims, Claims):
        return ""
    changed = {name: value for name, value in asdict(claims).items() if value != asdict(Claims())[name]}
    return "-".join(f"{name}={value}" for name, value in changed.items()) or "defaults"


class Strict:
    """The reference behind exactly these claims; it notes every call beyond them."""

    def __init__(self, claims: Claims) -> None:
        self.claims = claims
        self.rng = np.random.default_rng(0)
        self.beyond: set[str] = set()

    def look(self, x: np.ndarray, block_size: int) -> None:
        feat = x.shape[2:]
        if len(feat) not in self.claims.spatial:
            self.beyond.add(f"spatial rank {len(feat)}")
        if x.dtype.name not in self.claims.dtypes:
            self.beyond.add(f"dtype {x.dtype.name}")
        if not self.claims.even_blocks and any(min(block_size, f) % 2 == 0 for f in feat):
            self.beyond.add(f"block_size {block_size} on a map of {feat}")
        if not self.claims.clips and block_size > min(feat):
            self.beyond.add(f"block_size {block_size} on a map of {feat}")
        if not self.claims.non_square and len(set(feat)) > 1:
            self.beyond.add(f"a map of {feat}")

    def seed(self, seed: int) -> int:
        return seed if self.claims.seedable else int(self.rng.integers(2**63))

    def drop(self, x: np.ndarray, **arguments: Any) -> Any:
        self.look(x, arguments["block_size"])
        if not self.claims.keep_prob_zero and arguments["keep_prob"] == 0:
            self.beyond.add("keep_prob 0")
        if not self.claims.per_sample and arguments.get("training", True):
            kept = drop_block(np.ones_like(x[:1]), per_channel=self.claims.per_channel, renorm="none", **arguments) != 0
            return np.where(kept, x * np.float32(kept.size / max(1, kept.sum())), np.float32(0))
        return drop_block(x, per_channel=self.claims.per_channel, renorm=self.claims.renorm, **arguments)

    def call(self, x: np.ndarray, *, seed: int, **arguments: Any) -> Any:
        return self.drop(x, seed=self.seed(seed), **arguments)

    def grad(self, x: np.ndarray, dy: np.ndarray, *, seed: int, **arguments: Any) -> tuple[Any, Any]:
        seed = self.seed(seed)
        return self.drop(x, seed=seed, **arguments), self.drop(dy, seed=seed, **arguments)

    def schedule(self, keep_prob: float, steps: int) -> Iterator[float]:
        linear = LinearSchedule(keep_prob, steps)
        return (linear(step) for step in range(steps + 1))

    def subject(self) -> Subject:
        return Subject("strict", self.call, self.claims, self.grad, self.schedule)


def require_what_is_claimed(claims: Claims, checks: list[str]) -> None:
    # At a fixed seed the statistical outcomes are deterministic; at the tiny profile they take few maps.
    strict = Strict(claims)
    report = certify(strict.subject(), profile="tiny", checks=checks)
    assert not strict.beyond
    wrong = {r.id: r.summary for r in report.results if r.outcome not in (Outcome.CONFORMS, Outcome.NOT_APPLICABLE)}
    assert not wrong
    assert report.conforms


@pytest.mark.parametrize("claims", CLAIMS, ids=claimed)
def test_an_implementation_that_is_all_it_claims_conforms_and_is_asked_for_no_more(claims: Claims) -> None:
    # One map a call takes 20,000 calls here to tell two of them apart: seconds of a layer, a minute of this reference.
    one_map = not (claims.per_sample or claims.per_channel)
    require_what_is_claimed(claims, [check for check in CHECKS if not (one_map and check == "independence.calls")])


@pytest.mark.parametrize(("claims", "checks"), ONE_AT_A_TIME, ids=claimed)
def test_a_claim_changes_what_the_checks_it_concerns_ask_for(claims: Claims, checks: list[str]) -> None:
    require_what_is_claimed(claims, checks)


HALF = {"law.float16", "law.bfloat16", "scale.float16", "scale.bfloat16"}
RANKS = {"law.rank1", "law.rank3"}


@pytest.mark.parametrize(
    ("claims", "not_applicable"),
    [
        (Claims(spatial=(1, 2, 3), dtypes=DTYPES), {"mask.shared"}),
        (Claims(), {"mask.shared", *HALF, *RANKS}),
        (Claims(clips=False), {"mask.shared", *HALF, *RANKS, "law.clipped", "mask.clipped"}),
        (
            Claims(non_square=False),
            {"mask.shared", *HALF, *RANKS, "law.non_square", "law.wide", "law.tall", "law.clipped"},
        ),
        (
            Claims(keep_prob_zero=False),
            {"mask.shared", *HALF, *RANKS, "law.keep_prob_zero", "values.nothing_kept", "gradient.nothing_kept"},
        ),
        (
            Claims(per_channel=False),
            {"independence.channels", "independence.all_channels", "law.each_channel", *HALF, *RANKS},
        ),
        (
            Claims(seedable=False),
            {"mask.shared", *HALF, *RANKS, "mask.ignores_values", "values.dropped_zero", "output.layout", "seed.same"}
            | {"gradient.nonfinite", "gradient.edges", "gradient.layout", "values.edges", "seed.lasting", "seed.bits"},
        ),
    ],
    ids=claimed,
)
def test_what_does_not_apply_is_what_is_not_claimed(claims: Claims, not_applicable: set[str]) -> None:
    subject = Strict(claims).subject()
    assert {check.id for check in all_checks().values() if check.needs(subject)} == not_applicable


def test_another_dtype_in_inference_is_seen() -> None:
    right = Strict(Claims())

    def call(x: np.ndarray, *, training: bool, **arguments: Any) -> Any:
        return right.call(x, training=training, **arguments) if training else x.astype(np.float64)

    (result,) = certify(Subject("wide", call), profile="tiny", checks=["mode.inference"]).results
    assert result.outcome == Outcome.DEVIATES
    assert result.summary.startswith("inference returns float64 for float32")


def test_gradients_and_schedules_are_claimed_by_offering_them() -> None:
    bare = Subject("bare", Strict(Claims()).call)
    reasons = {check.id: check.needs(bare) for check in all_checks().values() if check.needs(bare)}
    for id, reason in reasons.items():
        if id.startswith("gradient."):
            assert reason.startswith("offers no gradient")
        if id.startswith("schedule."):
            assert reason == "offers no schedule"
    assert sum(id.startswith(("gradient.", "schedule.")) for id in reasons) == 11


def test_a_schedule_that_is_finished_values_cannot_be_interrupted() -> None:
    linear = lambda keep_prob, steps: list(Strict(Claims()).schedule(keep_prob, steps))  # noqa: E731
    finished = Subject("finished", Strict(Claims()).call, schedule=linear)
    schedules = [id for id in all_checks() if id.startswith("schedule.")]
    results = {result.id: result for result in certify(finished, profile="tiny", checks=schedules).results}
    for id in ("schedule.ends", "schedule.linear"):
        assert results[id].outcome == Outcome.CONFORMS
    for id in ("schedule.training_calls", "schedule.evaluation"):
        assert results[id].outcome == Outcome.NOT_APPLICABLE
        assert results[id].summary.startswith("its schedule returns finished values; return an iterator")
