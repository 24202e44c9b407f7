"""Where a call's randomness comes from (rule R13), and when it takes none (rule R1)."""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dropblock_core import drop_block

X = np.ones((2, 3, 9, 9), np.float32)


def global_state() -> tuple[Any, ...]:
    _, words, *rest = np.random.get_state()  # noqa: NPY002 - the global generator is what is tested
    return (words.tobytes(), *rest)


@pytest.fixture(autouse=True)
def _global_generator_restored() -> Iterator[None]:
    state = np.random.get_state()  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


def draws_nothing(call: Callable[..., Any]) -> bool:
    """Whether `call` leaves both generators as they were: the one it is given, and NumPy's global one."""
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state, global_state()
    call(rng=rng)
    call()
    return (rng.bit_generator.state, global_state()) == before


def test_r01_inference_returns_the_input_itself_and_draws_nothing(library: ModuleType) -> None:
    x = library.asarray(X)
    assert drop_block(x, 0.5, 3, training=False) is x
    assert drop_block(x, 0.5, 3, training=False, seed=1) is x
    assert draws_nothing(lambda **rng: drop_block(X, 0.5, 3, training=False, **rng))


def test_r01_keep_prob_1_returns_the_input_itself_and_draws_nothing(library: ModuleType) -> None:
    x = library.asarray(X)
    assert drop_block(x, 1.0, 3) is x
    assert drop_block(x, 1, 3, seed=1, calibrated=True) is x
    assert draws_nothing(lambda **rng: drop_block(X, 1.0, 3, **rng))


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4), (0, 0, 4)])
@pytest.mark.parametrize("per_channel", [True, False])
def test_r14_empty_batches_and_zero_channels_pass_through(shape: tuple[int, ...], per_channel: bool) -> None:
    x = np.ones(shape, np.float32)
    assert drop_block(x, 0.5, 3, per_channel=per_channel) is x
    assert drop_block(x, 0.5, 3, per_channel=per_channel, seed=1, renorm="map") is x
    assert draws_nothing(lambda **rng: drop_block(x, 0.5, 3, per_channel=per_channel, **rng))


def test_r13_same_seed_same_mask_and_another_seed_another() -> None:
    y = drop_block(X, 0.7, 3, seed=1)
    np.testing.assert_array_equal(drop_block(X, 0.7, 3, seed=1), y)
    np.testing.assert_array_equal(drop_block(X, 0.7, 3, seed=np.uint64(1)), y)
    assert (drop_block(X, 0.7, 3, seed=2) != y).any()
    assert (drop_block(X, 0.7, 3, seed=1, stream=1) != y).any()


@pytest.mark.parametrize("seed", [0, 1])
def test_r13_a_seed_leaves_the_generators_alone(seed: int) -> None:
    before = global_state()
    drop_block(X, 0.7, 3, seed=seed)
    assert global_state() == before


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState], ids=["Generator", "RandomState"])
def test_r13_a_generator_gives_64_bits_a_call(make: Callable[[int], Any]) -> None:
    rng, again = make(5), make(5)
    first, second = (drop_block(X, 0.7, 3, rng=rng) for _ in range(2))
    assert (first != second).any()
    for y in (first, second):
        seed = int.from_bytes(again.bytes(8), "little")
        np.testing.assert_array_equal(drop_block(X, 0.7, 3, seed=seed), y)


def test_r13_without_seed_or_generator_numpys_global_one_decides() -> None:
    def two() -> list[np.ndarray]:
        np.random.seed(5)  # noqa: NPY002
        return [drop_block(X, 0.7, 3) for _ in range(2)]

    first, second = two()
    assert (first != second).any()
    np.testing.assert_array_equal(two(), [first, second])


def test_r13_libraries_draw_the_same_seed_from_the_same_generator(library: ModuleType) -> None:
    y = drop_block(library.asarray(np.ones((2, 3, 8, 8), np.float32)), 0.7, 3, rng=np.random.default_rng(3))
    expected = drop_block(np.ones((2, 3, 8, 8), np.float32), 0.7, 3, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(np.asarray(y) == 0, expected == 0)


def test_r13_shards_equal_the_whole_where_the_scale_is_local() -> None:
    x = np.random.default_rng(0).normal(size=(6, 3, 9, 9))
    for renorm in ("sample", "map", "expected", "none"):
        whole = drop_block(x, 0.7, 3, seed=1, renorm=renorm)
        shards = [drop_block(x[i : i + 2], 0.7, 3, seed=1, renorm=renorm, sample_offset=i) for i in range(0, len(x), 2)]
        np.testing.assert_array_equal(np.concatenate(shards), whole)


def test_r13_the_mask_depends_on_neither_dtype_nor_renorm_nor_values() -> None:
    dropped = drop_block(X, 0.7, 3, seed=1) == 0
    for dtype in (np.float16, np.float64):
        np.testing.assert_array_equal(drop_block(3 * X.astype(dtype), 0.7, 3, seed=1) == 0, dropped)
    for renorm in ("sample", "map", "expected", "none"):
        np.testing.assert_array_equal(drop_block(X, 0.7, 3, seed=1, renorm=renorm) == 0, dropped)


def test_r02_gamma_scale_0_drops_nothing() -> None:
    np.testing.assert_array_equal(drop_block(X, 0.5, 3, gamma_scale=0.0, seed=1), X)


def test_r02_gamma_scale_0_drops_nothing_in_any_library(library: ModuleType) -> None:
    y = np.asarray(drop_block(library.asarray(X), 0.5, 3, gamma_scale=0.0, seed=1))
    np.testing.assert_allclose(y, X, rtol=2.5 * 2.0**-23)  # rule R9 leaves the scale 2 ulp, even where it is 1
