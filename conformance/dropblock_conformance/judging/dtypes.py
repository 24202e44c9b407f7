# SPDX-License-Identifier: Apache-2.0
"""NumPy dtypes by the names that claims use, and what a product rounded to each may be."""

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

finfo: Any = ml_dtypes.finfo  # which knows bfloat16 too


def dtype_named(name: str) -> np.dtype[Any]:
    """The dtype; bfloat16 comes from ml_dtypes, as NumPy has none."""
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def limits(name: str) -> tuple[float, float, float]:
    """The least normal number of a dtype, the largest one, and the smallest above 0."""
    info = finfo(dtype_named(name))
    return float(info.smallest_normal), float(info.max), float(info.smallest_subnormal)


def tolerance(name: str) -> float:
    """The relative error that an honest implementation keeps: an epsilon in a denominator, a product rounded twice.

    The paper is judged with it; the last digits are our own strictness.
    """
    return max(1e-5, 2 * float(finfo(dtype_named(name)).eps))


def scaled_range(x: npt.NDArray[Any], scale: npt.NDArray[np.float64], dtype: str) -> tuple[Any, Any]:
    """The least and the greatest value that rule R9 allows for ``x * scale``, of `dtype`, unit by unit.

    The factor may be 2 ulp of float32 off (float64 for float64), an ulp being at most two roundoffs, and the product is
    rounded in that type: five roundoffs at most. Rounding to `dtype` is monotone, so it can be done to both ends.
    """
    roundoff = 2.0**-53 if dtype == "float64" else 2.0**-24
    wanted = x.astype(np.float64) * scale
    slack = 5 * roundoff * np.abs(wanted)
    with np.errstate(over="ignore"):  # beyond the dtype's range is infinity, as usual
        return (wanted - slack).astype(dtype_named(dtype)), (wanted + slack).astype(dtype_named(dtype))
