"""The meter counts what reaches the subject, and changes nothing of it."""

import numpy as np

from dropblock_conformance.judging.cost import metered
from dropblock_conformance.subject import Array, Subject


def test_calls_bytes_and_kinds_are_those_that_the_subject_saw() -> None:
    seen: list[int] = []

    def call(x: Array, **options: object) -> Array:
        seen.append(x.nbytes)
        return x

    def grad(x: Array, dy: Array, **options: object) -> tuple[Array, Array]:
        seen.append(x.nbytes + dy.nbytes)
        return x, dy

    subject, meter = metered(Subject("any", call, grad=grad))
    assert subject.grad is not None
    x = np.ones((2, 3, 5, 5), np.float32)
    for block_size in (3, 3, 2):
        assert subject.call(x, keep_prob=0.5, block_size=block_size, training=True, seed=0) is x
    subject.call(x, keep_prob=0.5, block_size=2, training=False, seed=0)
    subject.grad(x, x, keep_prob=0.5, block_size=2, seed=0)
    assert meter.read() == {"calls": 5, "bytes": sum(seen), "kinds": 4}
    assert meter.read() == {"calls": 0, "bytes": 0, "kinds": 0}
    assert metered(Subject("any", call))[0].grad is None
