"""Where a mask comes from: one of JAX's keys, of any kind, or a seed (rules R13 and R14)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dropblock_jax import drop_block
from tests.shared.comparing import SHAPE, assert_equal, assert_is_numpys, numpys

X = jnp.ones(SHAPE)
CALL: dict[str, Any] = {"keep_prob": 0.6, "block_size": 3}
IMPLEMENTATIONS = ["threefry2x32", "rbg", "unsafe_rbg"]

KEYS = {
    implementation: lambda seed, kind=implementation: jax.random.key(seed, impl=kind)
    for implementation in IMPLEMENTATIONS
}
KEYS["raw"] = jax.random.PRNGKey
any_key = pytest.mark.parametrize("kind", KEYS)


@any_key
def test_a_key_is_used_up_by_one_draw_of_64_bits(kind: str) -> None:
    for number in (0, 1):
        key = KEYS[kind](number)
        low, high = (int(word) for word in jax.random.bits(key, (2,), jnp.uint32))
        assert_is_numpys(drop_block(X, key=key, **CALL), numpys(X, seed=low + 2**32 * high, **CALL))


@any_key
def test_the_same_key_gives_the_same_mask_and_another_key_another(kind: str) -> None:
    compiled = jax.jit(lambda x, key: drop_block(x, key=key, **CALL))
    masks = [compiled(X, KEYS[kind](number)) for number in (0, 0, 1)]
    assert_equal(masks[0], masks[1])
    assert not (masks[0] == masks[2]).all()
    assert_equal(drop_block(X, key=KEYS[kind](0), **CALL), masks[0])


def test_a_raw_key_is_the_same_key() -> None:
    assert_equal(drop_block(X, key=jax.random.PRNGKey(5), **CALL), drop_block(X, key=jax.random.key(5), **CALL))


@pytest.mark.parametrize("kind", ["threefry2x32", "raw"])
def test_vmap_over_keys_gives_each_its_mask(kind: str) -> None:
    keys = jax.random.split(KEYS[kind](7), 3)
    mapped = jax.jit(jax.vmap(lambda key: drop_block(X, key=key, **CALL)))(keys)
    assert_equal(mapped, jnp.stack([drop_block(X, key=key, **CALL) for key in keys]))
    assert len({np.asarray(y).tobytes() for y in mapped}) == 3


@any_key
def test_r14_several_keys_are_refused(kind: str) -> None:
    keys = jax.random.split(KEYS[kind](0), 3)
    for several in (keys, keys[:1], keys[None]):
        with pytest.raises(ValueError, match=r"^key has shape \(.*\), which is several keys: .* jax\.vmap over them"):
            drop_block(X, key=several, **CALL)
        with pytest.raises(ValueError, match="which is several keys"):
            jax.jit(lambda key: drop_block(X, key=key, **CALL))(several)


@pytest.mark.parametrize("transform", [lambda call: call, jax.jit], ids=["eager", "jit"])
def test_r14_exactly_one_of_key_and_seed_is_needed(transform: Any) -> None:
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"(?s)^key=.* and seed=4 were both given: .* drop the other"):
        transform(lambda key: drop_block(X, key=key, seed=4, **CALL))(key)
    with pytest.raises(ValueError, match=r"^key=None and seed=None: .* pass key=jax\.random\.key"):
        transform(lambda key: drop_block(X, **CALL))(key)


@pytest.mark.parametrize(
    "key",
    [42, 0.5, "key", [1, 2], jnp.float32(1), jnp.array([1, 2]), jnp.uint32(3), jax.random.key],
    ids=lambda key: type(key).__name__,
)
def test_r14_what_is_no_key_is_refused(key: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^key=.* is no key of JAX: make one with jax\.random\.key\(\.\.\.\)"
    ) as caught:
        drop_block(X, key=key, **CALL)
    assert type(caught.value) is TypeError
