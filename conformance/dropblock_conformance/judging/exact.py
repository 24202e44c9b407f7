# SPDX-License-Identifier: Apache-2.0
"""The engine of the exact checks: Hypothesis draws settings freely, and every one of them has to hold.

No statistics here: one violation is one too many. Hypothesis shrinks it to the simplest setting that shows it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from hypothesis import Phase, reject
from hypothesis import strategies as st
from hypothesis.errors import Flaky, Unsatisfiable

from dropblock_conformance.judging.answers import NothingKeptError, SubjectError
from dropblock_conformance.judging.check import Context, Finding, Violation
from dropblock_conformance.judging.drawing import drawn, play
from dropblock_conformance.judging.dtypes import dtype_named
from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.judging.inputs import ordinary
from dropblock_conformance.level import Severity, gravity, least_grave
from dropblock_conformance.subject import Array, Claims


@dataclass(frozen=True)
class Setting:
    """One call's arguments; `dtype` by name."""

    shape: tuple[int, ...]
    block_size: int
    keep_prob: float
    seed: int
    dtype: str

    @property
    def feat(self) -> tuple[int, ...]:
        return self.shape[2:]

    @property
    def block(self) -> tuple[int, ...]:
        return tuple(min(self.block_size, f) for f in self.feat)

    @property
    def units(self) -> int:
        return prod(self.shape)

    @property
    def is_of_paper(self) -> bool:
        """Whether the paper speaks of it: a square map that holds the block, a keep_prob in (0, 1]."""
        return len(set(self.feat)) == 1 and self.block_size <= self.feat[0] and 0.0 < self.keep_prob <= 1.0

    @property
    def arguments(self) -> dict[str, Any]:
        """The keywords of a training call."""
        return {"keep_prob": self.keep_prob, "block_size": self.block_size, "seed": self.seed}

    def ones(self) -> Array:
        return np.ones(self.shape, dtype_named(self.dtype))

    def values(self) -> Array:
        """Activations between 0.5 and 2 in size, of either sign, the same whenever the setting is."""
        return ordinary(self.shape, self.dtype, self.seed)

    def __str__(self) -> str:
        return (
            f"shape {self.shape}, block_size {self.block_size}, keep_prob {self.keep_prob:g}, {self.dtype}, "
            f"seed {self.seed}"
        )


# Sizes of one axis by spatial rank: small ones, and some past one and two machine words.
AXES = {1: st.integers(1, 100), 2: st.integers(1, 12) | st.integers(30, 70), 3: st.integers(1, 6)}

SEEDS = st.integers(0, 2**31 - 1)

T = TypeVar("T")
Kind = tuple[tuple[int, ...], int, str]  # of a call: what a compiler makes a program of


@st.composite
def kinds(draw: st.DrawFn, claims: Claims, beyond_map: bool, square: bool) -> Kind:
    """Shape, block_size and dtype; `square` asks for equal sides."""
    rank = draw(st.sampled_from(claims.spatial))
    if square or not claims.non_square or draw(st.booleans()):
        feat = (draw(AXES[rank]),) * rank
    else:
        feat = tuple(draw(st.lists(AXES[rank], min_size=rank, max_size=rank)))
    if beyond_map and not claims.even_blocks:
        feat = tuple(f - 1 + f % 2 for f in feat)  # a block clipped to an even side is even
    sides = range(min(feat) + 1, max(feat) + 4) if beyond_map else range(1, min(feat) + 1)
    block_size = draw(st.sampled_from([b for b in sides if claims.even_blocks or b % 2]))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 4)), *feat)
    return shape, block_size, draw(st.sampled_from(claims.dtypes))


def valid_settings(
    context: Context, *, keep_prob: st.SearchStrategy[float] | None = None, beyond_map: bool = False
) -> st.SearchStrategy[Setting]:
    """Settings within the subject's claims; at level ``"paper"`` those alone that the paper speaks of.

    `beyond_map` asks for blocks larger than the map, which the subject must allow. A subject that compiles a program
    for each kind of call gets few kinds, the same in every check of a run.
    """
    claims, only_paper = context.subject.claims, context.level == "paper"
    kind = kinds(claims, beyond_map, only_paper)
    if context.subject.compiles:
        kind = st.sampled_from(drawn(kind, context.seed, context.profile.programs))
    if keep_prob is None:
        least = 0.01 if only_paper or not claims.keep_prob_zero else 0.0
        keep_prob = st.floats(least, 0.99)
    return st.builds(
        lambda kind, keep_prob, seed: Setting(kind[0], kind[1], keep_prob, seed, kind[2]), kind, keep_prob, SEEDS
    )


# How an implementation refuses a call. At settings that the paper does not speak of, that is its right.
REFUSALS = (ValueError, TypeError, NotImplementedError, AssertionError)


@contextmanager
def unless_refused() -> Iterator[None]:
    """What is asked on the way, as a keep_prob of 1, may be refused: a check of its own says so."""
    try:
        yield
    except SubjectError as error:
        if not isinstance(error.__cause__, REFUSALS):
            raise


NOTHING_TO_SEE = "nothing was dropped, or nothing kept"


class VacuousError(Exception):
    """A case told nothing: nothing was dropped, or nothing kept."""


