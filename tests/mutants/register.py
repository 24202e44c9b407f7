"""The mutants there are: a decorator enlists each with its fault, and with the check meant to kill it or its cause.

A wild one was written by somebody who had not read the checks: nobody says beforehand which check is to kill it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.mutants.honest import Honest


@dataclass(frozen=True)
class Mutant:
    name: str
    fault: str
    killer: str
    profile: str
    build: Callable[[], Honest]


MUTANTS: dict[str, Mutant] = {}


def mutant(fault: str, killer: str, profile: str = "quick") -> Callable[[type[Honest]], type[Honest]]:
    def enlist(cls: type[Honest]) -> type[Honest]:
        MUTANTS[cls.__name__] = Mutant(cls.__name__, fault, killer, profile, cls)
        return cls

    return enlist


CAUSES = ("values", "independence", "seeds", "law", "gradients", "inference", "schedules")


@dataclass(frozen=True)
class Wild:
    name: str
    fault: str
    cause: str
    build: Callable[[], Honest]


WILD: dict[str, Wild] = {}


def wild(fault: str, cause: str) -> Callable[[type[Honest]], type[Honest]]:
    """Enlists a mutant without a killer. A name that is taken or an unknown cause is an error of whoever wrote it."""

    def enlist(cls: type[Honest]) -> type[Honest]:
        # pytest, which looks for examples, imports a module anew: the same mutant may come again.
        taken = WILD.get(cls.__name__) or MUTANTS.get(cls.__name__)
        if taken is not None and taken.fault != fault:
            raise ValueError(f"there is a mutant {cls.__name__} already: choose another name")
        if cause not in CAUSES:
            raise ValueError(f"cause={cause!r}: choose one of {CAUSES}")
        WILD[cls.__name__] = Wild(cls.__name__, fault, cause, cls)
        return cls

    return enlist
