"""The engine of the exact checks: it finds violations and shrinks them, stays within claims, and rounds as R9 says."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropblock_conformance import Claims
from dropblock_conformance.checks.mask import opening, require_blocks
from dropblock_conformance.judging.answers import BadOutputError, NothingKeptError, SubjectError
from dropblock_conformance.judging.check import Violation
from dropblock_conformance.judging.dtypes import dtype_named, scaled_range
from dropblock_conformance.judging.exact import Setting, for_all, once, require_some, share, valid_settings
from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.level import Severity
from dropblock_conformance.subject import DTYPES

from ..support import TINY, context, honest

SETTINGS = valid_settings(context(honest(Claims(spatial=(1, 2, 3), dtypes=DTYPES))))


# --- for_all --------------------------------------------------------------------------------------------------------


def test_a_rule_that_holds_is_tried_at_as_many_settings_as_the_profile_says() -> None:
    tried: list[Setting] = []
    finding = for_all(context(), SETTINGS, tried.append)
    assert (finding.verdict, finding.effect) == (Verdict.CONFORMS, 0.0)
    assert len(tried) == TINY.examples
    assert finding.data == {"settings_tried": TINY.examples, "settings_refused": 0}


def test_settings_follow_the_stream() -> None:
    def tried(**changes: object) -> list[Setting]:
        found: list[Setting] = []
        for_all(context(**changes), SETTINGS, found.append)  # type: ignore[arg-type]
        return found

    assert tried() == tried()
    assert tried() != tried(seed=1)
    assert tried() != tried(attempt=1)


def test_settings_do_not_depend_on_the_modules_that_are_loaded(make_module: Callable[[str], object]) -> None:
    def tried() -> list[Setting]:
        found: list[Setting] = []
        for_all(replace(context(), profile=replace(TINY, examples=200)), SETTINGS, found.append)
        return found

    before = tried()
    make_module(f"KNOWN = {list(range(1000, 2000))}")  # Hypothesis would try these as seeds
    importlib.import_module("their_dropblock")
    assert tried() == before


def test_a_violation_is_found_and_shrunk() -> None:
    def holds(setting: Setting) -> None:
        if setting.feat[0] >= 4 and setting.block_size >= 2:
            raise Violation("too large", 0.25)

    finding = for_all(context(), valid_settings(context(honest(Claims()))), holds)
    assert (finding.verdict, finding.effect) == (Verdict.DEVIATES, 0.25)
    wanted = "shape (1, 1, 4, 4), block_size 2, keep_prob 0.5, float32, seed 0"
    assert finding.summary == f"too large, at {wanted}"
    assert finding.data == {"setting": wanted}
    assert finding.severity == Severity.WRONG


def test_where_the_paper_says_nothing_a_violation_is_less_grave_and_shrunk_too() -> None:
    def holds(setting: Setting) -> None:
        if setting.feat[0] > setting.feat[1]:
            raise Violation("too tall", 0.25)

    settings = valid_settings(context(honest(Claims())))
    finding = for_all(context(), settings, holds)
    assert finding.summary.startswith("too tall, at shape (1, 1, ")
    assert finding.summary.endswith(", 1), block_size 1, keep_prob 0, float32, seed 0")
    assert finding.severity == Severity.SERIOUS
    assert for_all(context(level="paper"), settings, holds).verdict == Verdict.CONFORMS


def test_the_gravest_violation_is_reported() -> None:
    def holds(setting: Setting) -> None:
        if setting.feat == (1, 1):
            raise Violation("a digit", 0.1, Severity.COSMETIC)
        if setting.feat[0] == setting.feat[1] > 5:
            raise Violation("a law", 0.2)

    settings = valid_settings(context(honest(Claims())))
    finding = for_all(replace(context(), profile=replace(TINY, examples=100)), settings, holds)
    assert (finding.severity, finding.effect) == (Severity.WRONG, 0.2)


def test_a_lesser_violation_that_does_not_come_again_was_seen() -> None:
    calls = 0

    def holds(setting: Setting) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Violation("a digit, once", 0.5, Severity.COSMETIC)

    finding = for_all(context(), SETTINGS, holds)
    assert (finding.verdict, finding.effect, finding.severity) == (Verdict.DEVIATES, 0.5, Severity.COSMETIC)


def refusing(setting: Setting, error: Exception) -> None:
    raise SubjectError(str(error)) from error


def test_what_is_refused_where_the_paper_says_nothing_is_skipped_and_said() -> None:
    def holds(setting: Setting) -> None:
        if setting.feat[0] != setting.feat[1]:
            refusing(setting, NotImplementedError("square maps only"))

    finding = for_all(context(), valid_settings(context(honest(Claims()))), holds)
    assert finding.verdict == Verdict.CONFORMS
    assert finding.data["settings_refused"] > 0
    assert "of which the paper does not speak, with NotImplementedError" in finding.summary


@pytest.mark.parametrize("error", [ValueError("no"), RuntimeError("a crash")])
def test_a_refusal_of_what_the_paper_says_and_a_crash_anywhere_are_not_skipped(error: Exception) -> None:
    def holds(setting: Setting) -> None:
        if setting.is_of_paper == isinstance(error, ValueError):
            refusing(setting, error)

    with pytest.raises(SubjectError, match=str(error)):
        for_all(context(), valid_settings(context(honest(Claims()))), holds)


def test_where_all_is_refused_the_refusal_is_the_answer() -> None:
    settings = valid_settings(context(honest(Claims())), beyond_map=True)
    with pytest.raises(SubjectError, match="no clipping"):
        for_all(context(), settings, lambda setting: refusing(setting, ValueError("no clipping")))


def test_where_nothing_is_dropped_nothing_is_concluded() -> None:
    def holds(setting: Setting) -> None:
        require_some(setting.ones() == 0)

    finding = for_all(context(), SETTINGS, holds)
    assert finding.verdict == Verdict.INCONCLUSIVE
    assert finding.summary == "nothing was dropped, or nothing kept at any setting"


def test_what_a_flaky_subject_did_wrong_is_reported_though_it_does_right_when_asked_again() -> None:
    calls = 0

    def holds(setting: Setting) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Violation("wrong once", 0.5)

    finding = for_all(context(), SETTINGS, holds)
    assert (finding.verdict, finding.effect) == (Verdict.DEVIATES, 0.5)
    assert finding.summary.startswith("wrong once, at shape (")


def test_a_setting_at_which_nothing_is_kept_is_another_checks_business() -> None:
    calls = 0

    def holds(setting: Setting) -> None:
        nonlocal calls
        calls += 1
        if calls % 2:
            raise NothingKeptError(np.full(1, np.nan))

    finding = for_all(context(), SETTINGS, holds)
    assert finding.verdict == Verdict.CONFORMS
    assert finding.data["settings_tried"] == calls // 2 >= TINY.examples


def test_where_no_setting_gave_an_answer_nothing_is_concluded() -> None:
    def holds(setting: Setting) -> None:
        raise NothingKeptError(np.full(1, np.nan))

    finding = for_all(context(), SETTINGS, holds)
    assert finding.verdict == Verdict.INCONCLUSIVE
    assert finding.summary == "no setting gave an answer to look at"


def test_what_is_no_violation_is_not_swallowed() -> None:
    def holds(setting: Setting) -> None:
        raise BadOutputError("a list")

    with pytest.raises(BadOutputError, match="a list"):
        for_all(context(), SETTINGS, holds)


def test_once_says_what_was_seen_or_what_is_wrong() -> None:
    def wrong() -> str:
        raise Violation("all wrong", 0.75)

    assert (once(lambda: "all good").verdict, once(lambda: "all good").summary) == (Verdict.CONFORMS, "all good")
    assert (once(wrong).verdict, once(wrong).effect, once(wrong).summary) == (Verdict.DEVIATES, 0.75, "all wrong")


def test_share_is_the_part_that_is_wrong() -> None:
    assert share(np.array([True, False, False, False])) == 0.25


# --- settings -------------------------------------------------------------------------------------------------------


@given(
    data=st.data(),
    spatial=st.sets(st.sampled_from([1, 2, 3]), min_size=1).map(tuple),
    dtypes=st.sets(st.sampled_from(DTYPES), min_size=1).map(tuple),
    even_blocks=st.booleans(),
    beyond_map=st.booleans(),
)
def test_settings_stay_within_the_claims(
    data: st.DataObject, spatial: tuple[int, ...], dtypes: tuple[str, ...], even_blocks: bool, beyond_map: bool
) -> None:
    claims = Claims(spatial=spatial, dtypes=dtypes, even_blocks=even_blocks)
    setting = data.draw(valid_settings(context(honest(claims)), beyond_map=beyond_map))
    assert len(setting.feat) in spatial
    assert setting.dtype in dtypes
    assert even_blocks or setting.block_size % 2
    assert (setting.block_size > min(setting.feat)) == beyond_map
    assert 0 <= setting.keep_prob < 1
    assert 0 <= setting.seed < 2**31


@given(SETTINGS)
def test_activations_tell_kept_from_dropped_in_every_dtype(setting: Setting) -> None:
    x = setting.values()
    assert x.dtype == setting.ones().dtype == dtype_named(setting.dtype)
    assert x.shape == setting.ones().shape == setting.shape
    assert ((np.abs(x) >= 0.5) & (np.abs(x) <= 2)).all()
    assert (setting.ones() == 1).all()
    assert np.array_equal(x, setting.values())
    assert setting.values() is not setting.values()  # a subject may write into what it is given


@pytest.mark.parametrize("beyond_map", [False, True])
def test_a_subject_that_compiles_gets_few_kinds_of_call_the_same_in_every_check(beyond_map: bool) -> None:
    subject = replace(honest(Claims(spatial=(1, 2, 3), dtypes=DTYPES)), compiles=True)
    profile = replace(TINY, examples=60, programs=5)
    seen: dict[str, set[tuple[object, ...]]] = {}
    for check_id, seed in (("one", 0), ("other", 0), ("one", 1)):
        asked = seen.setdefault(f"{check_id} {seed}", set())
        tried = context(subject, profile, check_id, seed=seed)
        for_all(
            tried,
            valid_settings(tried, beyond_map=beyond_map),
            lambda s, asked=asked: asked.add((s.shape, s.block_size, s.dtype)),  # type: ignore[misc]
        )
    assert len(seen["one 0"]) == 5
    assert seen["one 0"] == seen["other 0"] != seen["one 1"]


def test_the_block_of_a_setting_is_clipped() -> None:
    assert Setting((1, 1, 2, 9), 5, 0.5, 0, "float32").block == (2, 5)


# --- what rounding allows -------------------------------------------------------------------------------------------


def product_of(x: np.ndarray, scale: float, ulps: int, dtype: str) -> np.ndarray:
    """x times a scale that is `ulps` off, in the type that R9 names, rounded once."""
    wide = np.float64 if dtype == "float64" else np.float32
    off = wide(scale) + ulps * np.spacing(wide(scale))
    return (x.astype(wide) * off).astype(x.dtype)


def within(y: np.ndarray, ends: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return (ends[0] <= y) & (y <= ends[1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_scale_two_ulp_off_passes_and_one_further_off_shows(dtype: str) -> None:
    rng = np.random.default_rng(0)
    wide = np.float64 if dtype == "float64" else np.float32
    caught = 0
    for ones in rng.integers(10, 2**30, 60):
        count = int(ones * 10 ** rng.uniform(0, 2))
        exact = count / int(ones)
        x = (rng.uniform(0.5, 2, 2048) * rng.choice([-1, 1], 2048)).astype(dtype_named(dtype))
        ends = scaled_range(x, np.asarray(exact), dtype)
        ulp = np.spacing(wide(exact))
        for ulps in (-2, -1, 0, 1, 2):
            off = Fraction(float(wide(exact) + ulps * ulp)) - Fraction(count, int(ones))
            if abs(off) <= 2 * Fraction(float(ulp)):  # what R9 allows, of the exact ratio
                assert within(product_of(x, exact, ulps, dtype), ends).all(), (exact, ulps)
        # In half precision the same rounded product mostly comes out: it shows where rounding tips over, which is too
        # rare among the few values of bfloat16 to be seen at 8 ulp.
        far = 512 if dtype == "bfloat16" else 8
        caught += sum((~within(product_of(x, exact, ulps, dtype), ends)).sum() for ulps in (-far, far))
    assert caught > 0


def test_a_product_beyond_the_dtype_may_be_infinite_and_nothing_else() -> None:
    low, high = scaled_range(np.array([60000.0, -60000.0, 1.0], np.float16), np.asarray(2.0), "float16")
    assert low.tolist() == high.tolist() == [np.inf, -np.inf, 2.0]


# --- whole blocks ---------------------------------------------------------------------------------------------------


def union_of_blocks(dropped: np.ndarray, block: tuple[int, ...]) -> np.ndarray:
    """Every unit that lies in a block which is dropped whole: one block after the other."""
    covered = np.zeros_like(dropped)
    for anchor in product(*(range(f - b + 1) for f, b in zip(dropped.shape, block, strict=True))):
        where = tuple(slice(a, a + b) for a, b in zip(anchor, block, strict=True))
        covered[where] |= dropped[where].all()
    return covered


@given(st.data())
def test_opening_keeps_what_whole_blocks_cover(data: st.DataObject) -> None:
    feat = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple))
    block = tuple(data.draw(st.integers(1, f)) for f in feat)
    # Mostly dropped, so that whole blocks occur.
    dropped = np.random.default_rng(data.draw(st.integers(0, 999))).random((2, 2, *feat)) < data.draw(st.floats(0.3, 1))
    opened = opening(dropped, block)
    for n, c in np.ndindex(2, 2):
        assert np.array_equal(opened[n, c], union_of_blocks(dropped[n, c], block))


def test_stray_units_are_counted() -> None:
    setting = Setting((1, 1, 4, 4), 2, 0.5, 0, "float32")
    dropped = np.zeros((1, 1, 4, 4), bool)
    dropped[0, 0, :2, :2] = True
    require_blocks(setting, dropped)
    dropped[0, 0, 3, 3] = True
    with pytest.raises(Violation, match="1 of 5 dropped units belong to no whole 2x2 block inside the map") as caught:
        require_blocks(setting, dropped)
    assert caught.value.effect == pytest.approx(0.2)