def require_some(dropped: npt.NDArray[np.bool_]) -> None:
    """Raise :class:`VacuousError` unless something was dropped and something kept."""
    if dropped.all() or not dropped.any():
        raise VacuousError(NOTHING_TO_SEE)


class Search:
    """One pass over the cases that Hypothesis draws: what was wrong, what was refused, what told nothing.

    A violation at least as grave as `stops_at` ends the pass and is shrunk; lesser ones are only noted.
    """

    def __init__(self, context: Context, stops_at: Severity) -> None:
        self.context, self.stops_at = context, stops_at
        self.violations: list[tuple[Any, Violation, Severity]] = []
        self.noted: list[tuple[Any, Violation, Severity]] = []
        self.errors: list[Exception] = []
        self.refusals: list[SubjectError] = []
        self.held = self.vacuous = 0

    def severity(self, case: Any, violation: Violation) -> Severity:
        """Of a violation: at most that of its check, and no more than serious where the paper says nothing."""
        own = violation.severity or self.context.severity
        of_paper = not isinstance(case, Setting) or case.is_of_paper
        return own if of_paper else least_grave(own, Severity.SERIOUS)

    def play(self, cases: st.SearchStrategy[T], holds: Callable[[T], None]) -> None:
        def every(case: T) -> None:
            try:
                holds(case)
            except NothingKeptError:
                reject()  # R10 has a check of its own
            except VacuousError:
                self.vacuous += 1
                return
            except Violation as violation:
                severity = self.severity(case, violation)
                if gravity(severity) > gravity(self.stops_at):
                    self.noted.append((case, violation, severity))
                    self.held += 1  # as far as this search asks
                    return
                self.violations.append((case, violation, severity))
                raise
            except SubjectError as error:
                is_free = isinstance(case, Setting) and not case.is_of_paper
                if not (is_free and isinstance(error.__cause__, REFUSALS)):
                    self.errors.append(error)
                    raise
                self.refusals.append(error)
                reject()
            except Exception as error:
                self.errors.append(error)
                raise
            self.held += 1

        profile = self.context.profile
        try:
            play(cases, every, self.context.digest, profile.examples, [Phase.generate, Phase.shrink])
        except Unsatisfiable:
            pass  # every case was rejected
        except (Violation, Flaky):
            # Flaky: the subject answered otherwise when asked again. What was seen was seen.
            if not self.violations and self.errors:
                raise self.errors[-1] from self.errors[-1].__cause__
            if not self.violations:
                raise


def for_all(context: Context, cases: st.SearchStrategy[T], holds: Callable[[T], None]) -> Finding:
    """Whether `holds` returns for every case drawn; it raises :class:`Violation` where the rule is broken.

    It raises :class:`VacuousError` where a case tells nothing, as when nothing was dropped. The gravest violation is
    reported: where the first search has only lesser ones than the check can find, a second one looks for the simplest
    of the gravest.
    """
    search = Search(context, context.severity)
    search.play(cases, holds)
    if search.noted and not search.violations and context.level == "robust":
        gravest = min(search.noted, key=lambda noted: gravity(noted[2]))
        search = Search(context, gravest[2])
        search.play(cases, holds)
        search.violations.insert(0, gravest)  # if it did not come again, it was seen once
    if search.violations:
        case, violation, severity = search.violations[-1]
        data = {"setting": str(case)}
        return Finding(Verdict.DEVIATES, violation.effect, f"{violation}, at {case}", data, severity)
    refused = ""
    if search.refusals:
        cause = search.refusals[-1].__cause__
        refused = f"; refused at {len(search.refusals)} of which the paper does not speak, with {type(cause).__name__}"
    if not search.held:
        if search.refusals and not search.vacuous:
            raise search.refusals[-1] from search.refusals[-1].__cause__
        what = f"{NOTHING_TO_SEE} at any setting" if search.vacuous else "no setting gave an answer to look at"
        return Finding(Verdict.INCONCLUSIVE, 0.0, f"{what}{refused}")
    counts = {"settings_tried": search.held, "settings_refused": len(search.refusals)}
    return Finding(Verdict.CONFORMS, 0.0, f"held at {search.held} settings{refused}", counts)


def once(holds: Callable[[], str]) -> Finding:
    """A check of one setting: `holds` returns what it saw, or raises :class:`Violation` or :class:`VacuousError`."""
    try:
        return Finding(Verdict.CONFORMS, 0.0, holds())
    except Violation as violation:
        return Finding(Verdict.DEVIATES, violation.effect, str(violation), severity=violation.severity)
    except VacuousError as nothing:
        return Finding(Verdict.INCONCLUSIVE, 0.0, str(nothing))


def both(first: Finding, other: Finding) -> Finding:
    """Two findings of one check as one: the graver, the first of two alike."""
    if first.verdict == other.verdict == Verdict.CONFORMS:
        return Finding(Verdict.CONFORMS, 0.0, f"{first.summary}; {other.summary}", first.data | other.data)
    return gravest([first, other])


def gravest(findings: Sequence[Finding]) -> Finding:
    """The first of those that are worst."""
    order = (Verdict.DEVIATES, Verdict.INCONCLUSIVE, Verdict.CONFORMS)
    return min(findings, key=lambda found: (order.index(found.verdict), gravity(found.severity or Severity.WRONG)))


def share(wrong: Any) -> float:
    """The share of units that are wrong: the effect of most exact checks."""
    return float(np.mean(wrong))
