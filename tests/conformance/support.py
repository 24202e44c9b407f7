"""What these tests share: small profiles, contexts, subjects with one behaviour, and the laws that checks measure."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from math import comb
from typing import Any

import psutil
import pytest

from dropblock_conformance import Claims, Result, Subject
from dropblock_conformance.checks import all_checks
from dropblock_conformance.judging import statistical
from dropblock_conformance.judging.check import Check, Context, Finding
from dropblock_conformance.judging.inference import Verdict
from dropblock_conformance.judging.profile import Profile
from dropblock_conformance.subjects import load
from tests.mutants import Honest

# A wide margin needs few maps: the engine is the same, and a whole run takes a second or two.
TINY = Profile("tiny", margin=0.25, examples=6, programs=6, drawn_laws=1, timeout=600)
# To tell a fault from what chance makes, a margin is at most half of its effect.
SMALL = Profile("small", margin=0.06, examples=15, programs=6, drawn_laws=2, timeout=600)
CLOSER = Profile("closer", margin=0.04, examples=30, programs=6, drawn_laws=2, timeout=600)
PROFILES_OF_TESTS = {profile.name: profile for profile in (TINY, SMALL, CLOSER)}
NUMPY = load("numpy").subject


def context(subject: Subject = NUMPY, profile: Profile = TINY, check_id: str = "a.check", **changes: Any) -> Context:
    return Context(subject, profile, **{"alpha": 1e-6, "seed": 0, "check_id": check_id, **changes})


def honest(claims: Claims | None = None, name: str = "honest") -> Subject:
    """The mutants' common ancestor, a right DropBlock that shares no code with the reference."""
    plain = Honest()
    return Subject(name, plain.call, plain.claims if claims is None else claims, plain.grad, plain.schedule)


def raising(error: BaseException, name: str = "raising") -> Subject:
    def call(x: Any, **_: Any) -> Any:
        raise error

    return Subject(name, call)


def returning(answer: Callable[[Any], Any], name: str = "returning") -> Subject:
    return Subject(name, lambda x, **_: answer(x))


def finding(verdict: Verdict, effect: float = 0.0, summary: str = "seen") -> Finding:
    return Finding(verdict, effect, summary)


def check_of(run: Callable[[Context], Finding], id: str = "temporary.check", **options: Any) -> Check:
    """A check that only a test knows."""
    return Check(id, "A title", "R1 · line 1", "An explanation.", "an effect", run, **options)


def check_that_finds(*findings: Finding | Exception, id: str = "temporary.check", **options: Any) -> Check:
    """A check that finds `findings`, one an attempt."""

    def run(context: Context) -> Finding:
        found = findings[context.attempt]
        if isinstance(found, Exception):
            raise found
        return found

    return check_of(run, id, **options)


def binomial(trials: int, p: float) -> list[float]:
    """The binomial law from its definition, with nothing of SciPy."""
    return [comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(trials + 1)]


class FixedRng:
    """In place of a generator: its only random number is known."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


def timeless(results: Iterable[Result]) -> list[Result]:
    """Results as JSON brings them back, but for the time that they took."""
    return [replace(Result.from_json(json.loads(json.dumps(asdict(result)))), seconds=0.0) for result in results]


class Children:
    """The processes that this one has started, and theirs, since this object was made; not those that guard them."""

    def __init__(self) -> None:
        self.before = self.all()

    def all(self) -> set[psutil.Process]:
        return {child for child in psutil.Process().children(recursive=True) if not is_guard(child)}

    def new(self) -> set[psutil.Process]:
        return self.all() - self.before


def is_guard(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[:2] == ["/bin/sh", "-c"] and process.cmdline()[2].startswith("read _;")
    except psutil.Error:  # it has ended
        return False


def ended(process: psutil.Process) -> bool:
    """Whether it is at its end, though nobody may have waited for it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition: Callable[[], Any]) -> None:
    """For what another process does, where nothing else tells."""
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not come about")


@dataclass(frozen=True)
class Law:
    """What a registered statistical check measures."""

    check: Check
    configuration: statistical.Configuration
    measures: tuple[statistical.Measure, ...]
    calls: int
    dtype: str | None

    def __str__(self) -> str:
        return self.check.id


def measured(check: Check, subject: Subject = NUMPY) -> list[Law]:
    """What a check of `statistical_check` measures of a subject: caught on its way into the engine."""
    seen = []

    def record(
        _: Context, configuration: Any, measures: Any, *, calls: int = 1, dtype: Any = None, **__: Any
    ) -> Finding:
        seen.append(Law(check, configuration, tuple(measures), calls, dtype))
        return finding(Verdict.CONFORMS)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistical, "measure_law", record)
        check.run(context(subject))
    return seen


def registered_laws() -> list[Law]:
    """The laws of all checks that are measured at settings of their own."""
    return [law for check in all_checks().values() if check.at for law in measured(check)]
