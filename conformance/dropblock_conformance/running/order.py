# SPDX-License-Identifier: Apache-2.0
"""What is asked of one subject, and a report of one that cannot be had."""

from dataclasses import asdict, dataclass

from dropblock_conformance.checks import asked_at, find
from dropblock_conformance.judging.profile import PROFILES
from dropblock_conformance.result import Report
from dropblock_conformance.running.run import Run, command_to_repeat
from dropblock_conformance.running.versions import versions
from dropblock_conformance.subject import Deviation
from dropblock_conformance.subjects import WORKER, load, place


@dataclass(frozen=True)
class Order:
    """What is asked of one subject; `name` as :func:`load` takes it, the rest as in :class:`Run`."""

    name: str
    profile: str = "standard"
    seed: int = 0
    checks: tuple[str, ...] | None = None
    subjects_in_run: int = 1
    timeout: float | None = None
    level: str = "robust"
    expect: tuple[Deviation, ...] = ()

    @property
    def check_ids(self) -> list[str]:
        """Its checks, in the order of the report."""
        return [check.id for check in asked_at(self.level)] if self.checks is None else list(self.checks)

    def repeat(self, check_id: str) -> str:
        """The command that repeats a check."""
        return command_to_repeat(self.name, self.profile, self.seed, self.subjects_in_run, check_id, self.level)

    def validate(self) -> None:
        """Refuse what can be refused without running anything of the subject's: that is for its own process.

        Raises:
            ValueError: the message says what is wrong.
        """
        if not self.name.startswith(WORKER):
            place(self.name)
        find(self.checks or ())

    def run(self) -> Run:
        """The run in this process.

        Raises:
            ValueError: the subject cannot be had, or what it declares is wrong.
        """
        candidate = load(self.name)
        options = {key: value for key, value in asdict(self).items() if key not in ("name", "expect")}
        expect = [*candidate.expect, *self.expect]
        return Run(candidate.subject, expect=expect, repeat=candidate.repeat, **options)

    @property
    def patience(self) -> float:
        """Seconds for a check and its answer: after these a process has hung where nothing interrupts it."""
        return (PROFILES[self.profile].timeout if self.timeout is None else self.timeout) + 20


class UnavailableError(Exception):
    """The subject cannot be had here; the message says why."""


def unavailable(order: Order, reason: str) -> Report:
    """The report of a subject that cannot be had."""
    return Report(order.name, None, order.profile, order.seed, 0.0, [], [], 0.0, versions(), reason, order.level)
