"""The array libraries to try the core with: JAX, which compiles each operation for each shape, in fewer cases."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.shared.golden import golden_params

LIBRARIES = ["numpy", "array_api_strict", "torch", "jax.numpy"]


def _of(library: str, *case: Any, seldom: bool, name: str = "") -> Any:
    """A library and a case for it, with JAX `exhaustive` if it is to be seldom."""
    marks = [pytest.mark.exhaustive] if seldom and library == "jax.numpy" else []
    return pytest.param(library, *case, id="-".join(filter(None, (library, name))), marks=marks)


def _golden_in_libraries() -> Iterator[Any]:
    seen = set()
    for case in golden_params("seeds.json"):
        *_, row = feat = case.values[0]["feat_size"]
        for library in LIBRARIES:
            yield _of(library, *case.values, seldom=(len(feat), row > 32) in seen, name=str(case.id))
        seen.add((len(feat), row > 32))


but_jax = pytest.mark.parametrize("library", LIBRARIES[:-1], indirect=True)
seldom_jax = pytest.mark.parametrize("library", [_of(name, seldom=True) for name in LIBRARIES], indirect=True)
golden_in_libraries = pytest.mark.parametrize(("library", "golden"), [*_golden_in_libraries()], indirect=["library"])
