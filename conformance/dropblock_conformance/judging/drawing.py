# SPDX-License-Identifier: Apache-2.0
"""Cases that Hypothesis draws from a seed alone, whatever else the process has loaded.

Hypothesis also tries numbers that it finds in the source of loaded modules, so what it draws would depend on them. No
option turns that off: this file alone knows the private names behind it. Where a version of Hypothesis lacks them the
checks still run, and what they draw may then depend on the modules.
"""

import threading
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, given, register_random, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

T = TypeVar("T")


def drawn(cases: st.SearchStrategy[T], seed: int, number: int) -> list[T]:
    """So many cases, which follow from the seed."""
    found: list[T] = []
    play(cases, found.append, seed, number + 1, [Phase.generate])
    return found[1:]  # the first is the simplest there is, whatever the seed


def play(
    cases: st.SearchStrategy[T], body: Callable[[T], None], seed: int, examples: int, phases: Sequence[Phase]
) -> None:
    """Call `body` with what Hypothesis draws; which cases follows from the seed alone."""

    @hypothesis_seed(seed)
    @settings(
        max_examples=examples,
        phases=phases,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def every(case: T) -> None:
        body(case)

    blind_to_modules()
    start_fast()
    outer = getattr(_playing, "cache", None)
    _playing.cache = {}
    try:
        every()
    finally:
        _playing.cache = outer


_playing = threading.local()  # `cache`: the playing thread's own cache of constants, None where it does not play
_lock = threading.Lock()


class CacheByThread:
    """Hypothesis's cache of the constants it may draw; a playing thread has one of its own, without the modules'."""

    def __init__(self, everybodys: Any) -> None:
        self.everybodys = everybodys

    @property
    def mine(self) -> Any:
        cache = getattr(_playing, "cache", None)
        return self.everybodys if cache is None else cache

    def __contains__(self, key: Any) -> bool:
        return key in self.mine

    def __getitem__(self, key: Any) -> Any:
        return self.mine[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.mine[key] = value

    def __getattr__(self, name: str) -> Any:  # what else Hypothesis does with its cache is no business of ours
        return getattr(self.everybodys, name)


def blind_to_modules() -> bool:
    """Have Hypothesis look at no module while :func:`play` runs in the same thread; elsewhere nothing changes.

    Done once a process. False where this version of Hypothesis does not have the names.
    """
    with _lock:
        try:
            from hypothesis.internal.conjecture import providers
            from hypothesis.internal.constants_ast import Constants

            everybodys, cache = providers._get_local_constants, providers.CONSTANTS_CACHE
        except (ImportError, AttributeError):
            return False
        if not isinstance(cache, CacheByThread):

            def of_modules() -> Constants:
                return everybodys() if getattr(_playing, "cache", None) is None else Constants()

            providers._get_local_constants = of_modules
            providers.CONSTANTS_CACHE = CacheByThread(cache)  # type: ignore[assignment]
        return True


_shared = [Random()]


def start_fast() -> None:
    """Have Hypothesis start in a new thread without a search through all objects of the process.

    It registers a generator for each thread that lacks one, and looks for the generator's owner: a second where a
    framework is loaded, and every check has a thread of its own. All of them can share one, because :func:`play` gives
    the seed. Older versions have one for all threads by themselves.
    """
    from hypothesis import core

    (random,) = owner = list(_shared)  # a new list: the search does not see what the garbage collector has frozen
    with _lock:
        register_random(random)  # searches the first time alone
    own = getattr(core, "threadlocal", None)
    if own is not None and getattr(own, "_hypothesis_global_random", owner) is None:
        own._hypothesis_global_random = random
