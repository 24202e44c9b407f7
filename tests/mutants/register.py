"""The mutants there are: a decorator enlists each with its fault and the check meant to kill it."""

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
