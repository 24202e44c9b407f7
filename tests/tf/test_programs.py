"""Programs that hold a call: inside TensorFlow's own constructions, saved, and compiled by XLA."""

import re
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from dropblock_tf import drop_block
from tests.shared.comparing import SEEDED, SHAPE, assert_equal, assert_is_numpys, numpys

from .support import in_graph, in_xla, normal, scales, with_gradient

# --- where a program may call it ------------------------------------------------------------------------------------


def test_it_works_inside_tensorflow_s_own_constructions() -> None:
    x = normal()
    each = numpys(x, 0.6, 3, seed=4, renorm="sample")
    first = numpys(x[:1], 0.6, 3, seed=4)

    def sample(a: Any) -> Any:
        return drop_block(a[None], 0.6, 3, seed=4)[0]

    def chosen(x: Any, drop: Any) -> Any:
        return tf.cond(drop, lambda: drop_block(x, **SEEDED, renorm="sample"), lambda: x)

    def recomputed(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.recompute_grad(lambda x: drop_block(x, **SEEDED, renorm="sample"))(x)
        return y, tape.gradient(y, x)

    for mapped in (tf.map_fn(sample, x), tf.vectorized_map(sample, x)):
        assert_is_numpys(mapped[:1], first)
    assert_is_numpys(in_graph(chosen)(x, tf.constant(True)), each)
    assert_equal(in_graph(chosen)(x, tf.constant(False)), x)
    y, dx = recomputed(x)
    assert_is_numpys(y, each)
    assert_equal(dx, scales(x, **SEEDED, renorm="sample"))
    dataset = tf.data.Dataset.from_tensors(x).map(lambda x: drop_block(x, **SEEDED, renorm="sample"))
    assert_is_numpys(next(iter(dataset)), each)


def test_a_saved_model_drops_the_same_blocks(tmp_path: Path) -> None:
    module, x = tf.Module(), normal()
    module.call = tf.function(
        lambda x: drop_block(x, **SEEDED), autograph=False, input_signature=[tf.TensorSpec([None, *SHAPE[1:]])]
    )
    tf.saved_model.save(module, str(tmp_path))
    assert_is_numpys(tf.saved_model.load(str(tmp_path)).call(x), numpys(x, **SEEDED))


# --- XLA ------------------------------------------------------------------------------------------------------------


def operations_of(text: str) -> set[str]:
    """Those of XLA's text of a program; a result is one array, or a tuple of them."""
    return set(re.findall(r" = (?:\(.*?\)|\S+) ([a-z][a-z0-9-]*)\(", text))


@pytest.mark.parametrize("shape", [(2, 40, 8), (2, 14, 14, 8), (2, 5, 6, 7, 8)], ids=str)
def test_xla_makes_no_windows_scatters_or_sorts(shape: tuple[int, ...]) -> None:
    x = tf.ones(shape)
    both = in_xla(with_gradient(keep_prob=0.9, block_size=3, seed=4))
    text = both.experimental_get_compiler_ir(x, x)(stage="hlo")
    operations = operations_of(text)
    assert {"while", "select", "multiply", "popcnt"} <= operations
    assert not {"reduce-window", "select-and-scatter", "scatter", "sort", "convolution", "custom-call"} & operations


def test_the_search_for_operations_finds_a_window() -> None:
    pool = in_xla(lambda x: tf.nn.max_pool2d(x, 3, 1, "SAME"))
    text = pool.experimental_get_compiler_ir(tf.ones(SHAPE))(stage="hlo")
    assert "reduce-window" in operations_of(text)
