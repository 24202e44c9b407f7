"""Hostile calls: each argument of a front door is now and then of a strange type, or wrong, and both are known.

What is drawn says what it means in plain Python, or that it has to be refused. So each call has one right outcome: what
the plain arguments give, or a ValueError or TypeError that names an argument which is wrong.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import dropblock_core as core
from dropblock_core.validate import shown
from tests.shared.comparing import RENORMS

CALLS = int(os.environ.get("HOSTILE_CALLS", "50"))  # a door; `make fuzz-calls` asks for 1,000
Arguments = Mapping[str, "Drawn"]


class _Refused:
    def __repr__(self) -> str:
        return "REFUSED"


REFUSED = _Refused()


class Drawn(NamedTuple):
    """An argument, and what it means in plain Python."""

    value: Any
    plain: Any = REFUSED

    def __repr__(self) -> str:
        return f"Drawn({shown('value', self.value)}, {shown('plain', self.plain)})"


class Subclass(np.ndarray[Any, Any]):
    """An array as somebody's library derives it."""


# --- what an argument may be ----------------------------------------------------------------------------------------

HUGE = 10**5000  # Python does not write it out
OBJECTS = [None, "", "3", b"3", "nan", [], {}, set(), object(), int, len, 3 + 0j, np.datetime64("nat"), Decimal("0.5")]
ARRAYS = [np.array([0.5, 0.5]), np.array([[1]]), np.array("3"), np.array(None), np.ma.array(1, mask=True), np.ma.masked]
JUNK = OBJECTS + ARRAYS
NO_NUMBER = [*JUNK, True, False, np.True_, np.array(True)]
NO_INTEGER = [*NO_NUMBER, 3.0, float("nan"), float("inf"), np.float32(3), np.array(3.0), Fraction(3)]
NOT_FINITE = [float("nan"), float("inf"), -float("inf"), np.float32("nan"), -HUGE]

OF_NUMBERS = [float, np.float64, np.array, lambda v: np.array([v], "f8").view(Subclass)[0]]
OF_INTEGERS = [int, np.int64, np.uint64, np.array]
Own = Callable[[Any], Any]  # a framework's own array of a plain value


def right(values: Sequence[Any], kinds: Sequence[Own]) -> st.SearchStrategy[Drawn]:
    """One of `values`, of one of these kinds."""
    return st.builds(lambda value, kind: Drawn(kind(value), value), st.sampled_from(values), st.sampled_from(kinds))


def wrong(*values: Any) -> st.SearchStrategy[Drawn]:
    return st.sampled_from([Drawn(value) for value in values])


def sides(rank: int, own: Sequence[Own]) -> tuple[st.SearchStrategy[Drawn], st.SearchStrategy[Drawn]]:
    """block_size: what it may be, and what it may not."""
    one = right([1, 2, 3], [*OF_INTEGERS, *own])
    huge = st.sampled_from([Drawn(size, 99) for size in (99, 10**30, HUGE)])
    each = st.lists(one, min_size=rank, max_size=rank).map(lambda many: tuple(zip(*many, strict=True)))
    tuples = st.builds(lambda both, kind: Drawn(kind(both[0]), both[1]), each, st.sampled_from([tuple, list]))
    junk = [*NO_INTEGER, 0, -1, -HUGE, (), (3,) * (rank + 1), [0] * rank, (3.0,) * rank, ("3",) * rank, ((3,),) * rank]
    return one | huge | tuples, wrong(*junk, *[make(True) for make in own], *[make(1.5) for make in own])


def flags(own: Sequence[Own]) -> tuple[st.SearchStrategy[Drawn], st.SearchStrategy[Drawn]]:
    junk = [*JUNK, "False", "True", 0, 1, 0.0, np.int64(1), np.array([True]), *[make(1) for make in own]]
    return right([True, False], [bool, np.bool_, np.array, *own]), wrong(*junk)


def words(edges: Sequence[int], beyond: int, own: Sequence[Own]) -> tuple[Any, Any]:
    """An integer among `edges`, and junk; `beyond` is the first that is too large."""
    small = right([0, 1, 7], [*OF_INTEGERS, *own])
    large = right(edges, [int, np.uint64])
    return small | large, wrong(*[v for v in NO_INTEGER if v is not None], -1, np.int64(-1), beyond, 10**30, HUGE)


