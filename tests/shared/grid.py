"""Products of options, of which `make test` tries one change at a time and `make test-all` every combination."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest


def grid(**axes: Iterable[Any]) -> pytest.MarkDecorator:
    """Run a test for the product of `axes`, each the values of one argument.

    The first value of each makes up the first combination. Those that differ from it in more than one argument are
    `exhaustive`.
    """
    levels = [list(values) for values in axes.values()]
    params = []
    for places in product(*(range(len(values)) for values in levels)):
        chosen = [values[place] for values, place in zip(levels, places, strict=True)]
        marks = [pytest.mark.exhaustive] if sum(map(bool, places)) > 1 else []
        params.append(pytest.param(*chosen, id="-".join(map(_name, chosen)), marks=marks))
    return pytest.mark.parametrize(list(axes), params)


def _name(value: Any) -> str:
    return getattr(value, "__name__", None) or str(value)
