"""A module of subjects behind workers, none of which may stay."""

import gc
from collections.abc import Callable, Iterator

import pytest

from ..support import Children
from .support import MODULE, worker


@pytest.fixture
def theirs(make_module: Callable[[str], Callable[[str], str]]) -> Callable[[str], str]:
    """The command of a worker for a subject of MODULE."""
    name = make_module(MODULE)
    return lambda attribute: worker(name(attribute))


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    children = Children()
    yield
    gc.collect()  # subjects that an exception has in its traceback
    assert not children.new()
