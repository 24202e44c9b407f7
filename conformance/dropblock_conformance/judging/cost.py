# SPDX-License-Identifier: Apache-2.0
"""What a check costs: calls of a subject, the bytes given to it, and the kinds of call that a compiler tells apart."""

from dataclasses import dataclass, field, replace
from typing import Any

from dropblock_conformance.subject import Array, Subject


@dataclass
class Meter:
    """What was asked since it was last read."""

    calls: int = 0
    bytes: int = 0
    kinds: set[tuple[Any, ...]] = field(default_factory=set)

    def note(self, given: tuple[Array, ...], options: dict[str, Any]) -> None:
        x = given[0]
        self.calls += 1
        self.bytes += sum(array.nbytes for array in given)
        self.kinds.add((len(given), x.shape, x.dtype.name, options.get("block_size"), options.get("training")))

    def read(self) -> dict[str, int]:
        """``calls``, ``bytes`` and ``kinds`` since the last reading."""
        cost = {"calls": self.calls, "bytes": self.bytes, "kinds": len(self.kinds)}
        self.calls, self.bytes, self.kinds = 0, 0, set()
        return cost


def metered(subject: Subject) -> tuple[Subject, Meter]:
    """The same subject, and a meter that reads what is asked of it: forward and gradient calls, no schedules."""
    meter, call, grad = Meter(), subject.call, subject.grad

    def metered_call(x: Array, **options: Any) -> Array:
        meter.note((x,), options)
        return call(x, **options)

    def metered_grad(x: Array, dy: Array, **options: Any) -> tuple[Array, Array]:
        assert grad is not None
        meter.note((x, dy), options)
        return grad(x, dy, **options)

    return replace(subject, call=metered_call, grad=None if grad is None else metered_grad), meter
