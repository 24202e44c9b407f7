"""A thousand hostile calls of JAX's front doors, of which `make test` tries some (rule R14)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dropblock_jax.equinox
import dropblock_jax.flax
import dropblock_jax.linen
from dropblock_jax import drop_block
from tests.shared.comparing import assert_is_numpys
from tests.shared.hostile import FEW_PROGRAMS, Door, calls, flags, literally, right, try_calls, wrong

X = jnp.ones((2, 3, 4, 5))
OWN = [jnp.asarray]
FORMAT = (right(["channels_first"], [str]), wrong(None, "NHWC", 1, True, [], np.array(["channels_first"])))
DETERMINISTIC = flags(OWN)
OR_NONE = DETERMINISTIC[0], DETERMINISTIC[1].filter(lambda drawn: drawn.value is not None)  # the layer's own
NO_ARRAYS = [
    *[None, 1.0, "x", [[[1.0]]], object(), jax.Array, X[0, 0], X[None, None], X[:, :, :0], jax.random.key(0)],
    *[X.astype(kind) for kind in (int, bool, complex, jnp.float8_e5m2)],
    *[np.ma.masked_less(np.ones((2, 3, 4, 5)), 0), np.ones((2, 3, 4, 5), object), np.ones((2, 3, 4, 5), "U1")],
]
DRESSES = [jnp.asarray, np.asarray, lambda x: x[::-1].copy()[::-1], np.asfortranarray]
KEY = jax.random.key(3)
SEED = int(np.asarray(jax.random.bits(KEY, (2,), np.uint32)).astype("<u4").view("<u8")[0])


def of_nnx(x: Any, keep_prob: Any, block_size: Any, seed: Any, deterministic: Any, **options: Any) -> Any:
    layer = dropblock_jax.flax.DropBlock(keep_prob, block_size, **options)
    return layer(x, seed=seed, deterministic=deterministic)


def of_linen(x: Any, deterministic: Any, **options: Any) -> Any:
    return dropblock_jax.linen.DropBlock(**options).apply({}, x, deterministic, rng=KEY)


def of_equinox(x: Any, seed: Any, inference: Any, **options: Any) -> Any:
    return dropblock_jax.equinox.DropBlock(**options)(x, seed=seed, inference=inference)


def compare(y: Any, plain: dict[str, Any]) -> None:
    options = {"seed": SEED} | {name: value for name, value in plain.items() if name != "data_format"}
    for name in {"deterministic", "inference"} & plain.keys():
        options["training"] = not options.pop(name)
    expected = literally(options)
    assert_is_numpys(y, expected if np.ndim(y) == expected.ndim else expected[0])


OF_CALLS = ("training", "sample_offset")
COMMON: dict[str, Any] = {"no_array": NO_ARRAYS, "own": OWN, "programs": FEW_PROGRAMS}
DOORS = [
    Door("dropblock_jax.drop_block", drop_block, DRESSES, more={"data_format": FORMAT}, **COMMON),
    Door(
        "dropblock_jax.flax.DropBlock", of_nnx, DRESSES, lacks=OF_CALLS,
        more={"data_format": FORMAT, "deterministic": OR_NONE}, **COMMON,
    ),
    Door(
        "dropblock_jax.linen.DropBlock", of_linen, DRESSES, lacks=(*OF_CALLS, "seed"),
        more={"data_format": FORMAT, "deterministic": DETERMINISTIC}, **COMMON,
    ),
    Door(
        "dropblock_jax.equinox.DropBlock", of_equinox, [lambda x: jnp.asarray(x[0]), lambda x: x[0]], lacks=OF_CALLS,
        more={"inference": OR_NONE}, no_array=[*NO_ARRAYS[:6], X[None]], own=OWN,
        programs=FEW_PROGRAMS.filter(lambda program: program.shape[0] == 1),
    ),
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.name)
def test_r14_hostile_calls(door: Door) -> None:
    try_calls(door.name, door.call, calls(door), compare)
