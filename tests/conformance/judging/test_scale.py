"""What the checks take for line 8's factor, and how exactly they hold a subject to it."""

import numpy as np
import pytest

from dropblock_conformance import Claims
from dropblock_conformance.checks.scale import claimed_scale, require_scaled
from dropblock_conformance.judging.check import Violation
from dropblock_conformance.judging.dtypes import dtype_named
from dropblock_conformance.judging.exact import Setting
from dropblock_conformance.subject import DTYPES
from dropblock_core import expected_keep, gamma

SETTING = Setting((3, 4, 6, 6), 3, 0.6, 0, "float32")
DROPPED = np.random.default_rng(0).random(SETTING.shape) < 0.3
DROPPED[1, 2] = True  # a map of which nothing is kept
ROUNDOFF = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}


def scale_of(renorm: str) -> np.ndarray:
    return np.broadcast_to(claimed_scale(Claims(renorm=renorm), SETTING, DROPPED), SETTING.shape)


def test_the_count_runs_over_the_scope_that_is_claimed() -> None:
    for n, c in np.ndindex(3, 4):
        for renorm, scope in (("tensor", ~DROPPED), ("sample", ~DROPPED[n]), ("map", ~DROPPED[n, c])):
            if scope.any():  # where nothing is kept the factor multiplies nothing
                assert scale_of(renorm)[n, c] == pytest.approx(scope.size / scope.sum(), rel=1e-15)
    assert np.isfinite(scale_of("map")).all()


def test_the_exact_expectation_takes_the_place_of_the_count() -> None:
    assert (scale_of("none") == 1).all()
    assert scale_of("expected") == pytest.approx(1 / expected_keep(gamma(0.6, 3, 6), 3, 6))
    nothing = Setting((1, 1, 3, 3), 3, 0.0, 0, "float32")
    assert claimed_scale(Claims(renorm="expected"), nothing, np.ones(nothing.shape, bool)) == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_kept_values_are_held_to_their_last_bits(dtype: str) -> None:
    setting = Setting(SETTING.shape, 3, 0.6, 0, dtype)
    x = setting.values()
    scale = claimed_scale(Claims(), setting, DROPPED)
    wide = np.float64 if dtype == "float64" else np.float32
    y = (np.where(DROPPED, x.dtype.type(0), x).astype(wide) * wide(scale)).astype(dtype_named(dtype))
    seen = require_scaled("values", x, y, ~DROPPED, scale, dtype)
    assert seen == f"all {(~DROPPED).sum():,} values are right to rounding"
    off = 1 + 8 * ROUNDOFF[dtype]  # four units in the last place
    wrong = np.where(DROPPED, 0, x.astype(np.float64) * scale * off).astype(dtype_named(dtype))
    with pytest.raises(Violation, match=rf"{(~DROPPED).sum()} of {(~DROPPED).sum()} values are wrong") as caught:
        require_scaled("values", x, wrong, ~DROPPED, scale, dtype)
    assert caught.value.effect == pytest.approx(off - 1, rel=0.5)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_one_wrong_value_is_enough(value: float) -> None:
    x = SETTING.values()
    scale = claimed_scale(Claims(), SETTING, DROPPED)
    right = (np.where(DROPPED, x.dtype.type(0), x) * scale).astype(np.float32)
    y = right.copy()
    kept, dropped = (tuple(np.argwhere(units)[5]) for units in (~DROPPED, DROPPED))
    y[kept] = value
    with pytest.raises(Violation, match=r"^1 of "):
        require_scaled("values", x, y, ~DROPPED, scale, "float32")
    y[kept], y[dropped] = right[kept], value  # what is dropped is another check's business
    require_scaled("values", x, y, ~DROPPED, scale, "float32")
