# SPDX-License-Identifier: Apache-2.0
"""How closely a run looks: the three profiles."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """How closely a run looks: the margin on gamma, examples an exact check draws, seconds before a check is hung.

    `programs` is how many kinds of call the examples share where each kind costs a compilation.
    """

    name: str
    margin: float
    examples: int
    programs: int
    drawn_laws: int
    timeout: float


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", 0.025, examples=40, programs=8, drawn_laws=4, timeout=75),
        Profile("standard", 0.01, examples=120, programs=60, drawn_laws=6, timeout=600),
        Profile("thorough", 0.0025, examples=500, programs=500, drawn_laws=8, timeout=7200),
    )
}
