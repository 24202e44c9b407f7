# SPDX-License-Identifier: Apache-2.0
"""Scheduled DropBlock (rule R12): keep_prob goes linearly from 1 to its target, one training step at a time."""

from collections.abc import Callable, Iterator
from itertools import cycle

import numpy as np
from hypothesis import strategies as st

from dropblock_conformance.judging.answers import BadOutputError, SubjectError, described
from dropblock_conformance.judging.attempt import in_subject
from dropblock_conformance.judging.check import Context, Finding, NotApplicableError, Violation, check, claim
from dropblock_conformance.judging.dtypes import dtype_named
from dropblock_conformance.judging.exact import both, for_all, once, unless_refused
from dropblock_conformance.level import Severity
from dropblock_conformance.subject import Subject

Case = tuple[float, int]

HAS_SCHEDULE = claim(lambda s: s.schedule is not None, "offers no schedule")
OFF = "how far keep_prob is off, at the worst step of the simplest schedule found"
LINE = "R12 · section 3, 'Scheduled DropBlock'"

# Schedules may be kept in float32, as variables of a framework are.
TOLERANCE = 2.0**-22
NOTICED = 1e-4  # less than that no training notices
LONG = (1100, 1500)  # steps
ROUND = (64, 100, 128, 256)


def values(subject: Subject, case: Case, between: Callable[[], object] | None = None) -> list[float]:
    """The schedule's values at steps 0 to `steps`, calling `between` after each."""
    assert subject.schedule is not None
    keep_prob, steps = case
    found: list[float] = []
    try:
        schedule = in_subject(subject.schedule, keep_prob, steps)
        if between is not None and not isinstance(schedule, Iterator):
            raise NotApplicableError("its schedule returns finished values; return an iterator to have it interrupted")
        iterator = iter(schedule)
        try:
            while (value := in_subject(next, iterator, None)) is not None and len(found) <= steps + 1:
                found.append(float(value))
                if between is not None:
                    between()
        finally:
            # A generator that is left early would go on whenever its garbage is collected, and what it does at its end
            # may be what later checks rely on.
            if (close := getattr(iterator, "close", None)) is not None:
                in_subject(close)
    except (NotApplicableError, SubjectError, BadOutputError):
        raise  # of a call between two steps
    except Exception as error:
        raise SubjectError(described(error)) from error
    if len(found) != steps + 1:
        raise BadOutputError(f"schedule({keep_prob}, {steps}) gave {len(found)} values for {steps + 1} steps")
    return found


def cases(least_steps: int = 0, most_steps: int = 60) -> st.SearchStrategy[Case]:
    return st.tuples(st.floats(0.0, 0.99).map(lambda p: round(p, 3)), st.integers(least_steps, most_steps))


@check(
    "schedule.ends",
    title="The schedule starts at 1 and ends at keep_prob",
    rule=LINE,
    effect=OFF,
    needs=HAS_SCHEDULE,
)
def ends(context: Context) -> Finding:
    """Exactly 1 at step 0 and exactly keep_prob at the last step; keep_prob throughout for steps=0."""

    def holds(case: Case) -> None:
        keep_prob, steps = case
        found = values(context.subject, case)
        for step, wanted in {0: 1.0 if steps else keep_prob, steps: keep_prob}.items():
            # As it is, kept as a drop probability, or kept in float32.
            if found[step] not in (wanted, 1 - (1 - wanted), float(np.float32(wanted))):
                off = abs(found[step] - wanted)
                severity = Severity.COSMETIC if off <= NOTICED else None if steps else Severity.EDGE
                what = f"at step {step} of {steps} keep_prob is {found[step]}, not exactly {wanted}"
                raise Violation(what, off, severity)

    # Apart: without steps there is no line to follow, and the paper says nothing.
    return both(for_all(context, cases(1), holds), for_all(context, cases(0, 0), holds))


