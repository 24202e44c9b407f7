"""The adversary's mutants are what they say: each runs, each differs from Honest, and Honest's rest is untouched.

What the suite says of them is measured elsewhere. A mutant that is Honest would be a false reproach to the suite, so
one battery of calls, made of Honest and of each mutant in the same order, has to show every fault.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest

from tests.mutants import MUTANTS, WILD, Honest, Wild
from tests.mutants.register import CAUSES, wild
from tests.mutants.wild import scopes
from tests.mutants.wild.battery import ancestor, answers
from tests.mutants.wild.hooks import Seeing

Array = np.ndarray[Any, Any]


def test_there_are_many_of_every_cause_each_with_its_own_fault() -> None:
    faults = [mutant.fault for mutant in (*MUTANTS.values(), *WILD.values())]
    assert len(set(faults)) == len(faults)
    assert not set(MUTANTS) & set(WILD)
    assert len(WILD) >= 400
    assert all(number >= 30 for number in Counter(mutant.cause for mutant in WILD.values()).values())
    assert {mutant.cause for mutant in WILD.values()} == set(CAUSES)


@pytest.mark.parametrize(("name", "cause"), [("OneMaskForAll", "values"), ("Nameless", "weather")])
def test_a_name_that_is_taken_and_an_unknown_cause_are_refused(name: str, cause: str) -> None:
    with pytest.raises(ValueError, match=name if cause == "values" else cause):
        wild("a fault", cause)(type(name, (Honest,), {}))
    assert name not in WILD


def test_each_runs_on_a_small_batch() -> None:
    x = np.linspace(0.5, 2, 2 * 3 * 5 * 5, dtype=np.float32).reshape(2, 3, 5, 5)
    for mutant in WILD.values():
        own = mutant.build()
        rank = max(own.claims.spatial)
        batch = x if 2 in own.claims.spatial else x.reshape(2, 3, *(1,) * (rank - 2), 25)
        arguments: dict[str, Any] = {"keep_prob": 0.7, "block_size": 2, "seed": 5}
        subject = own.subject(mutant.name)
        assert subject.call(batch, training=True, **arguments).shape == batch.shape, mutant.name
        assert subject.call(batch, training=False, **arguments).shape == batch.shape, mutant.name
        assert subject.call(batch[:, :0], training=True, **arguments).size == 0, mutant.name
        assert subject.call(batch[:0], training=True, **arguments).shape[1:] == batch.shape[1:], mutant.name
        assert subject.grad is not None
        assert [answer.shape for answer in subject.grad(batch, batch, **arguments)] == [batch.shape] * 2, mutant.name
        assert subject.schedule is not None
        assert len(list(subject.schedule(0.5, 4))) > 0, mutant.name


@pytest.mark.parametrize("scope", [scopes.BySample, scopes.ByMap, scopes.Expected, scopes.Unscaled])
def test_the_ancestors_with_another_scope_have_honest_masks(scope: type[Honest]) -> None:
    x = np.ones((4, 3, 9, 9), np.float32)
    assert np.array_equal(scope().train(x, 0.8, 3, 7) == 0, Honest().train(x, 0.8, 3, 7) == 0)
    assert np.array_equal(Seeing().train(x, 0.8, 3, 7), Honest().train(x, 0.8, 3, 7))


def test_the_expected_share_is_that_of_many_masks() -> None:
    honest = scopes.Expected()
    dropped = honest.dropped(np.empty((4000, 1, 8, 6), np.float32), 0.7, 3, 1)
    right = 1 / honest.scale(dropped, 0.7, dropped)
    assert right == pytest.approx((~dropped).mean(), abs=0.006)  # four standard errors of 4000 maps


class Recalled:
    """What an honest ancestor answers, asked for once."""

    def __init__(self, own: Honest) -> None:
        self.coming, self.known = answers(own), list[Any]()

    def __iter__(self) -> Iterator[Any]:
        for number in count():
            while len(self.known) <= number:
                if (answer := next(self.coming, None)) is None:
                    return
                self.known.append(answer)
            yield self.known[number]


def first_difference(mutant: Wild, honest: dict[str, Recalled]) -> str | None:
    own = mutant.build()
    right = honest.setdefault(repr(own.claims), Recalled(ancestor_of(own)))
    with np.errstate(all="ignore"):
        return next((what for (what, a), (_, b) in zip(right, answers(own), strict=True) if a != b), None)


def ancestor_of(own: Honest) -> Honest:
    found = ancestor(own)
    found.claims = own.claims
    return found


@pytest.mark.exhaustive
def test_each_answers_some_call_otherwise_than_its_honest_ancestor() -> None:
    honest: dict[str, Recalled] = {}
    assert [name for name, mutant in WILD.items() if first_difference(mutant, honest) is None] == []


def test_an_honest_one_answers_as_honest() -> None:
    assert first_difference(Wild("Honest", "none", "values", Honest), {}) is None
