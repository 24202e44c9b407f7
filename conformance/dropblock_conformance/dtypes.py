"""NumPy dtypes by the names that claims use, and how closely a product in each can be rounded."""

import ml_dtypes
import numpy as np
import numpy.typing as npt


def dtype_named(name: str) -> npt.DTypeLike:
    """The dtype; bfloat16 comes from ml_dtypes, as NumPy has none."""
    return ml_dtypes.bfloat16 if name == "bfloat16" else np.dtype(name)


def unit_roundoff(name: str) -> float:
    """Half the distance from 1 to the next number."""
    return float(ml_dtypes.finfo(dtype_named(name)).eps) / 2


def scale_tolerance(name: str) -> float:
    """How far a kept value may be from ``x * count / count_ones``, relatively (rule R9).

    The scale is within 2 ulp of float32 (float64 for float64), an ulp being at most 2 roundoffs; the product is
    rounded once in that type and once to the dtype. A term of second order covers the products of these.
    """
    wide = unit_roundoff("float64" if name == "float64" else "float32")
    return (5 * wide + unit_roundoff(name)) * (1 + 1e-6) if name != "float32" else 5 * wide * (1 + 1e-6)
