"""What two replicas of a MirroredStrategy do, on two logical CPUs: run by `test_strategy.py`, in a process of its own.

TensorFlow takes its devices once, before anything else. A name on the command line says what to check.
"""

import sys
from typing import Any

import numpy as np
import tensorflow as tf

BEFORE = set(sys.modules)  # TensorFlow itself imports Keras, and that JAX where it is installed
from dropblock_tf import drop_block  # noqa: E402

IMPORTED = {name.split(".")[0] for name in set(sys.modules) - BEFORE}
from tests.shared.comparing import numpys  # noqa: E402

CALL: dict[str, Any] = {"keep_prob": 0.6, "block_size": 3}
LOCAL = 3
X = np.random.default_rng(0).normal(size=(2 * LOCAL, 8, 9, 3)).astype(np.float32)


def on_replicas(strategy: Any, call: Any, first: int = LOCAL, program: bool = True) -> list[Any]:
    """`call` of each replica's number and its part of the batch, as arrays; the first replica has `first` samples."""

    def step(halves: Any) -> Any:
        def local(half: Any) -> Any:
            return call(tf.distribute.get_replica_context().replica_id_in_sync_group, half)

        return strategy.run(local, (halves,))

    halves = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(np.split(X, [first])[context.replica_id_in_sync_group])
    )
    step = tf.function(step) if program else step
    return [np.asarray(y) for y in strategy.experimental_local_results(step(halves))]


def each_draws_a_mask_of_its_own(strategy: Any) -> None:
    one, other = on_replicas(strategy, lambda _, x: drop_block(tf.ones_like(x), **CALL))
    assert ((one == 0) != (other == 0)).any()
    assert (one == 0).any()
    assert (other == 0).any()


def a_seed_alone_gives_all_the_same_mask(strategy: Any) -> None:
    one, other = on_replicas(strategy, lambda _, x: drop_block(x, **CALL, seed=4))
    np.testing.assert_array_equal(one == 0, other == 0)


def sample_offset_gives_the_masks_of_the_whole_batch(strategy: Any) -> None:
    for renorm in ("sample", "map", "expected"):
        halves = on_replicas(
            strategy, lambda i, x, r=renorm: drop_block(x, **CALL, seed=4, renorm=r, sample_offset=i * LOCAL)
        )
        whole = numpys(X, **CALL, seed=4, renorm=renorm)
        np.testing.assert_array_equal(np.concatenate(halves) == 0, whole == 0)
        np.testing.assert_allclose(np.concatenate(halves), whole, rtol=2.5e-7)


def line_8_counts_on_each_replica(strategy: Any) -> None:
    halves = on_replicas(strategy, lambda i, x: drop_block(x, **CALL, seed=4, sample_offset=i * LOCAL))
    for number, (half, x) in enumerate(zip(halves, np.split(X, 2), strict=True)):
        expected = numpys(x, **CALL, seed=4, sample_offset=number * LOCAL)
        np.testing.assert_array_equal(half == 0, expected == 0)
        np.testing.assert_allclose(half, expected, rtol=2.5e-7)


def line_8_counts_over_all_replicas(strategy: Any) -> None:
    def both(i: Any, x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = drop_block(x, **CALL, seed=4, sample_offset=i * LOCAL, across_replicas=True)
        return tf.stack([y, tape.gradient(y, x)])

    y, dx = np.concatenate(on_replicas(strategy, both), 1)
    whole = numpys(X, **CALL, seed=4)
    np.testing.assert_array_equal(y == 0, whole == 0)
    np.testing.assert_allclose(y, whole, rtol=2.5e-7)
    np.testing.assert_allclose(dx, numpys(np.ones_like(X), **CALL, seed=4), rtol=2.5e-7)


def one_without_samples_takes_part_in_the_count(strategy: Any) -> None:
    whole = numpys(X, **CALL, seed=4)
    for program in (True, False):
        parts = on_replicas(
            strategy,
            lambda i, x: drop_block(x, **CALL, seed=4, sample_offset=i * len(X), across_replicas=True),
            first=len(X),
            program=program,
        )
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=2.5e-7)


def one_with_keep_prob_1_takes_part_and_gets_its_activations_back(strategy: Any) -> None:
    def drop(i: Any, x: Any) -> Any:
        keep_prob = 1.0 if int(i.numpy()) == 0 else CALL["keep_prob"]
        return drop_block(x, keep_prob, CALL["block_size"], seed=4, across_replicas=True)

    one, other = on_replicas(strategy, drop, program=False)
    np.testing.assert_array_equal(one, X[:LOCAL])
    ones = np.ones_like(X[LOCAL:])
    kept = np.count_nonzero(numpys(ones, **CALL, seed=4))
    factor = 2 * ones.size / (ones.size + kept)
    expected = np.where(numpys(ones, **CALL, seed=4) == 0, 0, X[LOCAL:] * factor)
    np.testing.assert_allclose(other, expected, rtol=2.5e-7)


def a_generator_of_the_strategy_s_own_differs_between_replicas(strategy: Any) -> None:
    with strategy.scope():
        generator = tf.random.Generator.from_seed(7)
    one, other = on_replicas(strategy, lambda _, x: drop_block(tf.ones_like(x), **CALL, generator=generator))
    assert ((one == 0) != (other == 0)).any()


def importing_the_adapter_imports_no_other_framework(strategy: Any) -> None:
    assert not IMPORTED & {"torch", "jax", "flax", "keras", "triton", "dropblock_keras"}
    assert "torch" not in sys.modules


if __name__ == "__main__":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert mirrored.num_replicas_in_sync == 2
    for name in sys.argv[1:]:
        try:
            globals()[name](mirrored)
        except Exception as error:
            print(f"{name} failed: {type(error).__name__}: {' '.join(str(error).split())}")
        else:
            print(f"{name} passed")
