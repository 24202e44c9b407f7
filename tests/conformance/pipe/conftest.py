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


@pytest.fixture(scope="module")
def nothing_stays() -> Iterator[None]:
    """No worker outlives the tests of a module; asked once, as to look for what nobody holds takes its time."""
    children = Children()
    yield
    gc.collect()  # subjects that an exception has in its traceback
    assert not children.new()