@check(
    "schedule.linear",
    title="The schedule is linear in the step",
    rule=LINE,
    effect=OFF,
    needs=HAS_SCHEDULE,
)
def linear(context: Context) -> Finding:
    """1 - (step / steps) * (1 - keep_prob), at every step of short, long and round numbers of them, to a keep_prob of 1
    too, and while another schedule is under way. A schedule that is one step early or late shows.
    """

    def holds(case: Case) -> None:
        keep_prob, steps = case
        wanted = 1.0 - np.arange(steps + 1) / steps * (1.0 - keep_prob)
        off = np.abs(values(context.subject, case) - wanted)
        if not off.max() <= TOLERANCE:
            step = int(off.argmax())
            what = f"at step {step} of {steps} to {keep_prob} keep_prob is off by {off[step]:.3g}"
            raise Violation(what, float(off.max()), Severity.COSMETIC if off.max() <= NOTICED else None)

    def long() -> str:
        steps = [*range(1, 9), *ROUND, int(context.rng.integers(*LONG))]
        for number in steps:
            holds((round(context.rng.uniform(0.1, 0.9), 3), number))
        with unless_refused():
            holds((1.0, 12))
        return f"at every step of {', '.join(map(str, steps))}"

    found = both(for_all(context, cases(1), holds), once(long))
    return both(found, once(lambda: _two_at_once(context.subject)))


def _two_at_once(subject: Subject) -> str:
    assert subject.schedule is not None
    other = in_subject(subject.schedule, 0.3, 40)
    if not isinstance(other, Iterator):
        return "its schedule returns finished values"
    try:
        alone = values(subject, (0.7, 12))
        beside = values(subject, (0.7, 12), lambda: in_subject(next, other, None))
    except NotApplicableError as reason:
        return str(reason)
    finally:
        if (close := getattr(other, "close", None)) is not None:
            in_subject(close)
    if alone != beside:
        off = max(abs(a - b) for a, b in zip(alone, beside, strict=True))
        raise Violation("a step of another schedule moved this one", off, Severity.SERIOUS)
    return "beside another one too"


def _unmoved(context: Context, training: bool) -> Finding:
    claims = context.subject.claims
    dtypes = claims.dtypes[:2] if context.subject.compiles else claims.dtypes
    inputs = cycle(np.ones((1, 1, *(3,) * claims.spatial[0]), dtype_named(name)) for name in dtypes)

    def holds(case: Case) -> None:
        def between() -> None:
            x = next(inputs)
            arguments = {"keep_prob": 0.9, "block_size": 1, "seed": context.new_seed()}
            context.call(x, **arguments, training=training, nan_is_an_answer=True)
            if training and context.subject.grad is not None:
                context.gradient(x, x, **arguments)

        alone, interrupted = values(context.subject, case), values(context.subject, case, between)
        if alone != interrupted:
            step = next(i for i, (a, b) in enumerate(zip(alone, interrupted, strict=True)) if a != b)
            call = "a forward call in training" if training else "an evaluation"
            raise Violation(
                f"{call} between two steps moved the schedule at step {step}", abs(alone[step] - interrupted[step])
            )

    return for_all(context, cases(2, 12), holds)  # a call between any two


@check(
    "schedule.training_calls",
    title="A forward call does not advance the schedule",
    rule=LINE,
    effect=OFF,
    needs=HAS_SCHEDULE,
    severity=Severity.SERIOUS,
)
def training_calls(context: Context) -> Finding:
    """A training step advances it: gradient accumulation and layers called twice do not, forward or backward."""
    return _unmoved(context, training=True)


@check(
    "schedule.evaluation",
    title="An evaluation does not advance the schedule",
    rule=LINE,
    effect=OFF,
    needs=HAS_SCHEDULE,
)
def evaluation(context: Context) -> Finding:
    """Evaluating between two training steps leaves keep_prob where it is."""
    return _unmoved(context, training=False)
