"""Wrong DropBlocks, each with one named fault, and the check meant to kill it.

`Honest` is a plain NumPy DropBlock, independent of the reference; a mutant overrides the one step its fault is in. The
suite is only worth its name if Honest conforms and every mutant is killed by the check meant, which
tests/conformance/checks/test_mutants.py shows; that every check kills some mutant shows that none is unable to fail.

`WILD` holds others, by somebody who knew the checks by their names only: how many of them a suite kills says what it
can see of what nobody told it.
"""

from tests.mutants import (
    copies,
    flow,
    gamma,
    gradients,
    layouts,
    modes,
    numbers,
    renorm,
    schedules,
    seeding,
    shape,
    shared,
    sizes,
    values,
    where,
)
from tests.mutants.honest import Honest
from tests.mutants.register import MUTANTS as _ENLISTED
from tests.mutants.register import WILD as _FOUND_WILD
from tests.mutants.register import Mutant, Wild
from tests.mutants.wild import FAMILIES as WILD_FAMILIES

# Family by family, in the order of the algorithm.
FAMILIES = (
    *(gamma, where, sizes, shape, shared, copies),
    *(renorm, values, numbers, layouts, modes, seeding),
    *(gradients, schedules, flow),
)
MUTANTS = {
    name: found for family in FAMILIES for name, found in _ENLISTED.items() if found.build.__module__ == family.__name__
}
WILD = {
    name: found
    for family in WILD_FAMILIES
    for name, found in _FOUND_WILD.items()
    if found.build.__module__ == family.__name__
}

__all__ = ["FAMILIES", "MUTANTS", "WILD", "WILD_FAMILIES", "Honest", "Mutant", "Wild"]
