"""Settings without end, drawn from a generator of random numbers, for two ways to the same answer to agree on."""

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import ml_dtypes
import numpy as np

from dropblock_core.call import Call
from tests.shared.comparing import RENORMS

DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]
STRANGE = [0.0, -0.0, np.nan, np.inf, -np.inf, 6e4, -3e38, 1e-7, 1e-40]
SIDES = {1: 140, 2: 40, 3: 9}  # the longest, by rank

Laid = TypeVar("Laid")


def settings_of(
    rng: random.Random,
    laid_out: Callable[[np.ndarray[Any, Any], random.Random], Laid],
    sides: Mapping[int, int] = SIDES,
) -> Iterator[tuple[Laid, Call, int]]:
    """Activations in some layout, a call on them, and a seed, without end."""
    numbers = np.random.default_rng(rng.randrange(2**32))
    while True:
        rank = rng.choice([1, 2, 2, 3])
        feat = [rng.randint(1, sides[rank]) for _ in range(rank)]
        shape = (rng.randint(1, 5), rng.choice([1, 2, 3, 5, 17, 64, 128]), *feat)
        x = numbers.standard_normal(shape).astype(rng.choice(DTYPES))
        with np.errstate(all="ignore"):
            x.flat[[rng.randrange(x.size) for _ in STRANGE]] = np.array(STRANGE).astype(x.dtype)
        law: Any = rng.choice([{"gamma_scale": 1.0}, {"gamma_scale": rng.choice([0.0, 3.0])}, {"calibrated": True}])
        keep_prob = rng.choice([0.0, 0.1, 0.5, 0.9, 0.99, 0.9999, rng.random()])
        block = [rng.randint(1, f + 2) for f in feat]
        options: dict[str, Any] = {
            "per_channel": rng.random() < 0.7, "renorm": rng.choice(RENORMS), "stream": rng.randrange(2**32),
            "sample_offset": rng.randrange(2**31), "gamma_scale": 1.0, "calibrated": False, **law,
        }  # fmt: skip
        call = Call.checked(shape, x.dtype, keep_prob, tuple(block), **options)
        laid, seed = laid_out(x, rng), rng.randrange(2**64)
        try:
            call.gamma  # noqa: B018  # not every gamma_scale leaves a probability, not every keep_prob can be solved for
        except ValueError:
            continue
        yield laid, call, seed
