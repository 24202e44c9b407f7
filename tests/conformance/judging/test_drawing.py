"""What Hypothesis draws follows from a seed alone; outside a play, and in other threads, it works as ever."""

import importlib
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

from dropblock_conformance.judging.drawing import CacheByThread, blind_to_modules, drawn, play

NUMBERS = st.integers(0, 2**31 - 1)


def test_cases_follow_from_the_seed() -> None:
    assert drawn(NUMBERS, 0, 20) == drawn(NUMBERS, 0, 20)
    assert drawn(NUMBERS, 0, 20) != drawn(NUMBERS, 1, 20)
    assert len(drawn(NUMBERS, 0, 20)) == 20


def test_cases_do_not_depend_on_the_modules_that_are_loaded(make_module: Callable[[str], object]) -> None:
    before = drawn(NUMBERS, 0, 500)
    make_module(f"KNOWN = {list(range(1_000, 2_000))}")  # which Hypothesis would try
    importlib.import_module("their_dropblock")
    assert drawn(NUMBERS, 0, 500) == before
    assert 1_000 in providers._get_local_constants().integers  # as everybody else is to see


def test_only_the_playing_thread_is_blind_to_modules() -> None:
    seen: dict[str, int] = {}

    def look(who: str) -> None:
        seen[who] = len(providers._get_local_constants().integers)

    def while_playing(_: int) -> None:
        look("playing")
        other = threading.Thread(target=look, args=["another thread"])
        other.start()
        other.join()

    play(NUMBERS, while_playing, 0, 1, [Phase.generate])
    look("after")
    assert seen["playing"] == 0 < seen["another thread"] == seen["after"]


def test_a_play_within_a_play_leaves_the_outer_one_blind() -> None:
    seen: list[int] = []

    def outer(_: int) -> None:
        drawn(NUMBERS, 1, 1)
        seen.append(len(providers._get_local_constants().integers))

    play(NUMBERS, outer, 0, 2, [Phase.generate])
    assert seen == [0, 0]


def test_hypothesis_is_patched_once_however_many_threads_ask() -> None:
    assert blind_to_modules()
    patched = providers._get_local_constants, providers.CONSTANTS_CACHE
    threads = [threading.Thread(target=blind_to_modules) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (providers._get_local_constants, providers.CONSTANTS_CACHE) == patched
    assert not isinstance(providers.CONSTANTS_CACHE.everybodys, CacheByThread)


def test_no_thread_but_the_first_searches_the_objects_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn(NUMBERS, 0, 1)
    searches: list[object] = []
    monkeypatch.setattr("gc.get_referrers", lambda *objects: searches.append(objects) or [objects])
    found: list[list[int]] = []
    thread = threading.Thread(target=lambda: found.append(drawn(NUMBERS, 0, 3)))
    thread.start()
    thread.join()
    assert found == [drawn(NUMBERS, 0, 3)]
    assert searches == []


@pytest.mark.parametrize("name", ["_get_local_constants", "CONSTANTS_CACHE"])
def test_without_the_private_names_cases_are_drawn_all_the_same(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    names = {"_get_local_constants": None, "CONSTANTS_CACHE": {}}
    del names[name]
    monkeypatch.setattr("hypothesis.internal.conjecture.providers", SimpleNamespace(**names))
    assert not blind_to_modules()
    assert len(drawn(NUMBERS, 0, 5)) == 5


def test_without_the_class_of_constants_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis.internal.constants_ast", None)
    assert not blind_to_modules()
