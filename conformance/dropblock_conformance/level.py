# SPDX-License-Identifier: Apache-2.0
"""How grave a finding is, and the two levels at which an implementation is judged."""

from enum import StrEnum


class Severity(StrEnum):
    """What a finding means for the users of an implementation, gravest first."""

    WRONG = "wrong"  # another regulariser than the paper's: its law, its mask, its scale, its gradient
    SERIOUS = "serious"  # fails in a way of use that its owner claims
    EDGE = "edge"  # NaN or zeros in rare calls
    HYGIENE = "hygiene"  # debugging and reproducibility
    COSMETIC = "cosmetic"  # below the noise of training


# The paper's text, judged with a tolerance; and what this project asks beyond it. The second includes the first.
LEVELS = ("paper", "robust")


def level_of(severity: Severity) -> str:
    """The level that a finding of this severity counts at."""
    return "paper" if severity == Severity.WRONG else "robust"


def gravity(severity: Severity) -> int:
    """Larger for what is less grave: a key to sort by."""
    return list(Severity).index(severity)


def least_grave(*severities: Severity) -> Severity:
    return max(severities, key=gravity)
