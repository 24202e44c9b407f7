"""Programs exported by `jax.export`, and what a user may set for all of JAX."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, export

from dropblock_jax import Threshold, drop_block
from tests.shared.comparing import DATA_FORMATS, RENORMS, SEEDED, SHAPE, assert_equal, in_order
from tests.shared.grid import grid

from .support import normal


def exported(shape: str, **options: Any) -> export.Exported:
    struct = jax.ShapeDtypeStruct(export.symbolic_shape(shape), jnp.float32)
    return export.export(jax.jit(lambda x: drop_block(x, **SEEDED, **options)))(struct)


@pytest.mark.parametrize("renorm", ["sample", "map", "expected", "none"])
def test_a_program_is_exported_for_any_number_of_samples(renorm: str) -> None:
    program = exported("samples, 8, 9, 3", renorm=renorm)
    for samples in (1, 3):
        x = normal((samples, *SHAPE[1:]))
        assert_equal(program.call(x), drop_block(x, **SEEDED, renorm=renorm))


def test_r01_inference_is_exported_for_any_shape() -> None:
    assert_equal(exported("a, b, c, d", training=False).call(normal()), normal())


@pytest.mark.parametrize(
    ("shape", "options"),
    [("n, 8, 9, 3", {}), ("2, n, 9, 3", {"renorm": "none"}), ("2, 8, 9, n", {"renorm": "sample"})],
)
def test_r14_other_sizes_must_be_numbers(shape: str, options: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=r"x has shape \(.*n.*\) with renorm=.*: a size may be .*; export with numbers"
    ):
        exported(shape, **options)


# --- settings -------------------------------------------------------------------------------------------------------


@grid(
    shape=[(2, 8, 9, 3), (2, 40, 3), (2, 4, 5, 6, 3)],
    keep_prob=["number", "traced", "threshold"],
    data_format=DATA_FORMATS,
    renorm=["tensor", "map", "expected"],
    per_channel=[True, False],
)
def test_no_call_minds_that_ranks_are_not_promoted(
    shape: tuple[int, ...], keep_prob: str, data_format: str, renorm: str, per_channel: bool
) -> None:
    samples, *feat, channels = shape
    options = {"renorm": renorm, "data_format": data_format, "per_channel": per_channel}
    x = jnp.ones(in_order(samples, tuple(feat), channels, data_format))

    def both(x: Array, given: Any) -> Any:
        y, pull = jax.vjp(lambda x: drop_block(x, given, 3, seed=4, **options), x)
        return y, pull(x)

    with jax.numpy_rank_promotion("raise"):
        if keep_prob == "number":
            jax.eval_shape(lambda x: both(x, 0.6), x)
        else:
            jax.eval_shape(both, x, jnp.float32(0.6) if keep_prob == "traced" else Threshold.of(0.6, 3, tuple(feat)))


def test_a_call_that_promotes_no_ranks_is_the_same() -> None:
    expected = drop_block(normal(), **SEEDED)
    with jax.numpy_rank_promotion("raise"):
        assert_equal(drop_block(normal(), **SEEDED), expected)
        batch = jax.vmap(lambda x: drop_block(x, **SEEDED, axis_name="batch"), axis_name="batch")(normal()[None])
    assert_equal(batch[0], expected)


@pytest.mark.parametrize("renorm", [renorm for renorm in RENORMS if renorm != "none"])
def test_xla_flushes_what_is_subnormal_to_zero(renorm: str) -> None:
    """As docs/jax.md says, of the CPU. The sign stays, and numbers of normal size are what they are."""

    def call(held: float, dtype: Any = jnp.float32) -> np.ndarray[Any, Any]:
        return np.asarray(drop_block(jnp.full(SHAPE, held, dtype), **SEEDED, renorm=renorm))

    tiny, scale = float(np.finfo(np.float32).tiny), call(1)
    for held, kept in ((tiny / 4, 0.0), (-tiny / 4, -0.0)):
        assert_equal(call(held), np.where(scale == 0, np.float32(0), np.float32(kept)))
    assert_equal(call(4 * tiny), np.float32(4 * tiny) * scale)
    # float16's are normal numbers of float32, in which they are multiplied.
    smallest = float(np.finfo(np.float16).smallest_subnormal)
    assert_equal(call(64 * smallest, jnp.float16), (np.float32(64 * smallest) * scale).astype(np.float16))
