"""The engine of the exact checks: Hypothesis draws settings freely, and every one of them has to hold.

No statistics here: one violation is one too many. Hypothesis shrinks it to the simplest setting that shows it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from hypothesis import Phase, reject
from hypothesis import strategies as st
from hypothesis.errors import Flaky, Unsatisfiable

from dropblock_conformance.judging.answers import NothingKeptError
from dropblock_conformance.judging.check import Context, Finding, Violation
from dropblock_conformance.judging.drawing import drawn, play
from dropblock_conformance.judging.dtypes import dtype_named
from dropblock_conformance.judging.inference import Verdict
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
    def arguments(self) -> dict[str, Any]:
        """The keywords of a training call."""
        return {"keep_prob": self.keep_prob, "block_size": self.block_size, "seed": self.seed}

    def ones(self) -> Array:
        return np.ones(self.shape, dtype_named(self.dtype))

    def values(self) -> Array:
        """Activations between 0.5 and 2 in size, of either sign, the same whenever the setting is."""
        rng = np.random.default_rng(self.seed)
        x = rng.uniform(0.5, 2.0, self.shape) * rng.choice([-1.0, 1.0], self.shape)
        return np.asarray(x, dtype_named(self.dtype))

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
def kinds(draw: st.DrawFn, claims: Claims, beyond_map: bool) -> Kind:
    """Shape, block_size and dtype."""
    rank = draw(st.sampled_from(claims.spatial))
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
    """Settings within the subject's claims. `beyond_map` asks for blocks larger than the map, which they must allow.

    A subject that compiles a program for each kind of call gets few kinds, the same in every check of a run.
    """
    kind = kinds(context.subject.claims, beyond_map)
    if context.subject.compiles:
        kind = st.sampled_from(drawn(kind, context.seed, context.profile.programs))
    return st.builds(
        lambda kind, keep_prob, seed: Setting(kind[0], kind[1], keep_prob, seed, kind[2]),
        kind,
        st.floats(0.0, 0.99) if keep_prob is None else keep_prob,
        SEEDS,
    )


def for_all(context: Context, cases: st.SearchStrategy[T], holds: Callable[[T], None]) -> Finding:
    """Whether `holds` returns for every case drawn; it raises :class:`Violation` where the rule is broken."""
    violations: list[tuple[T, Violation]] = []
    errors: list[Exception] = []
    tried = 0

    def every(case: T) -> None:
        nonlocal tried
        try:
            holds(case)
        except NothingKeptError:
            reject()  # R10 has a check of its own
        except Violation as violation:
            violations.append((case, violation))
            raise
        except Exception as error:
            errors.append(error)
            raise
        tried += 1

    try:
        play(cases, every, context.digest, context.profile.examples, [Phase.generate, Phase.shrink])
    except Unsatisfiable:
        pass  # every case was rejected
    except (Violation, Flaky):
        # Flaky: the subject answered otherwise when asked again. What was seen was seen.
        if not violations and errors:
            raise errors[-1] from errors[-1].__cause__
        if not violations:
            raise
        case, violation = violations[-1]
        return Finding(Verdict.DEVIATES, violation.effect, f"{violation}, at {case}", {"setting": str(case)})
    if not tried:
        return Finding(Verdict.INCONCLUSIVE, 0.0, "no setting gave an answer that could be looked at")
    return Finding(Verdict.CONFORMS, 0.0, f"held at {tried} settings", {"settings_tried": tried})


def once(holds: Callable[[], str]) -> Finding:
    """A check of one setting: `holds` returns what it saw, or raises :class:`Violation`."""
    try:
        return Finding(Verdict.CONFORMS, 0.0, holds())
    except Violation as violation:
        return Finding(Verdict.DEVIATES, violation.effect, str(violation))


def share(wrong: Any) -> float:
    """The share of units that are wrong: the effect of most exact checks."""
    return float(np.mean(wrong))