# --- whole calls ----------------------------------------------------------------------------------------------------


class Program(NamedTuple):
    """What a compiler would compile anew for."""

    shape: tuple[int, ...]  # [samples, channels, *spatial]
    dtype: Any
    block_size: int | None = None  # None is any
    renorm: str | None = None
    per_channel: bool | None = None


DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=3).flatmap(
    lambda feat: st.tuples(st.integers(0, 3), st.integers(0, 3), *map(st.just, feat))
)
PROGRAMS = st.tuples(SHAPES, st.sampled_from(DTYPES)).map(lambda both: Program(*both))
# Each takes a compiler a part of a second.
FEW_PROGRAMS = st.sampled_from(
    [
        Program((2, 3, 7), np.float32, 2, "tensor", True),
        Program((2, 2, 4, 5), np.float32, 3, "sample", True),
        Program((1, 2, 4, 5), ml_dtypes.bfloat16, 2, "map", False),
        Program((2, 1, 3, 3, 4), np.float16, 2, "expected", True),
        Program((3, 2, 4, 4), np.float32, 1, "none", False),
    ]
)
SPECIAL = [np.nan, np.inf, -np.inf, -0.0, 1e30, 6e4, 1e-30]  # XLA takes subnormal numbers for 0


def activations(shape: tuple[int, ...], dtype: Any, seed: int) -> np.ndarray[Any, Any]:
    x = np.random.default_rng(seed).standard_normal(shape)
    x.flat[: seed % 8] = SPECIAL[: min(seed % 8, x.size)]
    with np.errstate(over="ignore"):
        return x.astype(dtype)


@dataclass(frozen=True)
class Door:
    """A way in: `call` takes the arguments that it names; `dress` makes a plain array one of the door's own."""

    name: str
    call: Callable[..., Any]
    dress: Sequence[Callable[[np.ndarray[Any, Any]], Any]]
    no_array: Sequence[Any]
    lacks: Sequence[str] = ()  # arguments that it does not have
    own: Sequence[Own] = ()  # 0-d arrays of its framework
    programs: st.SearchStrategy[Program] = PROGRAMS
    more: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)  # arguments of its own


@st.composite
def calls(draw: st.DrawFn, door: Door) -> Arguments:
    """The arguments of one call, about half of which are right throughout."""

    def either(both: tuple[Any, Any]) -> Drawn:
        return draw(both[draw(st.integers(0, 19)) == 0])

    program = draw(door.programs)
    shape, samples, rank = program.shape, program.shape[0], len(program.shape) - 2
    x = activations(shape, program.dtype, draw(st.integers(0, 99)))
    right_x = st.sampled_from(door.dress).map(lambda dress: Drawn(dress(x.copy()), x))
    numbers, own = [*OF_NUMBERS, *door.own], door.own
    drawn = {
        "x": either((right_x, wrong(*door.no_array))),
        "keep_prob": either(
            (
                right([0.5, 0.75, 0.0, 1.0], [*numbers, Fraction]) | right([1e-300, 1 - 2**-53, 2**-1074], [float]),
                wrong(*NO_NUMBER, *NOT_FINITE, -1e-9, -(2**-1074), 1 + 2**-52, 2, HUGE, [0.5], (0.5,)),
            )
        ),
        "block_size": either(sides(rank, own)),
        "training": either(flags(own)) if draw(st.booleans()) else Drawn(True, True),
        "per_channel": either(flags(own)),
        "renorm": either((right(RENORMS, [str, np.str_]), wrong(*JUNK, "batch", "Tensor", 1, True, ["tensor"]))),
        "calibrated": either(flags(own)),
        "seed": either(words([2**63, 2**64 - 1], 2**64, ())),
        "sample_offset": either(words([2**31, 2**32 - max(samples, 1)], 2**32 - max(samples, 1) + 1, own)),
        "stream": either(words([2**31, 2**32 - 1], 2**32, own)),
        **{name: either(both) for name, both in door.more.items()},
    }
    scales = [1.0] if drawn["calibrated"].plain is True else [1.0, 0.25, 0.0, 2.0]
    drawn["gamma_scale"] = either((right(scales, numbers), wrong(*NO_NUMBER, *NOT_FINITE, -1, HUGE)))
    for name, fixed in program._asdict().items():
        if name in drawn and fixed is not None and drawn[name].plain is not REFUSED:
            drawn[name] = Drawn(fixed, fixed)
    if draw(st.integers(0, 39)) == 0:
        name = draw(st.sampled_from(["p", "drop_prob", "rate", "blok_size"]))
        drawn[name] = draw(wrong(0.1, HUGE, None, "0.1", float("nan"), object()))
    return {name: value for name, value in drawn.items() if name not in door.lacks}


