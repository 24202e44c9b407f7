# SPDX-License-Identifier: Apache-2.0
"""The law at every place (rules R4 and R6): each unit of a map, each sample and each channel of a batch.

Many places are judged at once, so each is judged by a margin of its own: what is sought is a place that is never
masked, or half as often as the others.
"""

from dropblock_conformance.checks.events import at_each_place, each_unit_kept
from dropblock_conformance.checks.law import WHERE
from dropblock_conformance.judging.check import Check, claim
from dropblock_conformance.judging.configuration import Configuration
from dropblock_conformance.judging.statistical import Measure, law

UNIT_MARGINS, PLACE_MARGINS = 2.0, 8.0  # times the profile's margin


@law(
    "law.each_unit",
    title="Every unit of a map is dropped as often as it should",
    rule=WHERE,
    at=Configuration((9, 9), 3, 0.4),
)
def each_unit(c: Configuration) -> list[Measure]:
    """Each of the 81 units is kept with probability (1 - gamma)^n, n being the number of anchors that cover it. An
    anchor that is never drawn, or twice as often, shows around it.
    """
    return [each_unit_kept(c, UNIT_MARGINS)]


# By spatial rank, all with four anchors and the same gamma.
PLACES = {1: Configuration((6,), 3, 5 / 9), 2: Configuration((4, 4), 3, 0.5), 3: Configuration((4, 4, 3), 3, 0.5)}
NUMBER = 128


def _each(what: str, axis: int, batch: tuple[int, int], is_claimed: str) -> Check:
    @law(
        f"law.each_{what}",
        title=f"Every {what} of a batch is masked as often as it should",
        rule=f"R6 · Algorithm 1 line 5, for each {what}",
        at=PLACES,
        batch=batch,
        effect="relative error of the place's share of what is dropped; 0 where all have the same",
        needs=claim(lambda s: getattr(s.claims, is_claimed), f"does not claim a mask per {what}"),
    )
    def each(c: Configuration) -> list[Measure]:
        """Blocks are dropped as often at each of 128 places of a batch, whatever gamma is. A place that is passed
        over, or masked by another rule, shows.
        """
        return [at_each_place(c, axis, NUMBER, what, PLACE_MARGINS)]

    return each


each_sample = _each("sample", 1, (NUMBER, 32), "per_sample")
each_channel = _each("channel", 2, (32, NUMBER), "per_channel")