def literally(plain: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """Algorithm 1 on plain arguments, from the seeds and masks of the reference."""
    options = {"training": True, "per_channel": True, "sample_offset": 0, "stream": 0} | dict(plain)
    x, keep_prob, block = options["x"], options["keep_prob"], options["block_size"]
    samples, channels, *sizes = x.shape
    feat, maps = tuple(sizes), channels if options["per_channel"] else 1
    if not options["training"] or keep_prob == 1 or not x.size:
        return np.asarray(x)
    gamma = core.gamma(keep_prob, block, feat, gamma_scale=options["gamma_scale"], calibrated=options["calibrated"])
    counters = {name: options[name] for name in ("sample_offset", "stream")}
    seeds = core.sample_seeds(options["seed"], samples, maps, feat, block, gamma, **counters)
    mask = core.block_mask(seeds, block, feat)
    axes = {"tensor": None, "sample": tuple(range(1, x.ndim)), "map": tuple(range(2, x.ndim))}
    with np.errstate(all="ignore"):
        if options["renorm"] in axes:
            scale = np.nan_to_num(1 / mask.mean(axis=axes[options["renorm"]], keepdims=True), posinf=0)
        else:
            kept = core.expected_keep(gamma, block, feat) if options["renorm"] == "expected" else 1.0
            scale = np.float64(1 / kept if kept else 0)
        wide = np.float64 if x.dtype == np.float64 else np.float32
        y = (x.astype(wide) * scale.astype(wide)).astype(x.dtype)
    return np.where(np.broadcast_to(mask, x.shape), y, np.zeros((), x.dtype))


# --- the verdict ----------------------------------------------------------------------------------------------------


def judge(call: Callable[..., Any], drawn: Arguments, compare: Callable[[Any, dict[str, Any]], None]) -> str:
    """The outcome of one call; AssertionError where it is not the right one."""
    wrongs = [name for name, argument in drawn.items() if argument.plain is REFUSED]
    y, error = None, None
    try:
        y = call(**{name: argument.value for name, argument in drawn.items()})
    except Exception as raised:
        error = raised
    if error is None:
        assert not wrongs, f"{wrongs} were taken in silence"
        compare(y, {name: argument.plain for name, argument in drawn.items()})
        return "as NumPy"
    said = f"{type(error).__name__}: {error}"
    assert wrongs, f"right arguments were refused: {said}"
    assert type(error) in (ValueError, TypeError), f"a raw exception for {wrongs}: {said}"
    assert any(re.search(rf"\b{name}\b", str(error)) for name in wrongs), f"{wrongs} are wrong, not: {said}"
    return "refused"


def try_calls(
    name: str,
    call: Callable[..., Any],
    strategy: st.SearchStrategy[Arguments],
    compare: Callable[[Any, dict[str, Any]], None],
) -> None:
    """Make `CALLS` hostile calls, and print how many there were."""
    outcomes: Counter[str] = Counter()

    # Told as drawn: to shrink takes minutes where calls compile.
    @settings(max_examples=CALLS, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def one(drawn: Arguments) -> None:
        outcomes[judge(call, drawn, compare)] += 1

    one()
    print(f"\n{name}: {outcomes.total()} calls, {outcomes['refused']} refused, {outcomes['as NumPy']} as NumPy")
    assert min(outcomes["refused"], outcomes["as NumPy"]) > CALLS // 20, "the calls are all of one kind"
